"""Backups that are made by themselves."""

import asyncio
import logging
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

from manage_api.domains.system.backup import back_up, secret_beside
from manage_api.sidecar import Sidecar
from shared.config.schema import Snapshot
from shared.errors import StoreError
from shared.store import data_directory, is_postgres, open_engine

__all__ = ("backup_fault", "make_backups")

log = logging.getLogger("thinkback.sidecar")

_LOOK_SECONDS = 60.0
"""Between looks at whether a backup is due."""

_RETRY_MS = 600_000
"""After a failure: a full disk stays full for a while, and each try is a line in the log."""

_HOUR_MS = 3_600_000
_NAME = "thinkback-%Y%m%dT%H%M%SZ.db"


async def make_backups(sidecar: Sidecar) -> None:
    """Make backups as `[backup]` says until cancelled."""
    failed_at: int | None = None
    while True:
        failed_at = await make_if_due(sidecar, failed_at)
        await asyncio.sleep(_LOOK_SECONDS)


async def make_if_due(sidecar: Sidecar, failed_at: int | None) -> int | None:
    """Make a backup if one is due; return when it failed last, None after a success."""
    now = sidecar.clock.now_ms()
    waits = failed_at is not None and 0 <= now - failed_at < _RETRY_MS
    if waits or not is_due(sidecar.snapshot, now):
        return failed_at
    try:
        async with sidecar.long_work:
            await asyncio.to_thread(make_backup, sidecar.snapshot, sidecar.secret, now)
    except (OSError, StoreError) as error:
        log.error("The backup was not made: %s", error)
        return now
    return None


def is_due(snapshot: Snapshot, now: int, late: int = 0) -> bool:
    """Whether the latest backup is too old, and `late` ms more; one of the future, from before
    the clock was put back, is none.
    """
    if is_postgres(snapshot.database_url):
        return False  # its server's operator makes them
    every = snapshot.backup.every_hours * _HOUR_MS
    latest = _latest(snapshot, now)
    return bool(every) and (latest is None or now - latest >= every + late)


def make_backup(snapshot: Snapshot, secret: bytes, now: int) -> Path:
    """Write a backup and delete the oldest ones; blocks. Raises OSError or StoreError."""
    directory = _directory(snapshot)
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise StoreError(f"Can't create the folder {directory} ({error.strerror}).") from error
    target = directory / datetime.fromtimestamp(now // 1000, UTC).strftime(_NAME)
    with closing(open_engine(snapshot.database_url)) as engine:
        back_up(engine, target, secret)
    for old in sorted(_made(directory))[: -snapshot.backup.keep]:
        old.unlink()
        secret_beside(old).unlink(missing_ok=True)
    return target


def backup_fault(snapshot: Snapshot, now: int) -> str:
    """Say that the backups have stopped, for the operator; empty while they are made."""
    if not is_due(snapshot, now, late=_HOUR_MS):
        return ""
    directory = _directory(snapshot)
    if not directory.is_dir():
        return (
            f"A backup has been due for more than an hour, and its folder {directory} is missing: "
            "create it, or set [backup] directory to another one."
        )
    return (
        f"A backup has been due for more than an hour, in {directory}: "
        "the log says why it could not be made."
    )


def _latest(snapshot: Snapshot, now: int) -> int | None:
    """When the latest backup was made, by its name."""
    times = [
        int(datetime.strptime(path.name, _NAME).replace(tzinfo=UTC).timestamp() * 1000)
        for path in _made(_directory(snapshot))
    ]
    return max((time for time in times if time <= now), default=None)


def _made(directory: Path) -> list[Path]:
    """The backups there, and no file of anybody else's."""
    found = []
    for path in directory.glob("thinkback-*.db"):
        try:
            datetime.strptime(path.name, _NAME).replace(tzinfo=UTC)
        except ValueError:
            continue
        found.append(path)
    return found


def _directory(snapshot: Snapshot) -> Path:
    if snapshot.backup.directory:
        return Path(snapshot.backup.directory)
    return data_directory(snapshot.database_url) / "backups"
