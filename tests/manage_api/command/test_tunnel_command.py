from pathlib import Path

import pytest

from manage_api.command.tunnel_command import client_wanted
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


def test_a_gateway_that_does_not_run_gets_no_tunnel(tmp_path: Path) -> None:
    done = Command(tmp_path)("tunnel")
    assert done.returncode == 1
    assert "thinkback up --tunnel" in done.stderr
