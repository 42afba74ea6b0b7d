"""Notices an edited configuration file; whoever runs a loop polls."""

import logging
import os
from collections.abc import Mapping

from msgspec.structs import replace

from shared.config.load import config_path, load
from shared.config.schema import Snapshot
from shared.errors import ConfigError, Problem

__all__ = ("RESTART_SETTINGS", "Watch")

RESTART_SETTINGS = ("listen_addr", "admin_addr")
"""Of `[server]`: a running program keeps the values of these that it started with."""

log = logging.getLogger("thinkback.config")

type Stamp = tuple[int, int, int] | None
"""Modification time in ns, size and inode; None when there is no file."""


class Watch:
    """Holds the last good snapshot of a configuration whose file may be edited at any time.

    Construction raises ConfigError as `load` does; an edit that would is logged, and changes nothing.
    """

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._environ = dict(environ)
        self._seen = self._loaded = self._stamp()  # taken before reading: an edit in between is seen by the next poll
        self.snapshot = load(environ)
        self.problems: list[Problem] = []
        """What is wrong with the file as it is now; empty when the snapshot is the file's."""

    def poll(self) -> Snapshot | None:
        """The new snapshot when settings changed, else None; costs one `os.stat`, to be called each second."""
        before, self._seen = self._seen, self._stamp()
        if self._seen == self._loaded or (blank(self._seen) and self._seen != before):
            return None
        self._loaded = self._seen
        return self._reload()

    def _stamp(self) -> Stamp:
        try:
            stat = os.stat(config_path(self._environ))
        except OSError:
            return None
        return stat.st_mtime_ns, stat.st_size, stat.st_ino

    def _reload(self) -> Snapshot | None:
        try:
            loaded = load(self._environ)
        except ConfigError as error:
            self.problems = error.problems
            for problem in self.problems:
                log.error("configuration not taken over, the last good one stays: %s", problem)
            return None
        self.problems = []
        for setting in RESTART_SETTINGS:
            if getattr(loaded.server, setting) != getattr(self.snapshot.server, setting):
                log.warning("server.%s was changed: restart Thinkback to use the new value", setting)
        kept = {setting: getattr(self.snapshot.server, setting) for setting in RESTART_SETTINGS}
        return self._take(replace(loaded, server=replace(loaded.server, **kept)))

    def _take(self, snapshot: Snapshot) -> Snapshot | None:
        if snapshot == self.snapshot:
            return None
        self.snapshot = snapshot
        log.info("configuration reloaded")
        return snapshot


def blank(stamp: Stamp) -> bool:
    """No file, or an empty one: perhaps an editor in the middle of saving, so `poll` wants to see it twice."""
    return stamp is None or stamp[1] == 0
