"""The public URL that a tunnel has now, told to the programs that run.

It stands in a file that the process which keeps the tunnel locks (flock(2)): what a crash has
left there counts for nothing, so that no URL outlives its tunnel.
"""

import fcntl
import os
import time
from collections.abc import Mapping

from shared.errors import ThinkbackError

__all__ = ("TUNNEL_FILE", "Announcement", "announced")

TUNNEL_FILE = "THINKBACK_TUNNEL"
"""The environment variable with the file's path."""

_LENGTH = 300
"""A fixed size, larger than any URL of a host: a reader sees the old one or the new one."""

_TRIES = 20
_DELAY = 0.05
"""Together a second: a reader holds the lock for an instant, another tunnel for long."""


class Announcement:
    """The URL in the file, which is this process's own until it is closed."""

    def __init__(self, path: str, lock: int | None = None) -> None:
        """`lock` is the descriptor by which an earlier life of this process holds the file.
        Raises ThinkbackError when another process keeps a tunnel, or the file can't be
        written.
        """
        if lock is not None:
            self.lock = lock
            return
        try:
            self.lock = _locked(path)
            self.tell("")  # what a crash has left would count from here on
        except OSError as error:
            raise ThinkbackError(f"Can't write {path}: {error.strerror}.") from error

    def tell(self, url: str) -> None:
        """Have the programs use this URL, within a second or two."""
        os.pwrite(self.lock, url.encode().ljust(_LENGTH), 0)

    def close(self) -> None:
        """Have them use what is configured."""
        self.tell("")
        os.close(self.lock)


def announced(environ: Mapping[str, str]) -> str:
    """Return the URL of the tunnel that is kept now; empty when there is none."""
    try:
        with open(environ[TUNNEL_FILE], encoding="ascii") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                return file.read().strip()
    except (KeyError, OSError):
        return ""
    return ""


def _locked(path: str) -> int:
    lock = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    for _ in range(_TRIES):
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            time.sleep(_DELAY)
        else:
            return lock
    os.close(lock)
    raise ThinkbackError("A tunnel to this gateway runs already: stop that one first.")
