"""Puts a backup in the place of the database, and keeps what was there."""

import os
import shutil
from contextlib import closing, suppress
from pathlib import Path

import msgspec
from pysqlite3 import dbapi2

from manage_api.domains.system.backup import secret_beside
from shared.errors import ThinkbackError
from shared.security.secrets import FILE_NAME, load_secret, read_secret, write_secret
from shared.store import data_directory, is_postgres, open_engine
from shared.store.sqlite import database_path
from shared.store.upstreams import list_upstreams

__all__ = ("RestoreError", "Restored", "copied_to", "refuse_in_use", "restore")


class RestoreError(ThinkbackError):
    """The backup was not restored, and nothing was changed; the message says why."""


class Restored(msgspec.Struct, frozen=True, kw_only=True):
    """What has been done."""

    database: Path
    kept: list[Path]
    """The files that were there before, under their new names."""


def restore(backup: Path, database_url: str, *, secret_file: Path | None, stamp: str) -> Restored:
    """Put a backup, and the secret in `secret_file` or beside it, in the database's place.

    The backup is checked and migrated aside first. The gateway must not run. The files that
    were there end in `stamp` afterwards.
    """
    database, directory = database_path(database_url), data_directory(database_url)
    _check(backup)
    secret = _secret_of(backup, secret_file)
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    aside = copied_to(database_url)
    try:
        _copy(backup, aside)
        _prepare(aside, secret or load_secret(directory))
        refuse_in_use(database)
        kept = _set_aside(database, stamp, with_secret=secret is not None)
        if secret:
            write_secret(directory, secret)
        aside.replace(database)
    finally:
        for suffix in ("", "-wal", "-shm"):
            Path(f"{aside}{suffix}").unlink(missing_ok=True)
    return Restored(database=database, kept=kept)


def copied_to(database_url: str) -> Path:
    """The file that a backup is copied to first. Raises RestoreError where there is none."""
    if is_postgres(database_url):
        raise RestoreError(
            "A PostgreSQL database is restored by PostgreSQL's own programs: run pg_restore "
            "--clean with the DATABASE_URL."
        )
    database = database_path(database_url)
    return database.with_name(f"{database.name}.restoring")


def _check(backup: Path) -> None:
    """Refuse what is damaged or is no database of ours."""
    try:
        # Immutable: a backup may be in a place where nothing can be written.
        uri = f"{backup.resolve().as_uri()}?immutable=1"
        with closing(dbapi2.connect(uri, uri=True)) as connection:
            findings = [str(row[0]) for row in connection.execute("PRAGMA quick_check(3)")]
            connection.execute("SELECT 1 FROM users LIMIT 1")
    except dbapi2.Error as error:
        raise RestoreError(f"{backup} is no backup of a Thinkback database ({error}).") from error
    if findings != ["ok"]:
        raise RestoreError(f"{backup} is damaged ({'; '.join(findings)}): take another backup.")


def _secret_of(backup: Path, given: Path | None) -> bytes | None:
    """Read the backup's secret; None where there is none, so that the present one stays."""
    path = given or secret_beside(backup)
    if given is None and not path.exists():
        return None
    return read_secret(path)


def _copy(backup: Path, aside: Path) -> None:
    with suppress(FileNotFoundError):
        aside.unlink()
    descriptor = os.open(aside, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
    with os.fdopen(descriptor, "wb") as target, backup.open("rb") as source:
        shutil.copyfileobj(source, target, 1024 * 1024)
        target.flush()
        os.fsync(target.fileno())


def _prepare(aside: Path, secret: bytes) -> None:
    """Migrate the copy, see that the secret opens it, and leave it in one file."""
    with closing(open_engine(f"sqlite:{aside}")) as engine:
        sealed = [row.name for row in list_upstreams(engine, secret) if row.is_sealed]
    if sealed:
        raise RestoreError(
            f"The {FILE_NAME} here does not open the keys of upstream {sealed[0]} in this backup: "
            "give the one that was beside the database with --secret."
        )
    with closing(dbapi2.connect(str(aside))) as connection:
        connection.execute("PRAGMA journal_mode = DELETE")


def refuse_in_use(database: Path) -> None:
    """Refuse while any program has the database open: only then can it leave WAL mode."""
    if not database.exists():
        return
    try:
        with closing(dbapi2.connect(str(database), timeout=1)) as connection:
            connection.execute("PRAGMA journal_mode = DELETE")
    except dbapi2.OperationalError as error:
        if "locked" in str(error):
            raise RestoreError("The database is in use: stop Thinkback first.") from None
    except dbapi2.DatabaseError:
        return  # It is damaged: that is why a backup is restored.


def _set_aside(database: Path, stamp: str, *, with_secret: bool) -> list[Path]:
    names = [database.name, f"{database.name}-wal", f"{database.name}-shm"]
    if with_secret:
        names.append(FILE_NAME)
    kept = []
    for name in names:
        path = database.with_name(name)
        if path.exists():
            kept.append(path.rename(path.with_name(f"{name}.{stamp}")))
    return kept
