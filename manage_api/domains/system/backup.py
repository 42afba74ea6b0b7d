"""Copies the database while the programs use it."""

import os
from pathlib import Path

from pysqlite3 import dbapi2

from shared.errors import StoreError
from shared.store.engine import Engine

__all__ = ("back_up",)


def back_up(engine: Engine, target: Path) -> None:
    """Write a compact, consistent copy to `target`, readable by its owner only.

    Raises StoreError if it exists or can't be written.
    """
    try:
        os.close(os.open(target, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
        engine.read("VACUUM INTO :target", {"target": str(target)})
    except FileExistsError:
        raise StoreError(f"{target} already exists: choose another name.") from None
    except (OSError, dbapi2.Error) as error:
        target.unlink(missing_ok=True)
        raise StoreError(f"Can't write the copy {target}: {error}.") from error
