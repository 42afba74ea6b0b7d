"""Notices an edited configuration file, and takes over what is stored; whoever runs a loop
polls.
"""

import logging
import os
from collections.abc import Mapping

from msgspec.structs import replace

from shared.config.layers import Source, combine, decide_registration
from shared.config.load import config_path, read_base
from shared.config.overrides import Stored
from shared.config.schema import Snapshot
from shared.errors import ConfigError, Problem

__all__ = ("RESTART_SETTINGS", "Watch")

RESTART_SETTINGS = ("listen_addr", "admin_addr")
"""Of `[server]`: a running program keeps the values of these that it started with."""

log = logging.getLogger("thinkback.config")

type Stamp = tuple[int, int, int] | None
"""Modification time in ns, size and inode; None when there is no file."""


class Watch:
    """Holds the last good snapshot of a configuration whose file, or stored layer, may
    change at any time.

    Construction raises ConfigError as `load` does; an edit that would is logged, and
    changes nothing.
    """

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._environ = dict(environ)
        self._seen = self._loaded = (
            self._stamp()
        )  # taken before reading: an edit in between is seen by the next poll
        self._base = read_base(environ)
        self._stored = Stored()
        self._effective = combine(self._base, self._stored)
        self._file_problems: list[Problem] = []
        self.snapshot = self._effective.snapshot

    @property
    def problems(self) -> list[Problem]:
        """What is wrong with the file and the stored layer as they are now, and so is not
        in the snapshot.
        """
        return [*self._file_problems, *self._effective.problems]

    @property
    def sources(self) -> Mapping[str, Source]:
        """Which layer gave each setting of the snapshot, by dotted name."""
        return self._effective.sources

    def poll(self) -> Snapshot | None:
        """The new snapshot when settings changed, else None; costs one `os.stat`, to be
        called each second.
        """
        before, self._seen = self._seen, self._stamp()
        if self._seen == self._loaded or (blank(self._seen) and self._seen != before):
            return None
        self._loaded = self._seen
        return self._reload()

    def lay(self, stored: Stored) -> Snapshot | None:
        """Take over what is stored now; the new snapshot when settings changed, else None.

        What of it can't be used is logged, once, and left out.
        """
        if stored == self._stored:
            return None
        self._stored = stored
        return self._take()

    def _stamp(self) -> Stamp:
        try:
            stat = os.stat(config_path(self._environ))
        except OSError:
            return None
        return stat.st_mtime_ns, stat.st_size, stat.st_ino

    def _reload(self) -> Snapshot | None:
        try:
            self._base = read_base(self._environ)
        except ConfigError as error:
            self._file_problems = error.problems
            for problem in error.problems:
                log.error("configuration not taken over, the last good one stays: %s", problem)
            return None
        self._file_problems = []
        taken = self._take()
        for setting in RESTART_SETTINGS:
            if getattr(self._effective.snapshot.server, setting) != getattr(
                self.snapshot.server, setting
            ):
                log.warning(
                    "server.%s was changed: restart Thinkback to use the new value", setting
                )
        return taken

    def _take(self) -> Snapshot | None:
        known, self._effective = self._effective.problems, combine(self._base, self._stored)
        for problem in self._effective.problems:
            if problem not in known:
                log.error("stored configuration not taken over: %s", problem)
        kept = {setting: getattr(self.snapshot.server, setting) for setting in RESTART_SETTINGS}
        loaded = self._effective.snapshot
        snapshot = replace(loaded, server=replace(loaded.server, **kept))
        snapshot = decide_registration(
            snapshot, self.sources
        )  # by the addresses that are listened on
        if snapshot == self.snapshot:
            return None
        self.snapshot = snapshot
        log.info("configuration reloaded")
        return snapshot


def blank(stamp: Stamp) -> bool:
    """No file, or an empty one: perhaps an editor in the middle of saving, so `poll` wants
    to see it twice.
    """
    return stamp is None or stamp[1] == 0
