"""What a launcher leaves to itself when it runs its program anew: sockets and processes.

`thinkback restart` replaces the launcher's program in place (execve), so its number stays,
its children stay its children, and the sockets stay open. What it must know of them goes
by the environment.
"""

import os
import signal
import socket
import sys
from collections.abc import Mapping, MutableMapping

import msgspec

from manage_api.addresses import listen
from manage_api.command.child import Known
from manage_api.command.tunnel import KeptTunnel

__all__ = ("SIGNALS", "Handover", "run_anew", "take_over")

_HANDOVER = "THINKBACK_HANDOVER"

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR2)
"""What a launcher answers; each would end a process that is just starting."""


class Handover(msgspec.Struct):
    """The descriptors and processes of a launcher's earlier life; empty at its first start."""

    sockets: dict[str, list[int]] = {}
    """By the address that was listened on."""

    processes: list[Known] = []
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
    return msgspec.json.decode(left, type=Handover) if left else Handover()


def run_anew(handover: Handover, environ: Mapping[str, str]) -> None:
    """Run this command again in place of this process, and leave it all that is handed over."""
    kept = [fd for fds in handover.sockets.values() for fd in fds]
    kept += [known.lifeline for known in handover.processes]
    kept += [] if handover.lock is None else [handover.lock]
    if handover.tunnel:
        kept += [handover.tunnel.output, handover.tunnel.lock]
    for fd in kept:
        os.set_inheritable(fd, True)
    signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
    os.execve(sys.executable, command(*sys.argv[1:]), left_to(handover, environ))  # noqa: S606


def command(*arguments: str) -> tuple[str, ...]:
    """How `thinkback` is run with the code that is installed now."""
    return (sys.executable, "-m", "manage_api.command.cli", *arguments)


def left_to(handover: Handover, environ: Mapping[str, str]) -> dict[str, str]:
    """The environment with what is left in it."""
    return {**environ, _HANDOVER: msgspec.json.encode(handover).decode()}
