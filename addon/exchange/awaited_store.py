"""A database across a network, for those who read it as if it were at hand: work that is done
slice by slice waits for each answer, while others go on.

What is read elsewhere, as at a start, blocks; nothing of a request is.
"""

from collections.abc import Sequence
from functools import partial
from typing import Any, cast

from addon.formats.wire.pace import can_wait, wait_for
from shared.errors import StoreError
from shared.store.engine import (
    NO_PARAMS,
    Change,
    Engine,
    Params,
    Row,
    Work,
    apply_change,
)

__all__ = ("PATIENCE_MS", "awaited")

PATIENCE_MS = 2_000
"""How long a request waits until it is in the books; then only callers without a quota go on."""


def awaited(engine: Engine) -> Engine:
    """The engine; where it is remote, one whose reads work waits for."""
    if engine.remote:
        return cast(Engine, _Awaited(engine))
    return engine


class _Awaited:
    """The engine but for the verbs that would stop the event loop."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def __getattr__(self, verb: str) -> Any:
        return getattr(self._engine, verb)

    def read(self, sql: str, params: Params | Sequence[Any] = NO_PARAMS) -> list[Row]:
        if can_wait():
            return wait_for(self._engine.fetch(sql, params))
        return self._engine.read(sql, params)

    def try_write(
        self, change: Change, *, overtake: bool = False, alone: Sequence[str] = ()
    ) -> bool:
        if not can_wait():
            return self._engine.try_write(change, overtake=overtake, alone=alone)
        try:
            self.transact(partial(apply_change, change=change), alone=alone)
        except StoreError:
            return False
        return True

    def transact[T](self, work: Work[T], *, alone: Sequence[str], wait: bool = True) -> T:
        if can_wait():
            return wait_for(self._engine.transacted(work, alone=alone, patience_ms=PATIENCE_MS))
        return self._engine.transact(work, alone=alone, wait=wait)
