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
from typing import NamedTuple

from manage_api.addresses import is_healthy
from manage_api.command.child import Say
from shared.errors import ThinkbackError

__all__ = ("NOT_RESTARTED", "RUNNING", "Daemon", "DaemonError")

RUNNING = "is running."
"""How the first line ends that says so."""

NOT_RESTARTED = "Not restarted:"
"""How the line begins that says so."""

_OLD_LOGS = 3
"""With the largest size of a log these bound the disk it takes to 80 MiB."""

_START_TRIES = 300
"""30 s: a slow disk, a large migration."""

_SILENT_SECONDS = 30
"""For how long a command waits without a sign of life: the process starts anew in less."""

_BEAT_SECONDS = 5.0
"""How often the process gives one."""

_NOTE_LENGTH = 200
"""A fixed size: whoever reads while it is written reads the old one or the new one."""

_POLL_DELAY = 0.1


class DaemonError(ThinkbackError):
    """The background process can't be started or stopped; the message says why."""


class _Note(NamedTuple):
    """What stands in the pid file."""

    pid: str
    at: str
    """When the text was noted."""

    beat: str
    """When the process last showed that it lives."""

    running: str
    """When all programs last began to work."""

    text: str


class Daemon:
    """The background launcher of one data directory.

    It locks its pid file while it lives, so that a pid left behind by a crash is never
    mistaken for another process.
    """

    def __init__(
        self, directory: Path, *, largest_log: int = 20 * 1024 * 1024, look_seconds: float = 10.0
    ) -> None:
        self.directory = directory
        self.log = directory / "thinkback.log"
        self._largest_log = largest_log
        self._look_seconds = look_seconds
        self._pid_file = directory / "thinkback.pid"
        self._words_file = directory / "thinkback.options"
        self.lock: int | None = None
        """The descriptor that holds the lock while this is the background process."""

        self._noted, self._noted_at, self._running_at = "", 0, 0

    def pid(self) -> int | None:
        """Return the pid of the running process, None when there is none."""
        try:
            with self._pid_file.open() as file:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
                return None
        except FileNotFoundError:
            return None
        except BlockingIOError:
            return int(self._read().pid or 0) or None

    @contextmanager
    def hold(self, lock: int | None = None) -> Iterator[None]:
        """Be the background process inside the block; wait until no other is.

        `lock` is the descriptor with which an earlier life of this process holds the lock.
        """
        if lock is None:
            lock = os.open(self._pid_file, os.O_RDWR | os.O_CREAT, 0o600)
            fcntl.flock(lock, fcntl.LOCK_EX)
        self.lock = lock
        try:
            self.note("")
            yield
        finally:
            os.close(lock)
            self.lock = None

    def note(self, text: str) -> None:
        """Have the command that stops or restarts this process show the text's first line."""
        self._noted, self._noted_at = (text.splitlines() or [""])[0], time.time_ns()
        if self._noted.endswith(RUNNING):
            self._running_at = self._noted_at
        self._write()

    async def beat(self) -> None:
        """Show those commands that this process lives, until cancelled."""
        while True:
            await asyncio.sleep(_BEAT_SECONDS)
            self._write()

    def start(
        self, environ: Mapping[str, str], urls: Sequence[str], words: Sequence[str] = ()
    ) -> int:
        """Start the background process with an empty log; `words` are its options.

        Return its pid once all programs at `urls` answer.
        """
        # A database file lies in it; beside a database across a network there may be none yet.
        self.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._rotate()
        self.log.touch(mode=0o600)
        with self.log.open("ab") as log:
            process = subprocess.Popen(
                (sys.executable, "-m", "manage_api.command.cli", "up", "--background", *words),
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

    def stop(self, say: Say) -> bool:
        """End the process and wait for it, which may be long; return False when there is none.

        Ctrl-C meanwhile cuts the answers that it waits for.
        """
        pid = self.pid()
        if pid is None:
            return False
        while True:
            try:
                for note in self._follow(pid, signal.SIGTERM):
                    say(note.text)
            except KeyboardInterrupt:
                continue
            return True

    def restart(self, say: Say, words: Sequence[str] = ()) -> bool:
        """Run the process anew, and return when all works; return False when there is none.

        The `words` are options, which replace those of the same names. Raises DaemonError when it
        could not be restarted, and goes on.
        """
        pid = self.pid()
        if pid is None:
            return False
        self._words_file.write_text("\n".join(words))
        earlier = self._read().running
        for note in self._follow(pid, signal.SIGUSR2):
            if note.text.startswith(NOT_RESTARTED):
                raise DaemonError(f"{note.text} The log is {self.log}.")
            if note.running not in ("0", earlier):
                return True
            say(note.text)
        raise DaemonError(f"Process {pid} has ended: see {self.log}.")

    def take_words(self) -> list[str]:
        """The options that a command has left for the restart that it asks for."""
        try:
            words = self._words_file.read_text().split()
            self._words_file.unlink()
        except FileNotFoundError:
            return []
        return words

    def _follow(self, pid: int, number: signal.Signals) -> Iterator[_Note]:
        """Send the process a signal: what it notes from there on, until it has ended."""
        last, silent = self._read(), 0.0
        with suppress(ProcessLookupError):
            os.kill(pid, number)
        while self.pid():
            now = self._read()
            silent = silent + _POLL_DELAY if now.beat == last.beat else 0.0
            if silent > _SILENT_SECONDS:
                raise DaemonError(f"Process {pid} does not answer: `kill -9 {pid}` ends it.")
            if now.at != last.at and now.text:
                yield now
            last = now
            time.sleep(_POLL_DELAY)

    def _write(self) -> None:
        assert self.lock is not None, "only the background process is followed"
        times = f"{self._noted_at} {time.time_ns()} {self._running_at}"
        line = f"{os.getpid()} {times} {self._noted}".encode()
        os.pwrite(self.lock, line[:_NOTE_LENGTH].ljust(_NOTE_LENGTH), 0)

    def _read(self) -> _Note:
        words = self._pid_file.read_text(errors="replace").strip().split(" ", 4)
        return _Note(*words, *[""] * (5 - len(words)))

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
