"""What a launcher leaves to itself when it runs its program anew: sockets and processes.

`thinkback restart` replaces the launcher's program in place (execve), so its number stays,
its children stay its children, and the sockets stay open. What it must know of them goes
by the environment.
"""

import json
import os
import signal
import socket
import sys
from collections.abc import Iterable, Mapping, MutableMapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import NoReturn

from manage_api.addresses import listen
from manage_api.command.child import Known

__all__ = (
    "SIGNALS",
    "Handover",
    "KeptTunnel",
    "become",
    "command",
    "left_to",
    "run_anew",
    "take_over",
)

_HANDOVER = "THINKBACK_HANDOVER"

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR2)
"""What a launcher answers; each would end a process that is just starting."""


@dataclass
class KeptTunnel:
    """What has to be known of a tunnel to go on keeping it."""

    pid: int
    output: int
    """The descriptor at which what it prints is read."""

    url: str = ""
    lock: int = -1
    """The descriptor that holds the announcement's file."""


@dataclass
class Handover:
    """The descriptors and processes of a launcher's earlier life; empty at its first start."""

    sockets: dict[str, list[int]] = field(default_factory=dict)
    """By the address that was listened on."""

    processes: list[Known] = field(default_factory=list)
    lock: int | None = None
    """The descriptor that holds the lock of the background process."""

    tunnel: KeptTunnel | None = None

    def open_sockets(self, address: str) -> tuple[socket.socket, ...]:
        """The sockets that listen on `address`, opened unless they were handed over; OSError
        if that can't be done. Each is given once.
        """
        if address not in self.sockets:
            return tuple(listen(address))
        return tuple(socket.socket(fileno=fd) for fd in self.sockets.pop(address))

    def close(self) -> None:
        """Close the sockets of addresses that are listened on no more."""
        for fds in self.sockets.values():
            for fd in fds:
                os.close(fd)
        self.sockets.clear()


def take_over(environ: MutableMapping[str, str]) -> Handover:
    """Take what an earlier life has left out of the environment."""
    left = environ.pop(_HANDOVER, "")
    if not left:
        return Handover()
    members = json.loads(left)
    members["processes"] = [Known(**each) for each in members["processes"]]
    if members["tunnel"]:
        members["tunnel"] = KeptTunnel(**members["tunnel"])
    return Handover(**members)


def run_anew(
    handover: Handover, environ: Mapping[str, str], arguments: Sequence[str] | None = None
) -> NoReturn:
    """Run this command again in place of this process, and leave it all that is handed over;
    the `arguments` are those of this process unless given.
    """
    if arguments is None:
        arguments = sys.argv[1:]
    kept = [fd for fds in handover.sockets.values() for fd in fds]
    kept += [known.lifeline for known in handover.processes]
    kept += [] if handover.lock is None else [handover.lock]
    if handover.tunnel:
        kept += [handover.tunnel.output, handover.tunnel.lock]
    become(command(*arguments), left_to(handover, environ), kept)


def become(arguments: Sequence[str], environ: Mapping[str, str], kept: Iterable[int]) -> NoReturn:
    """Run another Python program in place of this process, which inherits what is `kept` open."""
    for fd in kept:
        os.set_inheritable(fd, True)
    signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
    os.execve(sys.executable, [*arguments], environ)  # noqa: S606


def command(*arguments: str) -> tuple[str, ...]:
    """How `thinkback` is run with the code that is installed now."""
    return (sys.executable, "-m", "manage_api.command.cli", *arguments)


def left_to(handover: Handover, environ: Mapping[str, str]) -> dict[str, str]:
    """The environment with what is left in it."""
    return {**environ, _HANDOVER: json.dumps(asdict(handover))}
