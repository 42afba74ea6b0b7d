"""The configuration in force, refreshed while a program runs."""

from collections.abc import Callable, Mapping

from shared.config.layers import Base, Source
from shared.config.overrides import Overrides
from shared.config.schema import Snapshot
from shared.config.share import share_of
from shared.config.watch import Watch
from shared.errors import Problem

__all__ = ("LiveConfiguration",)


class LiveConfiguration:
    """Follows the configuration file and the overrides in the database.

    It belongs to the thread that reads the database. Construction reads both once.
    """

    def __init__(
        self,
        watch: Watch,
        version: Callable[[], int],
        read_overrides: Callable[[], Overrides],
        *,
        workers: int = 1,
    ) -> None:
        """`version` changes with every change of the overrides: they are read only then. Of what
        is for all `workers` the snapshot has the share of one.
        """
        self._watch = watch
        self._workers = workers
        self._whole: Snapshot | None = None
        self._share = watch.snapshot
        self._version = version
        self._read_overrides = read_overrides
        self._read_version: int | None = None
        self.refresh()

    @property
    def snapshot(self) -> Snapshot:
        """The last good configuration."""
        whole = self._watch.snapshot
        if whole is not self._whole:
            self._whole, self._share = whole, share_of(whole, self._workers)
        return self._share

    @property
    def sources(self) -> Mapping[str, Source]:
        """The layer that each setting comes from, by dotted name."""
        return self._watch.sources

    @property
    def problems(self) -> list[Problem]:
        """The faults in the file and the overrides, which are left out of the snapshot."""
        return self._watch.problems

    @property
    def base(self) -> Base:
        """File and environment, without the database's overrides."""
        return self._watch.base

    def reload(self) -> None:
        """Read the file and the overrides again, and say in the log what came of it."""
        self._watch.reload()
        self._watch.override(self._read_overrides())

    def refresh(self) -> None:
        """Apply changes made since the last call; cheap enough for every second."""
        self._watch.poll()
        version = self._version()
        if version != self._read_version:
            self._watch.override(self._read_overrides())
            # Only now: if the database can't be read, the next call tries again.
            self._read_version = version
