"""Files that the commands write, which may hold keys."""

import os
from pathlib import Path

from shared.errors import ThinkbackError

__all__ = ("write_new",)


def write_new(file: Path, text: str) -> None:
    """Create the file, readable by its owner only; raises ThinkbackError, also for one that
    exists.
    """
    try:
        descriptor = os.open(file, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
            stream.write(text)
    except FileExistsError:
        raise ThinkbackError(f"{file} already exists: choose another name.") from None
    except OSError as error:
        raise ThinkbackError(f"Can't write {file}: {error.strerror}.") from error
