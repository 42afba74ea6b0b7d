"""The launcher in the background: its pid file, its log, and its lock."""

import asyncio
import fcntl
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from itertools import pairwise
from pathlib import Path

from manage_api.command.supervise import is_healthy
from shared.errors import ThinkbackError

__all__ = ("Daemon", "DaemonError")

_OLD_LOGS = 3
"""With the largest size of a log these bound the disk it takes to 80 MiB."""

_START_TRIES = 300
"""30 s: a slow disk, a large migration."""

_STOP_TRIES = 150
"""15 s: the programs have 10 to end by themselves."""

_POLL_DELAY = 0.1


class DaemonError(ThinkbackError):
    """The background process can't be started or stopped; the message says why."""


class Daemon:
    """The background launcher of one data directory.

    It locks its pid file while it lives, so that a pid left behind by a crash is never
    mistaken for another process.
    """

    def __init__(
        self, directory: Path, *, largest_log: int = 20 * 1024 * 1024, look_seconds: float = 10.0
    ) -> None:
        self.log = directory / "thinkback.log"
        self._largest_log = largest_log
        self._look_seconds = look_seconds
        self._pid_file = directory / "thinkback.pid"

    def pid(self) -> int | None:
        """Return the pid of the running process, None when there is none."""
        try:
            with self._pid_file.open() as file:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
                return None
        except FileNotFoundError:
            return None
        except BlockingIOError:
            return int(self._pid_file.read_text() or 0) or None

    @contextmanager
    def hold(self) -> Iterator[None]:
        """Be the background process inside the block; wait until no other is."""
        with self._pid_file.open("a") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            file.truncate(0)
            file.write(str(os.getpid()))
            file.flush()
            yield

    def start(self, environ: Mapping[str, str], urls: Sequence[str]) -> int:
        """Start the background process with an empty log.

        Return its pid once all programs at `urls` answer.
        """
        self._rotate()
        self.log.touch(mode=0o600)
        with self.log.open("ab") as log:
            process = subprocess.Popen(
                (sys.executable, "-m", "manage_api.command.cli", "up", "--background"),
                env=environ,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        if asyncio.run(_all_answer(process, urls)):
            return process.pid
        if process.poll() is None:
            raise DaemonError(f"Process {process.pid} runs but does not answer: see {self.log}.")
        raise DaemonError(f"Thinkback ended (exit code {process.returncode}): see {self.log}.")

    def stop(self) -> bool:
        """End the process and wait for it; return False when there is none."""
        pid = self.pid()
        if pid is None:
            return False
        os.kill(pid, signal.SIGTERM)
        for _ in range(_STOP_TRIES):
            if self.pid() is None:
                return True
            time.sleep(_POLL_DELAY)
        raise DaemonError(f"Process {pid} does not end: `kill -9 {pid}` forces it to.")

    async def keep_log_small(self) -> None:
        """Rotate the log whenever it has grown too large, until cancelled."""
        while True:
            await asyncio.sleep(self._look_seconds)
            # A full disk or a removed log is no reason to end: the next look tries again.
            with suppress(OSError):
                if self.log.stat().st_size > self._largest_log:
                    self._rotate()

    def _rotate(self) -> None:
        """Copy the log aside and empty it: the programs that append to it keep their file."""
        if not self.log.exists():
            return
        kept = [
            self.log.with_name(f"{self.log.name}.{number}") for number in range(1, _OLD_LOGS + 1)
        ]
        for newer, older in reversed(list(pairwise(kept))):
            with suppress(FileNotFoundError):
                newer.replace(older)
        shutil.copy2(self.log, kept[0])
        os.truncate(self.log, 0)


async def _all_answer(process: subprocess.Popen[bytes], urls: Sequence[str]) -> bool:
    """Wait until all answer; return False when the process ends or time runs out."""
    for _ in range(_START_TRIES):
        if process.poll() is not None:
            return False
        if all([await is_healthy(url) for url in urls]):
            return True
        await asyncio.sleep(_POLL_DELAY)
    return False
