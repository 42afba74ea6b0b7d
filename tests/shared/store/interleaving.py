"""One node's transaction, interrupted by another node at a point that the test chooses."""

from collections.abc import Callable, Sequence
from typing import Any

from shared.clock import Clock
from shared.errors import Busy
from shared.store.engine import (
    NO_PARAMS,
    Change,
    Engine,
    Params,
    Pending,
    Row,
    Transaction,
    Work,
    apply_change,
)

__all__ = ("Interrupted",)


class Interrupted:
    """An engine in whose transaction another node does something before the `point`-th statement,
    or before the commit that follows the last.

    Where the database has the other node wait, it comes when the transaction is over: `end`
    sees to that. What it does must not wait by itself.
    """

    def __init__(
        self,
        engine: Engine,
        point: int = 0,
        other: Callable[[], object] | None = None,
        *,
        clock: Clock | None = None,
    ) -> None:
        """`clock`: what all nodes go by, in place of the database's."""
        self._engine = engine
        self.now_ms = (clock or engine).now_ms
        self.interrupt(point, other)

    def interrupt(self, point: int, other: Callable[[], object] | None) -> None:
        """Have the other node do this in the next transaction."""
        self._left = point
        self._other = other

    def __getattr__(self, name: str) -> Any:
        return getattr(self._engine, name)

    def transact[T](self, work: Work[T], *, alone: Sequence[str], wait: bool = True) -> T:
        def whole(transaction: Transaction) -> T:
            result = work(_Interrupted(transaction, self))
            self.step()
            return result

        return self._engine.transact(whole, alone=alone, wait=wait)

    def write_first(self, change: Change, **options: Any) -> Pending | None:
        return self._engine.write_first([self._interrupted(change)], **options)

    def write_later(self, change: Change, **options: Any) -> None:
        self._engine.write_later([self._interrupted(change)], **options)

    def try_write(self, change: Change, **options: Any) -> bool:
        return self._engine.try_write([self._interrupted(change)], **options)

    def step(self) -> None:
        """A statement is about to run, or the commit."""
        if self._left == 0:
            try:
                self._interrupt()
            except Busy:
                self._left = -1
        self._left -= 1

    def end(self) -> None:
        """Let the other node do what it could not do before."""
        self._interrupt()

    def _interrupt(self) -> None:
        other, self._other = self._other, None
        if other is None:
            return
        try:
            other()
        except Busy:
            self._other = other
            raise

    def _interrupted(self, change: Change) -> Work[None]:
        def whole(transaction: Transaction) -> None:
            apply_change(_Interrupted(transaction, self), change)
            self.step()

        return whole


class _Interrupted:
    def __init__(self, transaction: Transaction, by: Interrupted) -> None:
        self._transaction = transaction
        self._by = by

    def run(self, sql: str, params: Params = NO_PARAMS) -> list[Row]:
        self._by.step()
        return self._transaction.run(sql, params)
