"""A consistent copy of the database while programs use it."""

import os
from pathlib import Path

from pysqlite3 import dbapi2

from shared.errors import StoreError
from shared.store.engine import Engine

__all__ = ("back_up",)


def back_up(engine: Engine, target: Path) -> None:
    """Write a compact copy to `target`, readable by its owner only; StoreError when it
    exists or can't be written.
    """
    try:
        os.close(os.open(target, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
        engine.read("VACUUM INTO :target", {"target": str(target)})
    except FileExistsError:
        raise StoreError(f"{target} exists already: name a new file.") from None
    except (OSError, dbapi2.Error) as error:
        target.unlink(missing_ok=True)
        raise StoreError(f"The copy {target} can't be written: {error}.") from error
