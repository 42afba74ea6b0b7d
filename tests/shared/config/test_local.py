import pytest

from shared.config.local import is_local

PLAIN = ("host", "user-agent", "accept", "authorization")


@pytest.mark.parametrize("peer", ["127.0.0.1", "::1", "127.9.9.9"])
@pytest.mark.parametrize(
    "host",
    ["localhost", "LOCALHOST:8787", "127.0.0.1", "127.0.0.1:8787", "[::1]:8787", "a.localhost:1"],
)
def test_a_request_of_this_machine_to_this_machine_is_local(peer: str, host: str) -> None:
    assert is_local(peer, host, PLAIN)


@pytest.mark.parametrize("peer", ["192.168.1.5", "203.0.113.1", "fd00::1", ""])
def test_a_request_of_another_machine_is_not(peer: str) -> None:
    assert not is_local(peer, "localhost", PLAIN)


@pytest.mark.parametrize(
    "host",
    [
        "think.example.com",
        "192.168.1.5:8787",
        "localhost.example.com",
        "127.0.0.1.nip.io",
        "",
        "[",
        "::1",
        "localhost:x",
        "evil.com:localhost",
    ],
)
def test_a_tunnel_is_known_by_the_host_that_its_users_ask_for(host: str) -> None:
    assert not is_local("127.0.0.1", host, PLAIN)


@pytest.mark.parametrize(
    "name",
    [
        "x-forwarded-for",
        "x-forwarded-host",
        "x-forwarded-anything",
        "forwarded",
        "via",
        "x-real-ip",
        "cf-connecting-ip",
        "true-client-ip",
        "tailscale-user-login",
    ],
)
def test_a_proxy_is_known_by_its_headers(name: str) -> None:
    assert not is_local("127.0.0.1", "localhost", [*PLAIN, name])
