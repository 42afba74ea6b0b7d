import asyncio
import os
import re
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from manage_api.command.daemon import Daemon, DaemonError
from tests.manage_api.command.running import Command
from tests.support.gateway import eventually


@pytest.fixture
def thinkback(tmp_path: Path) -> Iterator[Command]:
    """The command; a gateway it left in the background is stopped at the end."""
    command = Command(tmp_path)
    yield command
    command("stop")


class Started(NamedTuple):
    """A gateway in the background, and what was said when it started."""

    thinkback: Command
    said: subprocess.CompletedProcess[str]


@pytest.fixture(scope="module")
def in_background(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Started]:
    """For all tests that only look at it."""
    command = Command(tmp_path_factory.mktemp("background"))
    yield Started(command, command("start"))
    command("stop")


def test_it_starts_in_the_background_restarts_and_stops(thinkback: Command) -> None:
    started = thinkback("start")
    running = thinkback("status")
    config = thinkback.directory / "config.toml"
    config.write_text("[server]\nnonsense = 1\n")
    refused = thinkback("restart")
    config.write_text("[server]\ndrain_seconds = 1\n")
    restarted = thinkback("restart", "--workers=2")
    shared = thinkback("status")
    stopped = thinkback("stop")

    assert refused.returncode == 1
    assert refused.stderr.startswith("Not restarted: it could not start.")
    assert "server.nonsense" in thinkback("log").stdout
    assert "  Workers    2\n" in thinkback("log").stdout
    assert shared.returncode == 0
    assert re.findall(r"^(Worker \d) is process \d+, since ", shared.stdout, re.MULTILINE) == [
        "Worker 1",
        "Worker 2",
    ]
    assert (restarted.returncode, restarted.stdout) == (0, "Restarted.\n")

    assert (started.returncode, running.returncode, stopped.returncode) == (0, 0, 0), started.stderr
    assert running.stdout.count(" answers at ") == 2
    assert thinkback("status").returncode == 1


def test_the_first_password_is_shown_in_the_terminal_and_not_in_the_log(
    in_background: Started,
) -> None:
    thinkback, started = in_background

    log = thinkback.directory / "data" / "thinkback.log"
    assert "Password" in started.stderr
    assert "Password" not in log.read_text()
    assert stat.S_IMODE(log.stat().st_mode) == 0o600
    assert "Thinkback" in thinkback("log").stdout


def test_what_does_not_run_can_not_be_restarted(thinkback: Command) -> None:
    refused = thinkback("restart")

    assert refused.returncode == 1
    assert refused.stderr.startswith("No gateway runs in the background here.")


def test_it_is_started_once(in_background: Started) -> None:
    again = in_background.thinkback("start")

    assert again.returncode == 1
    said = r"Thinkback runs here already, in the background, pid \d+: http://127\.0\.0\.1:\d+/\n"
    assert re.fullmatch(said, again.stderr)


def test_a_number_left_behind_by_a_crash_is_not_taken_for_a_process(tmp_path: Path) -> None:
    (tmp_path / "thinkback.pid").write_text(str(os.getpid()))

    daemon = Daemon(tmp_path)

    assert daemon.pid() is None
    assert not daemon.stop(print)


def test_the_process_that_holds_the_lock_is_the_one_that_runs(tmp_path: Path) -> None:
    (tmp_path / "thinkback.pid").write_text("99999999")

    with Daemon(tmp_path).hold():
        holding = Daemon(tmp_path).pid()

    assert (holding, Daemon(tmp_path).pid()) == (os.getpid(), None)


BACKGROUND = """
import pathlib, signal, sys
from manage_api.command.daemon import Daemon
daemon = Daemon(pathlib.Path(sys.argv[1]))
def restart(*_):
    daemon.note("Thinkback is running.")
    daemon.note("The data plane waits.")
def stop(*_):
    daemon.note("The data plane waits.")
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
signal.signal(signal.SIGUSR2, restart)
signal.signal(signal.SIGTERM, stop)
with daemon.hold():
    print("holds", flush=True)
    while True:
        signal.pause()
"""


@pytest.fixture
def background(tmp_path: Path) -> Iterator[Daemon]:
    """A process that does nothing but note."""
    command = [sys.executable, "-c", BACKGROUND, str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        assert process.stdout
        assert process.stdout.readline() == b"holds\n"
        yield Daemon(tmp_path)
        process.kill()


def test_a_restart_is_over_when_all_run_whatever_was_noted_since(background: Daemon) -> None:
    assert background.restart(print)


def test_ctrl_c_while_a_stop_waits_has_it_cut_what_it_waits_for(background: Daemon) -> None:
    heard: list[str] = []

    def interrupt(text: str) -> None:
        heard.append(text)
        raise KeyboardInterrupt

    assert background.stop(interrupt)
    assert heard == ["The data plane waits."]


def test_a_start_makes_the_folder_that_its_log_is_in(tmp_path: Path) -> None:
    daemon = Daemon(tmp_path / "state" / "data")
    with pytest.raises(DaemonError):
        daemon.start(os.environ, ["http://127.0.0.1:9"], ["--no-such-option"])
    assert "no-such-option" in daemon.log.read_text()
    assert daemon.directory.stat().st_mode & 0o777 == 0o700


def test_a_start_that_fails_tells_where_to_read_why(thinkback: Command, tmp_path: Path) -> None:
    mitm = (Path(__file__).parents[3] / "mitm.toml").read_text()
    (tmp_path / "mitm.toml").write_text(
        mitm.replace("[options]", '[options]\nbody_size_limit = "much"')
    )

    done = thinkback("start")

    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].startswith("Thinkback ended (exit code 1): ")
    assert "body_size_limit" in thinkback("log").stdout


async def test_a_log_that_grows_is_put_aside_and_the_last_three_are_kept(tmp_path: Path) -> None:
    daemon = Daemon(tmp_path, largest_log=10, look_seconds=0.01)
    async with asyncio.TaskGroup() as group:
        trimming = group.create_task(daemon.keep_log_small())
        await asyncio.to_thread(write_lines, daemon.log, 5)
        trimming.cancel()

    kept = [daemon.log.with_name(f"thinkback.log.{number}") for number in (1, 2, 3)]
    assert [path.read_text() for path in kept] == [
        "a long line 4\n",
        "a long line 3\n",
        "a long line 2\n",
    ]


async def test_a_log_that_was_removed_ends_nothing(tmp_path: Path) -> None:
    daemon = Daemon(tmp_path, largest_log=10, look_seconds=0.01)

    with pytest.raises(TimeoutError):
        await asyncio.wait_for(daemon.keep_log_small(), 0.1)


def write_lines(log: Path, count: int) -> None:
    """Append one after the other, each when the one before was put aside."""
    with log.open("a", buffering=1) as file:
        for number in range(count):
            file.write(f"a long line {number}\n")
            assert eventually(lambda: log.stat().st_size == 0)
