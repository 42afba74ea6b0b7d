"""What of a launcher stays: the process that keeps the programs running.

To prepare a start takes libraries that would stay in memory for as long as the gateway runs. So
the launcher replaces itself (execve) by this, which imports the standard library and, with a
tunnel, what a tunnel takes.
"""

import asyncio
import json
import os
import signal
import socket
import sys
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, NoReturn

from manage_api.addresses import unresolved
from manage_api.command.child import Known, Program, Say, tell
from manage_api.command.daemon import NOT_RESTARTED, Daemon
from manage_api.command.handover import (
    SIGNALS,
    Handover,
    KeptTunnel,
    become,
    command,
    left_to,
    run_anew,
)
from manage_api.command.supervise import Supervisor
from shared.clock import SystemClock
from shared.errors import StoreError, ThinkbackError

if TYPE_CHECKING:
    from manage_api.command.tunnel import Tunnel

__all__ = ("Plan", "Task", "exit_status", "received", "stay", "with_words")


class Host(NamedTuple):
    """An upstream whose name may be one that nobody can resolve."""

    name: str
    host: str


@dataclass(frozen=True, kw_only=True)
class Task:
    """A program to keep running, and where it listens."""

    name: str
    command: list[str]
    address: str
    sockets: list[int]
    """Descriptors."""

    most_silent: int
    workers: int = 1
    """Processes that run it side by side."""


@dataclass(kw_only=True)
class Plan:
    """What a launcher tells the process that stays."""

    arguments: list[str]
    """Of the launcher's command, to run it anew."""

    environ: dict[str, str]
    """The launcher's, with its secrets."""

    program_environ: dict[str, str]
    passed_file: int
    """The descriptor of what the programs inherit beside their sockets."""

    tasks: list[Task]
    predecessors: list[Known]
    database_url: str
    ready: str
    """What to say once all work."""

    hosts: list[Host]
    """Those to resolve; nobody else says which can't be."""

    notice: int = 0
    """Seconds between telling balancers that all leave and leaving."""

    background: str = ""
    """The directory of the background process; empty for one in the foreground."""

    lock: int | None = None
    """The descriptor that holds its lock."""

    tunnel: dict[str, Any] | None = None
    """The program that opens a tunnel, and how it is run."""

    kept: KeptTunnel | None = None
    """The tunnel that an earlier life of this process has left."""

    def descriptors(self) -> list[int]:
        """All that it inherits."""
        files = [fd for task in self.tasks for fd in task.sockets]
        files += [self.passed_file, *(known.lifeline for known in self.predecessors)]
        if self.lock is not None:
            files.append(self.lock)
        if self.kept:
            files += [self.kept.output, self.kept.lock]
        return files

    def encoded(self) -> bytes:
        """As `received` reads it."""
        return json.dumps(asdict(self)).encode()

    def leave_to(self, file: int) -> NoReturn:
        """Replace this process by the one that stays; `file` has no name, and gets the plan."""
        with open(file, "wb", closefd=False) as left:
            left.write(self.encoded())
        tunnel = "with-tunnel" if self.tunnel else "without-tunnel"
        arguments = [sys.executable, "-P", "-m", "manage_api.command", str(file), tunnel]
        arguments += ["thinkback", *self.arguments]
        become(arguments, self.program_environ, [file, *self.descriptors()])


def received(file: int) -> Plan:
    """Take the plan that a launcher has left, and what it has opened."""
    with open(file, encoding="utf-8") as left:
        left.seek(0)
        members = json.load(left)
    members["tasks"] = [Task(**each) for each in members["tasks"]]
    members["predecessors"] = [Known(**each) for each in members["predecessors"]]
    members["hosts"] = [Host(*each) for each in members["hosts"]]
    if members["kept"]:
        members["kept"] = KeptTunnel(**members["kept"])
    plan = Plan(**members)
    for fd in plan.descriptors():
        os.set_inheritable(fd, False)  # each process gets its own, and a restart what it keeps
    return plan


def stay(plan: Plan) -> int:
    """Keep the programs of the plan running until SIGINT or SIGTERM; return an exit code.

    The first of them lets running answers end, the second cuts them. SIGHUP has the programs
    read their configuration again; SIGUSR2 runs all anew, with the code and the configuration
    that are there by then. A tunnel is open until all answers have ended.
    """
    try:
        if not plan.background:
            return asyncio.run(_stay(plan))
        daemon = Daemon(Path(plan.background))
        with daemon.hold(plan.lock):
            return asyncio.run(_stay(plan, daemon))
    except ThinkbackError as error:
        print(error, file=sys.stderr)  # noqa: T201
        return 1


def exit_status(code: int) -> int:
    """The status to exit with: `make` is silent about a failure that a person was told."""
    if "THINKBACK_FROM_MAKE" in os.environ and sys.stderr.isatty():
        return 0
    return code


async def _stay(plan: Plan, daemon: Daemon | None = None) -> int:
    say: Say = tell
    if daemon:
        say = _said_and_noted(say, daemon)
    tunnel = _tunnel(plan, say)
    supervisor = Supervisor(
        list(_programs(plan)),
        say=say,
        clock=SystemClock(),
        predecessors=plan.predecessors,
        notice=plan.notice,
    )
    async with asyncio.TaskGroup() as group:
        restart = _Restart(supervisor, plan, say, tunnel, daemon)
        _answer_signals(supervisor, lambda: group.create_task(restart()), say)
        tending = [group.create_task(_tell_unresolved(plan.hosts, say))]
        if daemon:
            works = (daemon.keep_log_small(), daemon.beat())
            tending += [group.create_task(work) for work in works]

        def begin() -> None:
            say(plan.ready)
            # Told of before both programs work, an address would be one that answers nobody.
            if tunnel:
                tending.append(group.create_task(tunnel.keep()))

        code = await supervisor.run(when_ready=begin)
        for task in tending:
            task.cancel()
    _checkpoint(plan.database_url)
    return code


def _programs(plan: Plan) -> Iterable[Program]:
    for task in plan.tasks:
        yield Program(
            name=task.name,
            command=tuple(task.command),
            environ=plan.program_environ,
            passed_files=(plan.passed_file,),
            sockets=tuple(socket.socket(fileno=fd) for fd in task.sockets),
            most_silent=task.most_silent,
            workers=task.workers,
        )


def _tunnel(plan: Plan, say: Say) -> "Tunnel | None":
    if plan.tunnel is None:
        return None
    # Configuration and database, for what is said of a tunnel: only who wants one pays for them.
    from manage_api.command.tunnel import reopen_tunnel

    return reopen_tunnel(plan.tunnel, plan.environ, plan.database_url, say=say, kept=plan.kept)


async def _tell_unresolved(hosts: Iterable[Host], say: Say) -> None:
    """Say which upstreams' names can't be resolved, while the programs start."""
    for sentence in await asyncio.to_thread(unresolved, hosts):
        say(sentence)


def _answer_signals(supervisor: Supervisor, restart: Callable[[], object], say: Say) -> None:
    terminal = _has_terminal()

    def leave() -> None:
        if supervisor.leaving:
            say("Cutting the answers that still run.")
        else:
            say("Stopping the data plane and the sidecar.")
        supervisor.leave()

    def hang_up() -> None:
        # A terminal that closes sends the same as an operator who wants a reload.
        if terminal and not _has_terminal():
            leave()
        supervisor.reload()

    answers = (leave, leave, hang_up, restart)
    for number, answer in zip(SIGNALS, answers, strict=True):
        asyncio.get_running_loop().add_signal_handler(number, answer)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)  # an earlier life has blocked them


def _said_and_noted(say: Say, daemon: Daemon) -> Say:
    def both(text: str) -> None:
        say(text)
        daemon.note(text)

    return both


class _Restart:
    """Runs the launcher anew, when what is installed and configured now can be used."""

    def __init__(
        self,
        supervisor: Supervisor,
        plan: Plan,
        say: Say,
        tunnel: "Tunnel | None",
        daemon: Daemon | None,
    ) -> None:
        self._supervisor = supervisor
        self._plan = plan
        self._say = say
        self._tunnel = tunnel
        self._daemon = daemon
        self._under_way = asyncio.Lock()

    async def __call__(self) -> None:
        """Restart, unless that is under way."""
        if not self._under_way.locked():
            async with self._under_way:
                await self._restart()

    async def _restart(self) -> None:
        plan = self._plan
        sockets = self._supervisor.sockets()
        handover = Handover(
            sockets={
                task.address: [each.fileno() for each in sockets[task.name]] for task in plan.tasks
            },
            lock=self._daemon.lock if self._daemon else None,
        )
        arguments = plan.arguments
        if self._daemon:
            arguments = with_words(arguments, self._daemon.take_words())
        rehearsal = await asyncio.create_subprocess_exec(
            *command(*arguments, "--rehearse"),
            env=left_to(handover, plan.environ),
            stdin=asyncio.subprocess.DEVNULL,
        )
        if await rehearsal.wait():
            self._say(f"{NOT_RESTARTED} it could not start. The lines above say why.")
            return
        if self._supervisor.leaving:
            return  # it was stopped meanwhile
        handover.processes = self._supervisor.known()
        handover.tunnel = self._tunnel.kept if self._tunnel else None
        run_anew(handover, plan.environ, arguments)


def with_words(arguments: Iterable[str], words: Iterable[str]) -> list[str]:
    """A command's arguments with other options, each written `--name=text`."""
    names = tuple(f"{word.partition('=')[0]}=" for word in words)
    return [*(each for each in arguments if not each.startswith(names)), *words]


def _has_terminal() -> bool:
    """Whether a terminal controls this process, and is still there."""
    try:
        os.close(os.open("/dev/tty", os.O_RDONLY | os.O_NOCTTY))
    except OSError:
        return False
    return True


def _checkpoint(database_url: str) -> None:
    """Move the write-ahead log into the database, as closing the last connection does: a copy
    of the one file is then a copy of all.
    """
    from shared.store import is_postgres, open_engine  # at the end: it was not there all the time

    if is_postgres(database_url):
        return
    with suppress(StoreError):  # it can't be opened now: the log stays beside it
        open_engine(database_url).close()
