"""A process that the supervisor has started: what it tells, and how it ends.

It tells on its lifeline (`shared/lifeline.py`), whose end is also the process's own.
"""

import asyncio
import contextlib
import ctypes
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from shared.clock import SystemClock
from shared.lifeline import BEAT_SECONDS, LIFELINE, SOCKETS, STACKS, UNREADY, WORKER, Worker
from shared.log import stamped

__all__ = (
    "Child",
    "Known",
    "Program",
    "Say",
    "child_of",
    "ending",
    "reap",
    "spawn",
    "subject",
    "tell",
)

STARTING_BEATS = 120
"""Missed beats after which a process hangs that has not said yet that it works: a slow disk, a
busy machine.
"""

MOST_SILENT = 7
"""Those after which one that worked hangs. With the second that its stacks take, and its
successor's start, it is replaced within 15 s.
"""

_POLL_SECONDS = 0.05

_PR_SET_PDEATHSIG = 1
"""From linux/prctl.h: the signal that the kernel sends when the parent dies."""

type Say = Callable[[str], None]


def tell(text: str) -> None:
    """Print what the launcher says: a line as a line of the log, a block as it is."""
    line = text if "\n" in text else stamped(text, SystemClock().now_ms() / 1000)
    with contextlib.suppress(OSError):  # nobody reads it
        print(line, flush=True)  # noqa: T201


@dataclass(frozen=True, kw_only=True)
class Program:
    """A program to keep running."""

    name: str
    command: tuple[str, ...]
    environ: Mapping[str, str]
    sockets: tuple[socket.socket, ...] = ()
    """What it listens on: open from before its first process until after its last."""

    passed_files: tuple[int, ...] = ()
    """Descriptors of other files that its processes inherit."""

    most_silent: int = MOST_SILENT
    """Missed beats after which a process that worked hangs."""

    workers: int = 1
    """Processes that run it side by side, on the same sockets."""

    def name_of(self, worker: Worker) -> str:
        """What one of its processes is called."""
        return worker.name or self.name


@dataclass
class Known:
    """What has to be known of a process to go on supervising it."""

    name: str
    """Its program's, or `worker 2` where several run it."""

    pid: int
    lifeline: int
    """The descriptor at which it is heard."""

    most_silent: int
    leaving: bool = False
    """Whether it takes no more requests."""

    grace: float = 0
    """Seconds it said it may take to end what it is answering."""


class Child:
    """A process, from its start to its end.

    One that says nothing for too long is killed.
    """

    def __init__(
        self, known: Known, group: asyncio.TaskGroup, *, say: Say, patience: float
    ) -> None:
        self.known = known
        self.ready = asyncio.Event()
        self.released = asyncio.Event()
        """Set when it takes no more requests: it leaves, or has ended."""

        self._say = say
        self._patience = patience
        self.ended = group.create_task(self._listen())
        """Its exit code, negative for a signal."""

    async def leave(self, cut: asyncio.Event) -> None:
        """Have it end, and return when it has.

        It takes as long as it said that it needs; when `cut` is set it is told again, which
        cuts what it waits for. It is killed `patience` seconds after the time for either.
        """
        if not self.known.leaving:
            self.known.leaving = True
            self._signal(signal.SIGTERM)
        await self._wait_until_it_should_have_ended(cut)
        if cut.is_set():
            self._signal(signal.SIGTERM)
            await asyncio.wait([self.ended], timeout=self._patience)
        self._signal(signal.SIGKILL)
        await asyncio.wait([self.ended])

    def reload(self) -> None:
        """Have it read its configuration again."""
        self._signal(signal.SIGHUP)

    def give_notice(self) -> None:
        """Have it tell balancers that it leaves soon, while it goes on."""
        if not self.known.leaving:
            self._signal(UNREADY)

    async def _wait_until_it_should_have_ended(self, cut: asyncio.Event) -> None:
        # Counted and not timed: a machine that slept has not given it the time.
        waited = 0.0
        while not (self.ended.done() or cut.is_set()) and waited < self._time:
            await asyncio.wait([self.ended], timeout=_POLL_SECONDS)
            waited += _POLL_SECONDS

    @property
    def _time(self) -> float:
        """Seconds that it may take to end."""
        return self.known.grace + self._patience

    async def _listen(self) -> int:
        reader = asyncio.StreamReader()
        transport, _ = await asyncio.get_running_loop().connect_read_pipe(
            lambda: asyncio.StreamReaderProtocol(reader), os.fdopen(self.known.lifeline, "rb")
        )
        missed = 0
        while True:
            try:
                line = await asyncio.wait_for(reader.readline(), BEAT_SECONDS)
            except TimeoutError:
                missed += 1
                self._judge_silence(missed - self._most_silent)
                continue
            if not line:
                break
            if missed >= self._most_silent:
                # It has come back: what it is answering may end, but the next takes its place.
                self._signal(signal.SIGTERM)
            missed = 0
            self._hear(line.decode().split())
        transport.close()
        code = await reap(self.known.pid)
        self.released.set()
        return code

    def _hear(self, words: list[str]) -> None:
        match words:
            case ["ready"]:
                self.ready.set()
            case ["leaving", answers, seconds]:
                self.known.leaving = True
                self.known.grace = float(seconds)
                self.released.set()
                if answers != "0":
                    self._say(
                        f"{subject(self.known.name)} waits for answers to end ({answers}), at most "
                        f"{seconds} s; stopping again cuts them."
                    )

    @property
    def _most_silent(self) -> int:
        return self.known.most_silent if self.ready.is_set() else STARTING_BEATS

    def _judge_silence(self, over: int) -> None:
        """Have a process that hangs, by so many beats `over` the limit, write its stacks into
        the log, and kill it a beat later; one that was stopped goes on meanwhile.
        """
        if over == 0:
            self._say(f"{subject(self.known.name)} hangs. What it is doing:")
            self._signal(STACKS)
            self._signal(signal.SIGCONT)
        elif over > 0:
            self._signal(signal.SIGKILL)

    def _signal(self, number: signal.Signals) -> None:
        # Its number is its own until it has been waited for, which ends `_listen`.
        if not self.ended.done():
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.known.pid, number)


def spawn(
    program: Program, worker: Worker, group: asyncio.TaskGroup, *, say: Say, patience: float
) -> Child:
    """Start a process of a program. Raises OSError when it can't be run."""
    reading, writing = os.pipe()
    sockets = [each.fileno() for each in program.sockets]
    handed = {SOCKETS: ",".join(map(str, sockets)), LIFELINE: str(writing)}
    if worker.of > 1:
        handed[WORKER] = f"{worker.number}/{worker.of}"
    try:
        process = subprocess.Popen(
            program.command,
            env={**program.environ, **handed},
            stdin=subprocess.DEVNULL,
            pass_fds=[*sockets, *program.passed_files, writing],
            preexec_fn=child_of(os.getpid()),
        )
    except OSError:
        os.close(reading)
        raise
    finally:
        os.close(writing)
    process.returncode = 0  # it is waited for by its number, as those of an earlier life are
    known = Known(program.name_of(worker), process.pid, reading, program.most_silent)
    return Child(known, group, say=say, patience=patience)


async def reap(pid: int) -> int:
    """Wait for the end of a child; return its exit code, negative for a signal."""
    while True:
        ended, status = os.waitpid(pid, os.WNOHANG)  # noqa: ASYNC222 - returns at once
        if ended:
            return os.waitstatus_to_exitcode(status)
        await asyncio.sleep(_POLL_SECONDS)


def child_of(parent: int) -> Callable[[], None]:
    """Return what a child runs before its program, so that it ends with this process."""
    libc = ctypes.CDLL(None)

    def prepare() -> None:
        # A terminal sends Ctrl-C and its own end to the whole group; only this process
        # shall end a program. What it does not answer, or not yet, must not end it either.
        signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGINT, signal.SIGHUP, UNREADY))
        if sys.platform == "linux":
            libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
            if os.getppid() != parent:
                os._exit(1)

    return prepare


def subject(name: str) -> str:
    """How a sentence about a process begins."""
    if name[-1:].isdigit():
        return name.capitalize()
    return f"The {name}"


def ending(code: int) -> str:
    """Say how a process with this exit code has ended."""
    if code < 0:
        return signal.Signals(-code).name
    return f"exit code {code}"
