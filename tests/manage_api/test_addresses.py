import re
import socket

import pytest

from manage_api.addresses import (
    base_url,
    is_healthy,
    is_public,
    lan_urls,
    listen,
    local_url,
    why_taken,
)
from shared.config.schema import Server, Snapshot
from tests.support.gateway import free_port


@pytest.mark.parametrize(
    ("address", "url"),
    [
        ("127.0.0.1:8787", "http://127.0.0.1:8787"),
        ("0.0.0.0:8787", "http://127.0.0.1:8787"),
        ("[::]:8787", "http://[::1]:8787"),
        ("[::1]:8787", "http://[::1]:8787"),
        ("localhost:80", "http://localhost:80"),
    ],
)
def test_the_url_is_one_this_machine_can_use(address: str, url: str) -> None:
    assert local_url(address) == url


def test_the_base_url_is_the_public_one_else_the_local_one() -> None:
    public = Snapshot(server=Server(public_url="https://think.example.com/"))

    assert base_url(public) == "https://think.example.com/v1"
    assert base_url(Snapshot()) == "http://127.0.0.1:8787/v1"


def test_an_address_that_is_listened_on_is_taken_and_then_free() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        address = f"127.0.0.1:{listener.getsockname()[1]}"
        assert why_taken(address) == "Address already in use"
    assert why_taken(address) == ""


def test_an_address_of_another_machine_is_not_ours_to_listen_on() -> None:
    assert why_taken("203.0.113.1:8787")


async def test_a_server_that_is_not_there_is_not_healthy() -> None:
    assert not await is_healthy(f"http://127.0.0.1:{free_port()}")


def test_who_listens_on_an_address_has_it_alone() -> None:
    address = f"127.0.0.1:{free_port()}"
    [opened] = listen(address)
    with opened:
        assert why_taken(address) == "Address already in use"


@pytest.mark.parametrize("host", ["think.example.com", "8.8.8.8", "2606:4700::1111"])
def test_names_and_global_addresses_are_public(host: str) -> None:
    assert is_public(host)


@pytest.mark.parametrize(
    "host", ["localhost", "10.0.0.5", "192.168.1.2", "127.0.0.1", "::1", "nas.local", "server", ""]
)
def test_private_addresses_and_bare_names_are_not(host: str) -> None:
    assert not is_public(host)


def test_other_machines_are_told_of_a_program_that_listens_everywhere() -> None:
    urls = lan_urls("0.0.0.0:8787")
    assert all(re.fullmatch(r"http://[\d.]+:8787", url) for url in urls)
    assert not any("127.0.0.1" in url or "0.0.0.0" in url for url in urls)
    assert len(lan_urls("[::]:8787")) >= len(urls)
    assert lan_urls("127.0.0.1:8787") == lan_urls("192.168.1.5:8787") == []
