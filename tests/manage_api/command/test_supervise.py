import asyncio
import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from manage_api.command.supervise import Program, is_healthy, supervise
from shared.clock import SystemClock
from tests.support.gateway import eventually, free_port

SERVER = """
import http.server, os, pathlib, signal, sys
port, pids = int(sys.argv[1]), pathlib.Path(sys.argv[2])
with pids.open("a") as file:
    print(os.getpid(), file=file)
if len(sys.argv) > 3:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
class Health(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200 if self.path == "/healthz" else 404)
        self.end_headers()
    def log_message(self, *_): pass
http.server.HTTPServer(("127.0.0.1", port), Health).serve_forever()
"""


class Stage:
    """Programs of the test's own, and what was said about them."""

    def __init__(self, directory: Path) -> None:
        self.pids = directory / "pids"
        self.said: list[str] = []
        self.stop = asyncio.Event()

    def server(self, name: str, *, deaf: bool = False) -> Program:
        """Answers until it is ended; a deaf one has to be killed."""
        port = free_port()
        arguments = (str(port), str(self.pids), *(["deaf"] if deaf else []))
        return self.program(name, (sys.executable, "-c", SERVER, *arguments), port)

    def program(self, name: str, command: tuple[str, ...], port: int = 1) -> Program:
        return Program(
            name=name, command=command, environ=os.environ, url=f"http://127.0.0.1:{port}"
        )

    async def run(self, *programs: Program, until_ready: bool = False) -> int:
        when_ready = self.stop.set if until_ready else lambda: self.said.append("ready")
        running = supervise(
            programs,
            stop=self.stop,
            when_ready=when_ready,
            say=self.said.append,
            clock=SystemClock(),
            patience=0.5,
        )
        async with asyncio.timeout(30):
            return await running

    def started(self) -> list[int]:
        return [int(line) for line in self.pids.read_text().split()] if self.pids.exists() else []


@pytest.fixture
def stage(tmp_path: Path) -> Stage:
    return Stage(tmp_path)


async def test_when_all_answer_it_is_ready_and_at_the_end_none_is_left(stage: Stage) -> None:
    code = await stage.run(stage.server("one"), stage.server("two"), until_ready=True)

    assert code == 0
    assert len(stage.started()) == 2
    assert not any(psutil.pid_exists(pid) for pid in stage.started())


async def test_a_program_that_does_not_listen_to_sigterm_is_killed(stage: Stage) -> None:
    await stage.run(stage.server("deaf", deaf=True), until_ready=True)

    assert not psutil.pid_exists(stage.started()[0])


async def test_a_program_that_never_starts_ends_the_others_with_its_exit_code(stage: Stage) -> None:
    broken = stage.program("data plane", (sys.executable, "-c", "raise SystemExit(7)"))

    code = await stage.run(stage.server("sidecar"), broken)

    assert code == 7
    assert stage.said == [
        "The data plane ended (exit code 7); restarting it in 0.5 s.",
        "The data plane ended (exit code 7); restarting it in 1 s.",
        "The data plane does not start (exit code 7): see the lines above.",
    ]
    assert not psutil.pid_exists(stage.started()[0])


async def test_a_program_that_dies_later_is_started_again(stage: Stage) -> None:
    async with asyncio.TaskGroup() as group:
        running = group.create_task(stage.run(stage.server("mortal")))
        await asyncio.to_thread(eventually, lambda: "ready" in stage.said, 20)
        os.kill(stage.started()[0], signal.SIGKILL)
        restarted = await asyncio.to_thread(eventually, lambda: len(stage.started()) == 2, 20)
        stage.stop.set()

    assert restarted
    assert running.result() == 0
    assert stage.said == ["ready", "The mortal ended (SIGKILL); restarting it in 0.5 s."]


async def test_what_a_terminal_sends_does_not_reach_a_program(stage: Stage) -> None:
    server = stage.server("server")

    async with asyncio.TaskGroup() as group:
        group.create_task(stage.run(server))
        await asyncio.to_thread(eventually, lambda: "ready" in stage.said, 20)
        for number in (signal.SIGINT, signal.SIGHUP):
            os.kill(stage.started()[0], number)
        alive = await is_healthy(server.url)
        stage.stop.set()

    assert alive
    assert stage.said == ["ready"]


async def test_a_signal_is_told_by_its_name(stage: Stage) -> None:
    command = (sys.executable, "-c", "import os, signal; os.kill(os.getpid(), signal.SIGKILL)")

    code = await stage.run(stage.program("sidecar", command))

    assert code == 1
    assert stage.said[-1] == "The sidecar does not start (SIGKILL): see the lines above."


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a child that its parent died")
def test_no_program_outlives_a_killed_launcher(stage: Stage) -> None:
    program = stage.server("child")
    code = f"""
import asyncio
from manage_api.command.supervise import Program, supervise
from shared.clock import SystemClock
program = Program(name="child", command={program.command!r}, environ={{}}, url={program.url!r})
async def main():
    ready = lambda: print("ready", flush=True)
    await supervise([program], stop=asyncio.Event(), when_ready=ready, say=print, clock=SystemClock())
asyncio.run(main())
"""
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE) as launcher:
        assert launcher.stdout
        assert launcher.stdout.readline() == b"ready\n"
        child = psutil.Process(stage.started()[0])
        launcher.kill()

    assert eventually(lambda: not child.is_running() or child.status() == psutil.STATUS_ZOMBIE)


async def test_a_program_that_is_not_installed_is_named(stage: Stage) -> None:
    code = await stage.run(stage.program("data plane", ("/nowhere/mitmdump",)))

    assert code == 1
    assert stage.said[0] == "Can't run /nowhere/mitmdump: No such file or directory."


async def test_a_server_that_is_not_there_is_not_healthy() -> None:
    assert not await is_healthy(f"http://127.0.0.1:{free_port()}")
