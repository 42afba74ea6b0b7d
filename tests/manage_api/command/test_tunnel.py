"""Tunnels whose client is a program of the tests'; `tests/e2e/test_tunnel.py` has gateways."""

import asyncio
import os
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from manage_api.command.tunnel import Tunnel
from manage_api.command.tunnel_client import TunnelClient
from shared.clock import SystemClock
from shared.config.tunnel import TUNNEL_FILE, Announcement, announced
from tests.support.gateway import eventually, free_port


class Stage:
    """A tunnel of the test's own, and what was said about it."""

    def __init__(self, directory: Path) -> None:
        self.environ = {
            **os.environ,
            TUNNEL_FILE: str(directory / "tunnel"),
            "JWT_SECRET": "canary",
        }
        self.said: list[str] = []
        self.urls: list[str] = []

    def tunnel(self, code: str, *, command: tuple[str, ...] = ()) -> Tunnel:
        """One whose client is this Python code."""
        command = command or (sys.executable, "-c", code)
        client = TunnelClient(program="cloudflared", command=command)
        announcement = Announcement(self.environ[TUNNEL_FILE])

        def describe() -> str:
            self.urls.append(announced(self.environ))
            return "use it"

        return Tunnel(
            client,
            announcement,
            self.environ,
            describe=describe,
            say=self.said.append,
            clock=SystemClock(),
            patience=0.2,
        )

    async def until(self, tunnel: Tunnel, holds: Callable[[], bool]) -> None:
        """Keep the tunnel until that holds."""
        async with asyncio.timeout(30), asyncio.TaskGroup() as group:
            keeping = group.create_task(tunnel.keep())
            assert await asyncio.to_thread(eventually, holds, 20)
            keeping.cancel()


@pytest.fixture
def stage(tmp_path: Path) -> Stage:
    return Stage(tmp_path)


async def test_one_that_dies_is_opened_again_later_each_time_and_its_words_are_shown(
    stage: Stage,
) -> None:
    tunnel = stage.tunnel("print('failed to reach the edge'); raise SystemExit(3)")
    await stage.until(tunnel, lambda: len(stage.said) == 2)
    assert "exit code 3" in stage.said[0]
    assert "failed to reach the edge" in stage.said[0]
    assert ["in 1 s" in stage.said[0], "in 2 s" in stage.said[1]] == [True, True]


async def test_one_that_can_not_be_run_is_tried_again(stage: Stage) -> None:
    tunnel = stage.tunnel("", command=("/nowhere/cloudflared",))
    await stage.until(tunnel, lambda: bool(stage.said))
    assert "No such file" in stage.said[0]


async def test_the_client_has_none_of_our_secrets(stage: Stage) -> None:
    tunnel = stage.tunnel("import os; print(os.environ.get('JWT_SECRET', 'nothing'))")
    await stage.until(tunnel, lambda: bool(stage.said))
    assert "nothing" in stage.said[0]
    assert "canary" not in stage.said[0]


async def test_a_line_of_any_length_does_not_stop_the_reading(stage: Stage) -> None:
    url = f"http://127.0.0.1:{free_port()}"
    code = f"print('x' * 300_000); print('|  {url}  |', flush=True); import time; time.sleep(60)"
    await stage.until(stage.tunnel(code), lambda: announced(stage.environ) == url)


async def test_a_client_that_ignores_its_end_is_killed_and_the_url_withdrawn(
    stage: Stage,
) -> None:
    url = f"http://127.0.0.1:{free_port()}"
    code = (
        "import os, signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        f"print(os.getpid()); print('|  {url}  |', flush=True); time.sleep(60)"
    )
    tunnel = stage.tunnel(code)
    await stage.until(tunnel, lambda: announced(stage.environ) == url)
    assert tunnel.kept is None
    assert announced(stage.environ) == ""
