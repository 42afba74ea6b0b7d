"""Copies the database while the programs use it."""

import os
from pathlib import Path

from pysqlite3 import dbapi2

from shared.errors import StoreError
from shared.store.engine import Engine

__all__ = ("back_up", "refuse_server", "secret_beside")


def back_up(engine: Engine, target: Path, secret: bytes | None = None) -> None:
    """Write a compact, consistent copy to `target`, and the secret beside it; only their
    owner can read them.

    Raises StoreError if one exists or can't be written, and leaves neither; and for a database
    that is no file.
    """
    refuse_server(engine)
    try:
        os.close(os.open(target, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
    except FileExistsError:
        raise StoreError(f"{target} already exists: choose another name.") from None
    except FileNotFoundError:
        raise StoreError(
            f"Can't write the copy {target}: there is no folder {target.parent}; create it first."
        ) from None
    except OSError as error:
        raise StoreError(f"Can't write the copy {target}: {error.strerror}.") from error
    try:
        engine.read("VACUUM INTO :target", {"target": str(target)})
        if secret is not None:
            _write_new(secret_beside(target), secret)
    except (OSError, StoreError, dbapi2.Error) as error:
        target.unlink(missing_ok=True)
        # SQLite's own words: the disk of the copy may be full, not the database's.
        cause = error.__cause__ or error
        why = getattr(cause, "strerror", None) or cause
        raise StoreError(f"Can't write the copy {target}: {why}.") from error


def refuse_server(engine: Engine) -> None:
    """Raise StoreError, in words, for a database that is no file."""
    if engine.remote:
        raise StoreError(
            "A PostgreSQL database is backed up by PostgreSQL's own programs: run pg_dump "
            "--format=custom with the DATABASE_URL, and keep the SECRET_KEY elsewhere."
        )


def secret_beside(target: Path) -> Path:
    """The file with the secret of a backup."""
    return target.with_name(f"{target.name}.secret")


def _write_new(path: Path, content: bytes) -> None:
    descriptor = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
