"""Notices edits of the configuration file and combines it with the database's overrides."""

import logging
import os
from collections.abc import Mapping

from msgspec.structs import replace

from shared.config.layers import Base, Source, combine, decide_registration
from shared.config.load import config_path, read_base
from shared.config.overrides import Overrides
from shared.config.schema import Snapshot
from shared.config.tunnel import announced
from shared.errors import ConfigError, Problem

__all__ = ("RESTART_SETTINGS", "Watch")

RESTART_SETTINGS = ("listen_addr", "admin_addr", "workers", "shutdown_delay_seconds")
"""The keys of `[server]` that a running program keeps as they were when it started."""

log = logging.getLogger("thinkback.config")

type Stamp = tuple[int, int, int] | None
"""Modification time in ns, size and inode; None when there is no file."""


class Watch:
    """Holds the last good snapshot while the file and the overrides change.

    Construction raises ConfigError as `load` does. A later faulty edit is logged and
    changes nothing.
    """

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._environ = dict(environ)
        # Taken before reading, so that the next poll notices an edit in between.
        self._seen = self._loaded = self._stamp()
        self._tunnel = announced(environ)
        self._base = read_base(environ)
        self._overrides = Overrides()
        self._effective = combine(self._base, self._overrides)
        self._file_problems: list[Problem] = []
        self.snapshot = self._effective.snapshot

    @property
    def base(self) -> Base:
        """File and environment, as far as they are usable, without the database's overrides."""
        return self._base

    @property
    def problems(self) -> list[Problem]:
        """The faults in the present file and overrides, which are not in the snapshot."""
        return [*self._file_problems, *self._effective.problems]

    @property
    def sources(self) -> Mapping[str, Source]:
        """The layer that each setting comes from, by dotted name."""
        return self._effective.sources

    def poll(self) -> Snapshot | None:
        """Read the file again if it was edited, or a tunnel has another URL; the new snapshot
        when settings changed.

        Costs few system calls, so call it each second.
        """
        before_tunnel, self._tunnel = self._tunnel, announced(self._environ)
        if self._tunnel != before_tunnel:
            return self._reload()
        before, self._seen = self._seen, self._stamp()
        if self._seen == self._loaded or (is_blank(self._seen) and self._seen != before):
            return None
        self._loaded = self._seen
        return self._reload()

    def reload(self) -> None:
        """Read the file again, whether or not it was edited; the log says what came of it."""
        self._seen = self._loaded = self._stamp()
        if self._reload() is None and not self._file_problems:
            log.info("configuration read again: nothing has changed")

    def override(self, overrides: Overrides) -> Snapshot | None:
        """Apply the overrides; the new snapshot when settings changed.

        Unusable ones are logged once and left out.
        """
        if overrides == self._overrides:
            return None
        self._overrides = overrides
        return self._apply()

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
                log.error(
                    "configuration not reloaded, the last good one stays in force: %s", problem
                )
            return None
        self._file_problems = []
        snapshot = self._apply()
        for setting in RESTART_SETTINGS:
            new = getattr(self._effective.snapshot.server, setting)
            if new != getattr(self.snapshot.server, setting):
                log.warning(
                    "server.%s has changed: restart Thinkback to use the new value", setting
                )
        return snapshot

    def _apply(self) -> Snapshot | None:
        old_problems = self._effective.problems
        self._effective = combine(self._base, self._overrides)
        for problem in self._effective.problems:
            if problem not in old_problems:
                log.error("setting from the database not applied: %s", problem)
        kept = {setting: getattr(self.snapshot.server, setting) for setting in RESTART_SETTINGS}
        loaded = self._effective.snapshot
        snapshot = replace(loaded, server=replace(loaded.server, **kept))
        # Again: it depends on the addresses that are listened on, which stay.
        snapshot = decide_registration(snapshot, self.sources)
        if snapshot == self.snapshot:
            return None
        self.snapshot = snapshot
        log.info("configuration reloaded")
        return snapshot


def is_blank(stamp: Stamp) -> bool:
    """Whether the file is missing or empty.

    An editor may be in the middle of saving, so `poll` wants to see it twice.
    """
    return stamp is None or stamp[1] == 0
