from pathlib import Path

import pytest

from manage_api.domains.system.risks import refusal, risks, unresolved
from shared.config.schema import Registration, Server, Snapshot, Upstream

PUBLIC = Server(listen_addr="0.0.0.0:8787", public_url="https://think.example.com")


@pytest.mark.parametrize("address", ["0.0.0.0:8788", "[::]:8788", "192.168.1.5:8788"])
def test_a_sidecar_that_others_reach_is_refused(address: str) -> None:
    assert "ADMIN_LISTEN_ADDR" in refusal(Snapshot(server=Server(admin_addr=address)))


@pytest.mark.parametrize("address", ["127.0.0.1:8788", "localhost:1", "[::1]:8788"])
def test_a_sidecar_of_this_machine_is_not(address: str) -> None:
    assert refusal(Snapshot(server=Server(admin_addr=address))) == ""


def told(snapshot: Snapshot) -> list[str]:
    """The risks, but that the tests may run as root."""
    return [each for each in risks(snapshot) if "as root" not in each]


def test_there_is_nothing_to_tell_of_a_plain_installation(tmp_path: Path) -> None:
    upstream = Upstream(name="a", base_url="https://api.deepseek.com", api_keys=("k",))
    closed = Registration(allowed=False)
    path = str(tmp_path / "config.toml")

    assert told(Snapshot(upstreams=(upstream,), config_path=path)) == []
    assert told(Snapshot(server=PUBLIC, registration=closed, config_path=path)) == []


@pytest.mark.parametrize(
    "server",
    [
        Server(listen_addr="0.0.0.0:8787"),
        Server(listen_addr="192.168.1.5:8787"),
        Server(public_url="http://think.example.com"),
    ],
    ids=["everywhere", "own network", "public name"],
)
def test_keys_that_cross_a_network_in_clear_are_told(server: Server) -> None:
    closed = Registration(allowed=False)

    [sentence] = told(Snapshot(server=server, registration=closed))
    assert "unencrypted" in sentence


@pytest.mark.parametrize(
    ("base_url", "count"),
    [
        ("http://api.deepseek.com", 1),
        ("http://8.8.8.8/v1", 1),
        ("http://127.0.0.1:11434", 0),
        ("http://10.0.0.7:8000", 0),
        ("http://ollama:11434", 0),
        ("https://api.deepseek.com", 0),
    ],
)
def test_an_upstream_on_the_internet_without_tls_is_told(base_url: str, count: int) -> None:
    snapshot = Snapshot(upstreams=(Upstream(name="main", base_url=base_url),))

    assert ["upstream main" in each for each in told(snapshot)] == [True] * count


@pytest.mark.parametrize(
    ("rules", "words"),
    [
        (Registration(allowed=True), "can register:"),
        (Registration(allowed=True, quota_tokens=5000), "5000 tokens each time"),
    ],
)
def test_registration_that_is_open_to_the_internet_is_told(rules: Registration, words: str) -> None:
    [sentence] = told(Snapshot(server=PUBLIC, registration=rules))
    assert words in sentence


def test_registration_with_invite_codes_is_no_risk() -> None:
    rules = Registration(allowed=True, invite_codes=("green",))

    assert told(Snapshot(server=PUBLIC, registration=rules)) == []


@pytest.mark.parametrize(
    ("text", "mode", "is_told"),
    [
        ('[[upstreams]]\nname = "a"\nbase_url = "https://a.b"\napi_keys = ["k"]', 0o644, True),
        ('[upstream]\nbase_url = "https://a.b"\napi_key = "k"', 0o604, True),
        ('[registration]\ninvite_codes = ["green"]', 0o644, True),
        ('[[upstreams]]\nname = "a"\nbase_url = "https://a.b"\napi_keys = ["k"]', 0o640, False),
        ("[server]\nmax_body_mib = 5", 0o644, False),
        ("not TOML", 0o644, False),
    ],
)
def test_keys_in_a_file_that_everybody_reads_are_told(
    tmp_path: Path, text: str, mode: int, is_told: bool
) -> None:
    path = tmp_path / "config.toml"
    path.write_text(text)
    path.chmod(mode)

    assert ["chmod 600" in each for each in told(Snapshot(config_path=str(path)))] == [
        True
    ] * is_told


@pytest.mark.parametrize(
    ("text", "mode", "is_told"),
    [
        ("AZURE_OPENAI_API_KEY=k", 0o644, True),
        ("UPSTREAM_API_KEY=k", 0o640, False),
        ("LOG_LEVEL=debug", 0o644, False),
    ],
)
def test_keys_in_an_env_file_that_everybody_reads_are_told(
    tmp_path: Path, text: str, mode: int, is_told: bool
) -> None:
    path = tmp_path / ".env"
    path.write_text(text)
    path.chmod(mode)

    said = told(Snapshot(config_path=str(tmp_path / "config.toml")))
    assert [str(path) in each for each in said] == [True] * is_told


def test_a_name_that_nobody_can_resolve_is_told() -> None:
    upstreams = [
        Upstream(name="typo", base_url="https://api.deepseek.invalid"),
        Upstream(name="here", base_url="http://localhost:1"),
        Upstream(name="number", base_url="http://127.0.0.1:1"),
    ]

    [sentence] = unresolved(upstreams)
    assert "api.deepseek.invalid" in sentence
    assert "upstream typo" in sentence


def test_nobody_waits_for_a_name_server_that_does_not_answer() -> None:
    assert unresolved([Upstream(name="a", base_url="https://a.invalid")], seconds=0) in (
        [],
        unresolved([Upstream(name="a", base_url="https://a.invalid")]),
    )
