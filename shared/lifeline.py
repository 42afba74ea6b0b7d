"""What a program has of its supervisor: the sockets to listen on, and a pipe to tell that it lives.

The supervisor opens the sockets, so that they outlive each process that listens on them, and
names them and the pipe by their descriptors in the environment, with which of several it is. On
the pipe a program says `ready` once, `alive` each second, and `leaving <answers> <seconds>` when it
takes no more requests: how many answers it waits for, and how long. A pipe and not a port: no
stranger can keep it busy. Started by hand, a program has neither.
"""

import asyncio
import contextlib
import faulthandler
import os
import signal
import socket
from collections.abc import Mapping
from typing import NamedTuple

__all__ = (
    "BEAT_SECONDS",
    "LIFELINE",
    "SOCKETS",
    "STACKS",
    "UNREADY",
    "WORKER",
    "Lifeline",
    "Worker",
    "handed_sockets",
    "worker",
)

SOCKETS = "THINKBACK_SOCKETS"
"""The environment variable with the descriptors of the sockets, separated by commas."""

LIFELINE = "THINKBACK_LIFELINE"
"""The one with the descriptor of the pipe."""

WORKER = "THINKBACK_WORKER"
"""The one that says which of several processes it is, like `2/4`; unset for one alone."""

BEAT_SECONDS = 1.0

STACKS = signal.SIGUSR1
"""The signal that has a program write what all its threads are doing into the log."""

UNREADY = signal.SIGUSR2
"""The one that has a program say, to those who ask whether it is ready, that it soon is no more."""


class Worker(NamedTuple):
    """Which of the processes that share a program's sockets a process is."""

    number: int = 1
    of: int = 1

    @property
    def name(self) -> str:
        """What the log and people call it; empty for one alone."""
        return f"worker {self.number}" if self.of > 1 else ""


def worker(environ: Mapping[str, str]) -> Worker:
    """Which of several processes this one is, as the supervisor says."""
    number, _, of = environ.get(WORKER, "1/1").partition("/")
    return Worker(int(number), int(of))


def handed_sockets(environ: Mapping[str, str]) -> list[socket.socket]:
    """The sockets that the supervisor opened for this program; none without a supervisor."""
    return [socket.socket(fileno=int(fd)) for fd in environ.get(SOCKETS, "").split(",") if fd]


class Lifeline:
    """The program's end of the pipe; without a supervisor nothing is told to nobody."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._fd = int(environ.get(LIFELINE, "-1"))
        if self._fd >= 0:
            # A supervisor that has stopped reading must not stop its programs.
            os.set_blocking(self._fd, False)

    def tell(self, line: str) -> None:
        """Tell the supervisor; one that is gone, or does not read, misses it."""
        if self._fd >= 0:
            with contextlib.suppress(OSError):
                os.write(self._fd, f"{line}\n".encode())

    def begin(self) -> None:
        """Tell that the program works; from here on its silence means that it hangs."""
        faulthandler.register(STACKS, all_threads=True)
        self.tell("ready")

    async def beat(self) -> None:
        """Begin, and tell that the loop turns until cancelled."""
        self.begin()
        while True:
            await asyncio.sleep(BEAT_SECONDS)
            self.tell("alive")
