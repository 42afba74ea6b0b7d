"""A tunnel from the Internet to the gateway, with stand-ins for the programs that open one."""

import os
import re
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil  # type: ignore[import-untyped]
import pytest

from tests.support.client import Conversation, fetch, sdk
from tests.support.gateway import THINKBACK, Gateway, eventually, free_port, upstream_environment
from tests.support.provider import StrictProvider
from tests.support.tunnels import install_tunnels

BASE_URL = re.compile(
    r"enter:\n  Base URL  (http://127\.0\.0\.9:\d+)/v1\n  API key .*\n  Model .*\n"
)
"""The three lines to paste."""


@contextmanager
def tunnelled(
    directory: Path, *arguments: str, program: str = "cloudflared", port: int = 0
) -> Iterator[Gateway]:
    """A gateway that opens a tunnel with a program, the only one that is installed."""
    path = install_tunnels(directory / "bin", program, port=port)
    with StrictProvider() as provider:
        environment = upstream_environment(provider.base_url) | {"PATH": path}
        with Gateway(directory, environment, arguments=("--tunnel", *arguments)) as gateway:
            yield gateway


class Tunnel:
    """`thinkback tunnel` beside a gateway that runs, with one program installed or none."""

    def __init__(
        self, gateway: Gateway, directory: Path, program: str, *options: str, port: int = 0
    ) -> None:
        programs = [program] if program else []
        path = install_tunnels(directory / f"only-{program}", *programs, port=port)
        self._gateway = gateway
        self._environ = gateway.environment | {"PATH": path}
        self._command = [THINKBACK, "tunnel", *programs, *options]
        self._file = directory / "output"
        self._process: subprocess.Popen[bytes]

    def __enter__(self) -> None:
        with self._file.open("wb") as output:
            self._process = subprocess.Popen(
                self._command,
                env=self._environ,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
            )

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        assert self._process.wait(15) == 0
        assert eventually(lambda: public_url(self._gateway) == "")

    @property
    def output(self) -> str:
        """What it has printed."""
        return self._file.read_text("utf-8")

    def run(self) -> str:
        """Run it to its end, which is a refusal; what it printed."""
        done = subprocess.run(
            self._command,
            env=self._environ,
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )
        assert done.returncode == 1
        return done.stdout + done.stderr


def urls(gateway: Gateway) -> list[str]:
    """The public URLs that were told to be entered, one for each tunnel."""
    return BASE_URL.findall(gateway.log)


def clients(gateway: Gateway) -> list[psutil.Process]:
    """The processes that keep the tunnel open."""
    bin_directory = str(gateway.directory / "bin")
    return [
        each
        for each in gateway.processes()
        if any(part.startswith(bin_directory) for part in each.cmdline())
    ]


def config(gateway: Gateway) -> dict[str, object]:
    return dict(fetch("GET", f"{gateway.origin}/api/config").json)


def public_url(gateway: Gateway) -> str:
    return str(config(gateway)["public_url"])


def test_a_tunnel_that_dies_comes_back_and_its_new_address_is_told(tmp_path: Path) -> None:
    with tunnelled(tmp_path) as gateway:
        key = gateway.new_user("ada")
        assert eventually(lambda: len(urls(gateway)) == 1, 20)
        [first] = urls(gateway)
        with sdk(f"{first}/v1", key) as client:
            assert Conversation(client, "deepseek-v4-pro").ask().finish_reason
        assert eventually(lambda: public_url(gateway) == first)
        assert not config(gateway)["allow_registration"]
        assert "203.0.113.9" in gateway.log

        [client_process] = clients(gateway)
        client_process.kill()
        assert eventually(lambda: len(urls(gateway)) == 2, 20)
        second = urls(gateway)[1]
        assert second != first
        with sdk(f"{second}/v1", key) as client:
            assert Conversation(client, "deepseek-v4-pro").ask().finish_reason
        assert eventually(lambda: public_url(gateway) == second)

        [client_process] = clients(gateway)
        assert gateway.stop() in {0, 130}
        assert not psutil.pid_exists(client_process.pid)
        assert all(word in gateway.log for word in ("SIGKILL", "changes at each start", "200"))


@pytest.mark.parametrize("program", ["tailscale", "ngrok"])
def test_the_running_gateway_gets_a_tunnel_for_as_long_as_the_command_runs(
    gateway: Gateway, program: str, tmp_path: Path
) -> None:
    opening = Tunnel(gateway, tmp_path, program)
    with opening:
        assert eventually(lambda: "Base URL" in opening.output, 20), opening.output
        [url] = BASE_URL.findall(opening.output)
        assert fetch("GET", f"{url}/readyz").status == 200
        assert eventually(lambda: public_url(gateway) == url)
        assert "runs already" in Tunnel(gateway, tmp_path, program).run()
    assert eventually(lambda: public_url(gateway) == "")
    assert "Closed the tunnel; the gateway at http://127.0.0.1:" in opening.output


def test_a_named_tunnel_has_its_own_address_from_the_start(
    gateway: Gateway, tmp_path: Path
) -> None:
    port = free_port()
    url = f"http://127.0.0.9:{port}"
    opening = Tunnel(gateway, tmp_path, "cloudflared", "--name", "home", "--url", url, port=port)
    with opening:
        assert eventually(lambda: "Base URL" in opening.output, 20), opening.output
        assert BASE_URL.findall(opening.output) == [url]
        assert "changes" not in opening.output


def test_without_a_program_it_says_how_to_install_one(gateway: Gateway, tmp_path: Path) -> None:
    said = Tunnel(gateway, tmp_path, "").run()
    assert all(name in said for name in ("cloudflared", "tailscale", "ngrok", "Install one"))


def test_a_restart_keeps_the_tunnel_and_its_address(tmp_path: Path) -> None:
    with tunnelled(tmp_path, program="ngrok") as gateway:
        assert eventually(lambda: len(urls(gateway)) == 1, 20)
        [url], [before], old = urls(gateway), clients(gateway), gateway.data_plane()
        os.kill(gateway.processes()[0].pid, signal.SIGUSR2)
        assert eventually(lambda: not old.is_running(), 30)
        assert [each.pid for each in clients(gateway)] == [before.pid]
        assert fetch("GET", f"{url}/readyz").status == 200
        assert eventually(lambda: public_url(gateway) == url)
        assert eventually(lambda: f"{url}/v1\n  Models" in gateway.log)
        before.kill()
        assert eventually(lambda: len(urls(gateway)) == 2, 20)


def test_a_well_known_password_gets_no_tunnel(tmp_path: Path) -> None:
    path = install_tunnels(tmp_path / "bin", "ngrok")
    environment = {"ADMIN_PASSWORD": "changeme", "PATH": path}
    with (
        pytest.raises(RuntimeError, match="well-known password"),
        Gateway(tmp_path, environment, arguments=("--tunnel",)),
    ):
        pass
