"""How the database finds what the verbs read."""

import re
from collections.abc import Sequence
from typing import Any

import pytest

from shared.store.engine import NO_PARAMS, Engine, Params, Row

__all__ = ("Explained", "only_sqlite")

only_sqlite = pytest.mark.parametrize("database", ["sqlite"], indirect=True)
"""For what is about SQLite alone: its plans, its files."""


class Explained:
    """An engine that notes for each read what SQLite does for it
    (https://www.sqlite.org/eqp.html).
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self.remote = engine.remote
        self.dialect = engine.dialect
        self.plans: list[list[str]] = []

    def read(self, sql: str, params: Params | Sequence[Any] = NO_PARAMS) -> list[Row]:
        self.plans.append(
            [step for *_, step in self._engine.read(f"EXPLAIN QUERY PLAN {sql}", params)]
        )
        return self._engine.read(sql, params)

    def run(self, sql: str, params: Params = NO_PARAMS) -> list[Row]:
        """As a transaction, in which what would be deleted is only found."""
        found = re.sub(
            r"DELETE FROM (\w+)(.*) RETURNING", r"SELECT id FROM \1\2 --", sql, flags=re.S
        )
        return self.read(found, params)

    @property
    def steps(self) -> list[str]:
        """All that is done, in order."""
        return [step for plan in self.plans for step in plan]
