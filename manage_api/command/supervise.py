"""Keeps child processes running; they never outlive this one."""

import asyncio
import socket
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from weakref import WeakSet

from manage_api.command.child import Child, Known, Program, Say, ending, spawn, subject
from shared.clock import Clock
from shared.lifeline import Worker

__all__ = ("Supervisor",)

_FIRST_TRIES = 3
"""Starts without an answer after which it is the installation that is broken, not luck."""

_FIRST_DELAY = 0.5
"""Seconds before the first restart; each further one waits twice as long."""

_MAX_DELAY = 5.0
"""Clients wait meanwhile, as the port stays open: no longer than they wait for a slow model."""

_STEADY_SECONDS = 10.0
"""A program that ran for so long starts over with the shortest delay."""


class Supervisor:
    """Runs programs until it is told to leave.

    A process that dies is restarted after a growing delay of up to 5 s; one that leaves by
    itself has its successor at once. A program that dies three times without ever saying that it
    works ends them all with its exit code; its further workers start when the first one works.
    `patience` is the seconds from a signal to SIGKILL.
    """

    def __init__(
        self,
        programs: Sequence[Program],
        *,
        say: Say,
        clock: Clock,
        patience: float = 10.0,
        predecessors: Iterable[Known] = (),
        notice: float = 0.0,
    ) -> None:
        """`predecessors` are processes of the same programs that work still: each leaves when
        its successor works, and one whose program has fewer workers now when the last does.
        `notice` is the seconds between telling balancers that all leave and leaving.
        """
        self._leave, self._cut = asyncio.Event(), asyncio.Event()
        self._keepers = [
            _Keeper(one, Worker(number, one.workers), proven, say, clock, patience, self._cut)
            for one, proven in ((one, asyncio.Event()) for one in programs)
            for number in range(1, one.workers + 1)
        ]
        self._predecessors = tuple(predecessors)
        self._notice = notice

    async def run(self, when_ready: Callable[[], None]) -> int:
        """Keep them running, then have them leave; return an exit code.

        `when_ready` is called once all say that they work.
        """
        async with asyncio.TaskGroup() as group:
            self._adopt(group)
            running = [group.create_task(keeper.run(group)) for keeper in self._keepers]
            announcing = group.create_task(self._announce(when_ready))
            leaving = group.create_task(self._leave.wait())
            await asyncio.wait([*running, leaving], return_when=asyncio.FIRST_COMPLETED)
            codes = [task.result() for task in running if task.done()]
            if self._notice and not codes:
                await self._give_notice()
            for task in (*running, announcing, leaving):
                task.cancel()
            for keeper in self._keepers:
                keeper.end(group)
        return next(iter(codes), 0)

    @property
    def leaving(self) -> bool:
        """Whether it has been told to leave."""
        return self._leave.is_set()

    def leave(self) -> None:
        """Have all end what they are answering, then end; told again, cut that."""
        if self.leaving:
            self._cut.set()
        self._leave.set()

    def reload(self) -> None:
        """Have all read their configuration again."""
        for keeper in self._keepers:
            for child in keeper.children:
                child.reload()

    def known(self) -> list[Known]:
        """All processes that run."""
        return [child.known for keeper in self._keepers for child in keeper.children]

    def sockets(self) -> dict[str, tuple[socket.socket, ...]]:
        """What each program listens on, by its name."""
        return {keeper.program.name: keeper.program.sockets for keeper in self._keepers}

    async def _give_notice(self) -> None:
        for keeper in self._keepers:
            for child in keeper.children:
                child.give_notice()
        with suppress(TimeoutError):
            async with asyncio.timeout(self._notice):
                await self._cut.wait()

    def _adopt(self, group: asyncio.TaskGroup) -> None:
        keepers = {keeper.name: keeper for keeper in self._keepers}
        for known in self._predecessors:
            keepers.get(known.name, self._keepers[-1]).adopt(known, group)

    async def _announce(self, when_ready: Callable[[], None]) -> None:
        for keeper in self._keepers:
            await keeper.answered.wait()
        when_ready()


class _Keeper:
    """Keeps one process of a program running."""

    def __init__(
        self,
        program: Program,
        worker: Worker,
        proven: asyncio.Event,
        say: Say,
        clock: Clock,
        patience: float,
        cut: asyncio.Event,
    ) -> None:
        """`proven` is set as soon as any worker of the program works."""
        self.program = program
        self.name = program.name_of(worker)
        self.answered = asyncio.Event()
        self._worker = worker
        self._proven = proven
        self._say = say
        self._clock = clock
        self._patience = patience
        self._cut = cut
        self._children: list[Child] = []
        self._leaving: WeakSet[Child] = WeakSet()

    @property
    def children(self) -> list[Child]:
        """Its processes that have not ended."""
        return [child for child in self._children if not child.ended.done()]

    def adopt(self, known: Known, group: asyncio.TaskGroup) -> None:
        """Take over a process, which works until its successor does."""
        child = Child(known, group, say=self._say, patience=self._patience)
        self._children.append(child)
        if known.leaving:
            self._see_off(child, group)

    async def run(self, group: asyncio.TaskGroup) -> int:
        """Run until the program fails to start; return its exit code, never 0."""
        if self._worker.number > 1:
            await self._proven.wait()
        failures = 0
        while True:
            started = self._clock.monotonic()
            code = await self._run_once(group)
            if code is None:
                continue
            if self._clock.monotonic() - started > _STEADY_SECONDS:
                failures = 0
            failures += 1
            if failures >= _FIRST_TRIES and not (self._proven.is_set() or self.children):
                self._say(
                    f"{subject(self.name)} does not start ({ending(code)}): see the lines above."
                )
                return max(code, 1)
            delay = min(_MAX_DELAY, _FIRST_DELAY * 2 ** min(failures - 1, 10))
            self._say(f"{subject(self.name)} ended ({ending(code)}); restarting it in {delay:g} s.")
            await asyncio.sleep(delay)

    def end(self, group: asyncio.TaskGroup) -> None:
        """Have all its processes leave; whoever asks for a connection now is refused."""
        for each in self.program.sockets:
            each.close()
        for child in self.children:
            self._see_off(child, group)

    async def _run_once(self, group: asyncio.TaskGroup) -> int | None:
        """Run a process until it takes no more requests; its exit code, None when it leaves."""
        try:
            child = spawn(self.program, self._worker, group, say=self._say, patience=self._patience)
        except OSError as error:
            self._say(f"Can't run {self.program.command[0]}: {error.strerror}.")
            return 1
        self._children = [*self.children, child]
        succeeding = group.create_task(self._succeed(child, group))
        try:
            await child.released.wait()
        finally:
            succeeding.cancel()
        if child.ended.done() or not child.known.leaving:
            return await child.ended
        self._see_off(child, group)
        return None

    async def _succeed(self, child: Child, group: asyncio.TaskGroup) -> None:
        """When the process works, let the earlier ones go."""
        await child.ready.wait()
        self.answered.set()
        self._proven.set()
        for other in self.children:
            if other is not child:
                self._see_off(other, group)

    def _see_off(self, child: Child, group: asyncio.TaskGroup) -> None:
        if child not in self._leaving:
            self._leaving.add(child)
            group.create_task(child.leave(self._cut))
