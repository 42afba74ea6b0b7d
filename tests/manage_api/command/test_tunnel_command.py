import asyncio
import os
import re
from pathlib import Path

import pytest

from manage_api.addresses import is_healthy
from manage_api.command.tunnel_command import client_wanted, tunnel_words
from shared.config.schema import Server, Snapshot
from tests.manage_api.command.running import Command
from tests.support.tunnels import install_tunnels

SNAPSHOT = Snapshot(server=Server(listen_addr="0.0.0.0:9000", public_url="https://ai.example.com"))


@pytest.fixture(autouse=True)
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """All three programs, as stand-ins, and nothing else."""
    path = install_tunnels(tmp_path / "bin", "cloudflared", "tailscale", "ngrok")
    monkeypatch.setenv("PATH", path)


def test_without_an_option_there_is_no_tunnel() -> None:
    assert client_wanted(SNAPSHOT, None, "", "") is None


def test_it_leads_to_where_the_gateway_listens_on_this_machine() -> None:
    client = client_wanted(SNAPSHOT, "tailscale", "", "")
    assert client
    assert client.command[-1] == "http://127.0.0.1:9000"


def test_a_named_tunnel_has_the_public_url_unless_another_is_given() -> None:
    configured = client_wanted(SNAPSHOT, None, "home", "")
    given = client_wanted(SNAPSHOT, "any", "home", "other.example.com")
    assert configured
    assert given
    assert (configured.url, given.url) == ("https://ai.example.com", "https://other.example.com")


def test_a_quick_tunnel_does_not_take_the_public_url() -> None:
    client = client_wanted(SNAPSHOT, "any", "", "")
    assert client
    assert (client.program, client.url) == ("cloudflared", "")


def test_options_become_words_that_mean_the_same() -> None:
    assert tunnel_words(None, "", "") == ()
    assert tunnel_words("any", "home", "a.example.com") == (
        "--tunnel=any",
        "--tunnel-name=home",
        "--tunnel-url=a.example.com",
    )


def test_a_gateway_in_the_background_has_a_tunnel_until_it_is_stopped(tmp_path: Path) -> None:
    thinkback = Command(tmp_path)
    started = thinkback("start", "--tunnel", PATH=os.environ["PATH"])
    [url] = re.findall(r"^  Base URL  (\S+)/v1$", started.stdout, re.MULTILINE) or [""]
    answers = asyncio.run(is_healthy(url))
    thinkback("stop")

    assert answers, started.stdout + started.stderr
    assert not asyncio.run(is_healthy(url))


def test_a_gateway_that_does_not_run_gets_no_tunnel(tmp_path: Path) -> None:
    done = Command(tmp_path)("tunnel")
    assert done.returncode == 1
    assert "thinkback up --tunnel" in done.stderr
