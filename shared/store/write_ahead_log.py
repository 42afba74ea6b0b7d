"""SQLite's write-ahead log, the file that commits are appended to (https://www.sqlite.org/wal.html):
when it is flushed to the disk, and when its pages are moved into the database.
"""

import logging
import os
from pathlib import Path
from threading import Lock

from pysqlite3 import dbapi2

__all__ = ("CHECKPOINT_STATEMENTS", "WriteAheadLog")

log = logging.getLogger("thinkback.store")

CHECKPOINT_STATEMENTS = 1000
LONG_LOG_PAGES = 4_000
"""From here on (16 MB) the log is to begin anew. SQLite does that at a write before which all
pages are moved (https://www.sqlite.org/wal.html#ckpt), which never comes while others write beside
each checkpoint.
"""


class WriteAheadLog:
    """The log of one database; `tend` and `close` belong to the writer thread."""

    def __init__(self, database: Path, checkpointer: dbapi2.Connection, writing: Lock) -> None:
        """`checkpointer` is its own: a checkpoint takes milliseconds, and no write waits for it.
        `writing` is held by whoever of this program writes.
        """
        self._path = database.with_name(f"{database.name}-wal")
        self._checkpointer = checkpointer
        self._writing = writing
        self._unchecked = 0
        self.unsynced = False
        """Whether anything was committed since it was flushed."""

        self.awaited = False
        """Whether the writer thread is asked to flush it."""

    def grows(self, statements: int) -> bool:
        """So many statements were committed; whether a checkpoint is due."""
        self.unsynced |= statements > 0
        self._unchecked += statements
        return self._unchecked >= CHECKPOINT_STATEMENTS

    def tend(self) -> None:
        """Flush it if someone asked for that, and move its pages when there are many."""
        if self.awaited:
            self._sync()
        if self._unchecked >= CHECKPOINT_STATEMENTS:
            self._unchecked = 0
            self._checkpoint()

    def close(self) -> None:
        """Leave the rest to the last connection of all."""
        self._checkpointer.close()

    def _sync(self) -> None:
        self.awaited = self.unsynced = False
        # SQLite has no locks on this file that closing it could drop.
        try:
            descriptor = os.open(self._path, os.O_RDONLY)
            try:
                os.fdatasync(descriptor)
            finally:
                os.close(descriptor)
        except OSError as error:
            log.warning(
                "The write-ahead log could not be flushed to the disk (%s).", error.strerror
            )

    def _checkpoint(self) -> None:
        try:
            if self._move() > LONG_LOG_PAGES:
                with self._writing:  # few pages are left by now
                    self._move()
        except dbapi2.Error as error:
            log.warning("The write-ahead log could not be moved into the database (%s).", error)

    def _move(self) -> int:
        """Move what can be moved into the database; how many pages the log has."""
        _, pages, _ = self._checkpointer.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
        return int(pages)
