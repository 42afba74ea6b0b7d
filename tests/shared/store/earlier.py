"""The databases that earlier programs left."""

from contextlib import closing
from pathlib import Path

from shared.store.migrations import step_names
from shared.store.sqlite import connect

__all__ = ("SCHEMAS", "restore")

SCHEMAS = Path(__file__).parent / "schemas"


def restore(last: str, path: Path) -> None:
    """Make the database that a program left whose last step was this one."""
    steps = step_names()
    with closing(connect(path)) as connection:
        for step in steps[: steps.index(last) + 1]:
            connection.executescript((SCHEMAS / f"{step}.sql").read_text())
