"""Keeps child processes running; they never outlive this one."""

import asyncio
import ctypes
import os
import signal
import sys
from collections.abc import Callable, Mapping, Sequence
from urllib.parse import urlsplit

import msgspec

from shared.clock import Clock

__all__ = ("Program", "Say", "is_healthy", "supervise")

_FIRST_TRIES = 3
"""Starts without an answer after which it is the installation that is broken, not luck."""

_FIRST_DELAY = 0.5
"""Seconds before the first restart; each further one waits twice as long."""

_MAX_DELAY = 30.0
"""A program that needs a person's help is still back soon after they helped."""

_STEADY_SECONDS = 60.0
"""A program that ran for so long starts over with the shortest delay."""

_PROBE_SECONDS = 0.1
"""Between looks at a program that starts: a person waits for it."""

_PR_SET_PDEATHSIG = 1
"""From linux/prctl.h: the signal that the kernel sends when the parent dies."""

type Say = Callable[[str], None]


class Program(msgspec.Struct, frozen=True, kw_only=True):
    """A program to keep running."""

    name: str
    command: tuple[str, ...]
    environ: Mapping[str, str]
    url: str
    """Its own address, like `http://127.0.0.1:8788`; `/healthz` there answers 200 once it works."""

    passed_files: tuple[int, ...] = ()
    """Descriptors that it inherits."""


async def supervise(
    programs: Sequence[Program],
    *,
    stop: asyncio.Event,
    when_ready: Callable[[], None],
    say: Say,
    clock: Clock,
    patience: float = 10.0,
) -> int:
    """Run the programs until `stop` is set, then end them; return an exit code.

    A program that dies is restarted after a growing delay of up to 30 s. One that dies three
    times without ever answering ends them all with its exit code. `when_ready` is called
    once all have answered. `patience` is the seconds from SIGTERM to SIGKILL.
    """
    keepers = [_Keeper(program, say, clock, patience) for program in programs]
    async with asyncio.TaskGroup() as group:
        running = [group.create_task(keeper.run()) for keeper in keepers]
        stopping = group.create_task(stop.wait())
        announcing = group.create_task(_announce(keepers, when_ready))
        await asyncio.wait([*running, stopping], return_when=asyncio.FIRST_COMPLETED)
        failed_codes = [task.result() for task in running if task.done()]
        for task in (*running, stopping, announcing):
            task.cancel()
    return next(iter(failed_codes), 0)


async def _announce(keepers: "Sequence[_Keeper]", when_ready: Callable[[], None]) -> None:
    for keeper in keepers:
        await keeper.answered.wait()
    when_ready()


class _Keeper:
    """Keeps one program running; cancelling `run` ends the process."""

    def __init__(self, program: Program, say: Say, clock: Clock, patience: float) -> None:
        self.answered = asyncio.Event()
        self._program = program
        self._say = say
        self._clock = clock
        self._patience = patience

    async def run(self) -> int:
        """Run until the program fails to start; return its exit code, never 0."""
        failures = 0
        while True:
            started = self._clock.monotonic()
            code = await self._run_once()
            if self._clock.monotonic() - started > _STEADY_SECONDS:
                failures = 0
            failures += 1
            if failures == _FIRST_TRIES and not self.answered.is_set():
                self._say(
                    f"The {self._program.name} does not start ({_ending(code)}): "
                    "see the lines above."
                )
                return max(code, 1)
            delay = min(_MAX_DELAY, _FIRST_DELAY * 2 ** min(failures - 1, 10))
            self._say(
                f"The {self._program.name} ended ({_ending(code)}); restarting it in {delay:g} s."
            )
            await asyncio.sleep(delay)

    async def _run_once(self) -> int:
        try:
            process = await asyncio.create_subprocess_exec(
                *self._program.command,
                env=self._program.environ,
                pass_fds=self._program.passed_files,
                stdin=asyncio.subprocess.DEVNULL,
                preexec_fn=_child_of(os.getpid()),
            )
        except OSError as error:
            self._say(f"Can't run {self._program.command[0]}: {error.strerror}.")
            return 1
        async with asyncio.TaskGroup() as group:
            probing = group.create_task(self._probe())
            try:
                return await process.wait()
            finally:
                probing.cancel()
                await _end(process, self._patience)

    async def _probe(self) -> None:
        while not self.answered.is_set():
            if await is_healthy(self._program.url):
                self.answered.set()
            else:
                await asyncio.sleep(_PROBE_SECONDS)


def _child_of(parent: int) -> Callable[[], None]:
    """Return what the child runs before its program."""
    libc = ctypes.CDLL(None)

    def prepare() -> None:
        # A terminal sends Ctrl-C and its own end to the whole group; only this process
        # shall end a program, and once: mitmproxy does not survive a second signal while it
        # closes.
        signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGINT, signal.SIGHUP))
        if sys.platform == "linux":
            libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
            if os.getppid() != parent:
                os._exit(1)

    return prepare


async def _end(process: asyncio.subprocess.Process, patience: float) -> None:
    if process.returncode is not None:
        return
    process.terminate()
    try:
        async with asyncio.timeout(patience):
            await process.wait()
    except TimeoutError:
        process.kill()
        await process.wait()


async def is_healthy(url: str) -> bool:
    """Whether `/healthz` of the program at this address answers 200 within 2 s."""
    parts = urlsplit(url)
    try:
        async with asyncio.timeout(2):
            reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
            try:
                head = f"GET /healthz HTTP/1.1\r\nHost: {parts.netloc}\r\nConnection: close\r\n\r\n"
                writer.write(head.encode())
                return b" 200 " in await reader.readline()
            finally:
                writer.close()
    except (OSError, TimeoutError):
        return False


def _ending(code: int) -> str:
    if code < 0:
        return signal.Signals(-code).name
    return f"exit code {code}"
