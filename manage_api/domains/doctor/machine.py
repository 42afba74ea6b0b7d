"""The machine that the gateway runs on: its disk, its clock, its files and its database."""

import asyncio
import os
import shutil
from collections.abc import AsyncIterator, Iterator
from email.utils import parsedate_to_datetime
from pathlib import Path

from manage_api.domains.doctor.findings import Finding, fault, ok, warning
from manage_api.domains.doctor.installation import Installation
from manage_api.domains.system.service import check_integrity
from shared.errors import StoreError
from shared.store import data_directory
from shared.store.engine import Engine

__all__ = ("check_clock", "check_disk", "check_machine", "check_skew", "damaged")

_MIB = 1024 * 1024
_LITTLE = 1024 * _MIB
_TOO_LITTLE = 200 * _MIB
"""SQLite needs room for its log, and a backup for a copy: below that a busy day fills it."""

_LATE_MS = 60_000
"""Rows are written by this machine's clock: none is of a later minute unless it was put back."""

_SKEWED_SECONDS = 30
_TOO_SKEWED_SECONDS = 300
"""Second factors tolerate half a minute, signed requests of some providers five."""


async def check_machine(installation: Installation) -> AsyncIterator[Finding]:
    """Report on disk, files, clock and database."""
    directory = data_directory(installation.snapshot.database_url)
    yield check_disk(directory, shutil.disk_usage(directory).free)
    yield _check_files(directory)
    database = await _check_database(installation)
    yield database
    if database.verdict == "ok":
        yield check_clock(installation.store, installation.clock.now_ms())


def check_disk(directory: Path, free: int) -> Finding:
    """Report on the `free` bytes of the disk with the data directory."""
    seen = f"The disk with {directory} has {free // _MIB} MiB left."
    remedy = "Make room, or lower [recall] max_mib, [audit] max_mib and [backup] keep."
    if free < _TOO_LITTLE:
        return fault("disk", seen, remedy)
    if free < _LITTLE:
        return warning("disk", seen, remedy)
    return ok("disk", seen)


def check_clock(store: Engine, now: int) -> Finding:
    """Report whether the clock was put back since a request was recorded."""
    rows = store.read("SELECT MAX(at) FROM ledger")
    ahead = (rows[0][0] or 0) - now
    if ahead > _LATE_MS:
        return fault(
            "clock",
            f"The last request was recorded {ahead // 1000} s in the future: the clock was put "
            "back, or is wrong.",
            "Let the machine keep its time (systemd-timesyncd, chrony).",
        )
    return ok("clock", "No request was recorded in the future.")


def check_skew(date: str, now: int, host: str) -> Iterator[Finding]:
    """Compare the clock with the `Date` of an answer; nothing when it has none."""
    try:
        theirs = parsedate_to_datetime(date).timestamp()
    except (ValueError, TypeError):
        return
    skew = round(now / 1000 - theirs)
    seen = f"This machine's clock is {abs(skew)} s {'ahead of' if skew > 0 else 'behind'} {host}'s."
    remedy = "Let the machine keep its time (systemd-timesyncd, chrony)."
    if abs(skew) > _TOO_SKEWED_SECONDS:
        yield fault("clock", seen, remedy)
    elif abs(skew) > _SKEWED_SECONDS:
        yield warning("clock", seen, remedy)


async def _check_database(installation: Installation) -> Finding:
    """Report whether the database is whole, and can be written."""
    url = installation.snapshot.database_url
    damage = await asyncio.to_thread(check_integrity, url)
    if damage != "ok":
        return damaged(damage)
    try:
        await asyncio.to_thread(installation.store.transact, lambda _: None, alone=())
    except StoreError as error:
        return fault(
            "database",
            str(error),
            "See that the account that runs Thinkback may write there, and that no other program "
            "keeps the database locked.",
        )
    return ok("database", "The database is whole and can be written.")


def damaged(damage: str) -> Finding:
    """Return the finding for a database that is not whole."""
    return fault(
        "database",
        f"The database is damaged: {damage}.",
        "Download a backup now, stop Thinkback, and run thinkback restore with the last good "
        "backup.",
    )


def _check_files(directory: Path) -> Finding:
    mode = directory.stat().st_mode & 0o777
    if not os.access(directory, os.W_OK | os.X_OK):
        return fault(
            "files",
            f"This account may not write in {directory}.",
            f"Run Thinkback as the owner of {directory}, or give it to that account by chown.",
        )
    if mode & 0o002:
        return fault(
            "files",
            f"All users of this machine may replace the files in {directory}.",
            f"Run chmod 700 on {directory}.",
        )
    return ok("files", f"Thinkback may write in {directory}, and not every account of the machine.")
