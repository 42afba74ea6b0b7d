"""Keeps child processes running; they never outlive this one."""

import asyncio
import socket
from collections.abc import Callable, Iterable, Sequence
from weakref import WeakSet

from manage_api.command.child import Child, Known, Program, Say, ending, spawn
from shared.clock import Clock

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

    A program that dies is restarted after a growing delay of up to 5 s; one that leaves by
    itself has its successor at once. One that dies three times without ever saying that it
    works ends them all with its exit code. `patience` is the seconds from a signal to
    SIGKILL.
    """

    def __init__(
        self,
        programs: Sequence[Program],
        *,
        say: Say,
        clock: Clock,
        patience: float = 10.0,
        predecessors: Iterable[Known] = (),
    ) -> None:
        """`predecessors` are processes of the same programs that work still: each leaves when
        its successor works.
        """
        self._leave, self._cut = asyncio.Event(), asyncio.Event()
        self._keepers = [_Keeper(one, say, clock, patience, self._cut) for one in programs]
        self._predecessors = tuple(predecessors)

    async def run(self, when_ready: Callable[[], None]) -> int:
        """Keep them running, then have them leave; return an exit code.

        `when_ready` is called once all say that they work.
        """
        async with asyncio.TaskGroup() as group:
            for keeper in self._keepers:
                name = keeper.program.name
                keeper.adopt([one for one in self._predecessors if one.name == name], group)
            running = [group.create_task(keeper.run(group)) for keeper in self._keepers]
            announcing = group.create_task(self._announce(when_ready))
            leaving = group.create_task(self._leave.wait())
            await asyncio.wait([*running, leaving], return_when=asyncio.FIRST_COMPLETED)
            codes = [task.result() for task in running if task.done()]
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

    async def _announce(self, when_ready: Callable[[], None]) -> None:
        for keeper in self._keepers:
            await keeper.answered.wait()
        when_ready()


class _Keeper:
    """Keeps one program running."""

    def __init__(
        self, program: Program, say: Say, clock: Clock, patience: float, cut: asyncio.Event
    ) -> None:
        self.program = program
        self.answered = asyncio.Event()
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

    def adopt(self, predecessors: Iterable[Known], group: asyncio.TaskGroup) -> None:
        """Take over processes, each of which works until its successor does."""
        for known in predecessors:
            child = Child(known, group, say=self._say, patience=self._patience)
            self._children.append(child)
            if known.leaving:
                self._see_off(child, group)

    async def run(self, group: asyncio.TaskGroup) -> int:
        """Run until the program fails to start; return its exit code, never 0."""
        failures = 0
        while True:
            started = self._clock.monotonic()
            code = await self._run_once(group)
            if code is None:
                continue
            if self._clock.monotonic() - started > _STEADY_SECONDS:
                failures = 0
            failures += 1
            if failures >= _FIRST_TRIES and not (self.answered.is_set() or self.children):
                self._say(
                    f"The {self.program.name} does not start ({ending(code)}): see the lines above."
                )
                return max(code, 1)
            delay = min(_MAX_DELAY, _FIRST_DELAY * 2 ** min(failures - 1, 10))
            self._say(
                f"The {self.program.name} ended ({ending(code)}); restarting it in {delay:g} s."
            )
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
            child = spawn(self.program, group, say=self._say, patience=self._patience)
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
        for other in self.children:
            if other is not child:
                self._see_off(other, group)

    def _see_off(self, child: Child, group: asyncio.TaskGroup) -> None:
        if child not in self._leaving:
            self._leaving.add(child)
            group.create_task(child.leave(self._cut))
