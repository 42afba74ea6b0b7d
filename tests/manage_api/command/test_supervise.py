import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

import psutil
import pytest

from manage_api.command.child import Known, Program
from manage_api.command.supervise import Supervisor
from shared.clock import SystemClock
from shared.lifeline import LIFELINE, WORKER
from tests.support.gateway import eventually

SERVER = """
import asyncio, os, pathlib, signal, sys, time
from shared.lifeline import Lifeline
lifeline, kind = Lifeline(os.environ), sys.argv[2]
def leave(*_):
    lifeline.tell("leaving 2 30")
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
with pathlib.Path(sys.argv[1]).open("a") as file:
    print(os.getpid(), file=file)
if kind == "deaf":
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
if kind == "polite":
    signal.signal(signal.SIGTERM, leave)
if kind == "hanging":
    lifeline.begin()
    time.sleep(600)
asyncio.run(lifeline.beat())
"""


class Stage:
    """Programs of the test's own, and what was said about them."""

    def __init__(self, directory: Path) -> None:
        self.pids = directory / "pids"
        self.said: list[str] = []
        self.supervisor: Supervisor

    def server(self, name: str, kind: str = "plain", workers: int = 1) -> Program:
        """Lives until it is ended; a `deaf` one has to be killed, a `polite` one says that it
        waits, and has to be told twice.
        """
        return self.program(name, (sys.executable, "-c", SERVER, str(self.pids), kind), workers)

    def program(self, name: str, command: tuple[str, ...], workers: int = 1) -> Program:
        return Program(
            name=name, command=command, environ=os.environ, most_silent=3, workers=workers
        )

    async def run(
        self, *programs: Program, until_ready: bool = False, predecessors: Iterable[Known] = ()
    ) -> int:
        self.supervisor = Supervisor(
            programs,
            say=self.said.append,
            clock=SystemClock(),
            patience=0.5,
            predecessors=predecessors,
        )
        when_ready = self.supervisor.leave if until_ready else lambda: self.said.append("ready")
        async with asyncio.timeout(60):
            return await self.supervisor.run(when_ready)

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
    await stage.run(stage.server("deaf", "deaf"), until_ready=True)

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
        stage.supervisor.leave()

    assert restarted
    assert running.result() == 0
    assert stage.said == ["ready", "The mortal ended (SIGKILL); restarting it in 0.5 s."]


async def test_a_program_that_hangs_is_killed_and_started_again(
    stage: Stage, capfd: pytest.CaptureFixture[str]
) -> None:
    async with asyncio.TaskGroup() as group:
        group.create_task(stage.run(stage.server("sleeper", "hanging")))
        restarted = await asyncio.to_thread(eventually, lambda: len(stage.started()) == 2, 30)
        stage.supervisor.leave()

    assert restarted
    assert stage.said[1:3] == [
        "The sleeper hangs. What it is doing:",
        "The sleeper ended (SIGKILL); restarting it in 0.5 s.",
    ]
    assert "most recent call first" in capfd.readouterr().err


async def test_a_program_that_leaves_has_its_successor_at_once_and_its_time(stage: Stage) -> None:
    async with asyncio.TaskGroup() as group:
        running = group.create_task(stage.run(stage.server("host", "polite")))
        await asyncio.to_thread(eventually, lambda: "ready" in stage.said, 20)
        os.kill(stage.started()[0], signal.SIGTERM)
        await asyncio.to_thread(eventually, lambda: len(stage.started()) == 2, 20)
        both = all(psutil.pid_exists(pid) for pid in stage.started())
        stage.supervisor.leave()
        stage.supervisor.leave()

    assert both
    assert running.result() == 0
    assert not any(psutil.pid_exists(pid) for pid in stage.started())
    waits = "The host waits for answers to end (2), at most 30 s; stopping again cuts them."
    assert stage.said[:2] == ["ready", waits]


def begin_earlier(program: Program, name: str = "") -> Known:
    """Start a process as an earlier life of the launcher did."""
    reading, writing = os.pipe()
    environ = {**os.environ, LIFELINE: str(writing)}
    process = subprocess.Popen(program.command, env=environ, pass_fds=[writing])
    process.returncode = 0  # the supervisor waits for it
    os.close(writing)
    return Known(name or program.name, process.pid, reading, program.most_silent)


async def test_each_worker_is_replaced_for_itself_and_says_which_of_them_it_is(
    stage: Stage,
) -> None:
    async with asyncio.TaskGroup() as group:
        running = group.create_task(stage.run(stage.server("data plane", workers=2)))
        await asyncio.to_thread(eventually, lambda: "ready" in stage.said, 20)
        first, second = stage.started()
        workers = [psutil.Process(pid).environ()[WORKER] for pid in (first, second)]
        os.kill(second, signal.SIGKILL)
        await asyncio.to_thread(eventually, lambda: len(stage.started()) == 3, 20)
        names = sorted(known.name for known in stage.supervisor.known())
        stage.supervisor.leave()

    assert (running.result(), workers, names) == (0, ["1/2", "2/2"], ["worker 1", "worker 2"])
    assert stage.said == ["ready", "Worker 2 ended (SIGKILL); restarting it in 0.5 s."]
    assert not any(psutil.pid_exists(pid) for pid in stage.started())


ALONE = """
import os, sys
if os.environ["THINKBACK_WORKER"] != "1/3":
    raise SystemExit(5)
exec(sys.argv.pop(1))
"""


async def test_workers_that_fail_while_the_first_one_works_are_tried_again_and_end_nothing(
    stage: Stage,
) -> None:
    command = (sys.executable, "-c", ALONE, SERVER, str(stage.pids), "plain")
    third_time = [f"Worker {n} ended (exit code 5); restarting it in 2 s." for n in (2, 3)]
    async with asyncio.TaskGroup() as group:
        running = group.create_task(stage.run(stage.program("data plane", command, workers=3)))
        tried = await asyncio.to_thread(eventually, lambda: {*third_time} <= {*stage.said}, 30)
        stage.supervisor.leave()

    assert (tried, running.result()) == (True, 0)
    assert "ready" not in stage.said
    assert len(stage.started()) == 1


@pytest.mark.parametrize(
    ("before", "workers"), [(["data plane"], 2), (["worker 1", "worker 2", "worker 3"], 2)]
)
async def test_after_a_change_of_their_number_all_earlier_workers_leave_when_the_new_ones_work(
    stage: Stage, before: list[str], workers: int
) -> None:
    program = stage.server("data plane", workers=workers)
    earlier = [begin_earlier(program, name) for name in before]
    async with asyncio.TaskGroup() as group:
        running = group.create_task(stage.run(program, predecessors=earlier))
        gone = await asyncio.to_thread(
            eventually, lambda: not any(psutil.pid_exists(known.pid) for known in earlier), 20
        )
        left = sorted(known.name for known in stage.supervisor.known())
        stage.supervisor.leave()

    assert (gone, running.result()) == (True, 0)
    assert left == ["worker 1", "worker 2"]
    assert stage.said == ["ready"]


async def test_an_earlier_life_s_program_leaves_when_its_successor_works(stage: Stage) -> None:
    program = stage.server("heir")
    earlier = begin_earlier(program)
    async with asyncio.TaskGroup() as group:
        running = group.create_task(stage.run(program, predecessors=[earlier]))
        gone = await asyncio.to_thread(eventually, lambda: not psutil.pid_exists(earlier.pid), 20)
        left = len(stage.supervisor.known())
        stage.supervisor.leave()

    assert (gone, left, running.result()) == (True, 1, 0)
    assert stage.said == ["ready"]


async def test_what_a_terminal_sends_does_not_reach_a_program(stage: Stage) -> None:
    server = stage.server("server")

    async with asyncio.TaskGroup() as group:
        group.create_task(stage.run(server))
        await asyncio.to_thread(eventually, lambda: "ready" in stage.said, 20)
        for number in (signal.SIGINT, signal.SIGHUP):
            os.kill(stage.started()[0], number)
        alive = psutil.pid_exists(stage.started()[0])
        stage.supervisor.leave()

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
from manage_api.command.child import Program
from manage_api.command.supervise import Supervisor
from shared.clock import SystemClock
program = Program(name="child", command={program.command!r}, environ={{}})
async def main():
    ready = lambda: print("ready", flush=True)
    await Supervisor([program], say=print, clock=SystemClock()).run(ready)
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
