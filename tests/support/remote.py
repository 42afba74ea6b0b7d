"""A database across a network, played by one beside us: every answer takes a moment, and what would
stop an event loop meanwhile is refused.
"""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

from shared.errors import StoreError
from shared.store.engine import NO_PARAMS, Change, Engine, Params, Pending, Row, Work

__all__ = ("RemoteEngine",)


class RemoteEngine:
    """An engine whose reads leave the process, over one that others may have open beside it."""

    remote = True

    def __init__(self, engine: Engine) -> None:
        self.beside = self._engine = engine
        """The engine as another program has it, which may read whenever it likes."""

        self.serves = False
        """Whether requests are answered: then nothing may block."""

        self.lost = False
        """Whether nothing is answered any more."""

        self.fetched: list[str] = []
        """The statements that were waited for."""

        self.seen: dict[str, int] = {}
        """The versions as they were looked at last."""

    def __getattr__(self, verb: str) -> Any:
        return getattr(self._engine, verb)

    def read(self, sql: str, params: Params | Sequence[Any] = NO_PARAMS) -> list[Row]:
        if self.serves:
            raise AssertionError(f"this would stop the event loop: {sql}")
        return self._engine.read(sql, params)

    async def fetch(self, sql: str, params: Params | Sequence[Any] = NO_PARAMS) -> list[Row]:
        self.fetched.append(sql)
        await asyncio.sleep(0)
        self._answer()
        return await self._engine.fetch(sql, params)

    def transact[T](self, work: Work[T], *, alone: Sequence[str], wait: bool = True) -> T:
        if self.serves:
            raise AssertionError("this would stop the event loop")
        return self._engine.transact(work, alone=alone, wait=wait)

    async def transacted[T](self, work: Work[T], *, alone: Sequence[str], patience_ms: int) -> T:
        await asyncio.sleep(0)
        self._answer()
        return await self._engine.transacted(work, alone=alone, patience_ms=patience_ms)

    def _answer(self) -> None:
        if self.lost:
            raise StoreError("The database can't be reached.")

    def try_write(
        self, change: Change, *, overtake: bool = False, alone: Sequence[str] = ()
    ) -> bool:
        return False

    def write_first(
        self,
        change: Change,
        *,
        on_thread: bool = False,
        alone: Sequence[str] = (),
        rank: int = 0,
    ) -> Pending | None:
        return self._engine.write_first(change, on_thread=True, alone=alone, rank=rank)

    def version(self) -> int:
        return sum(self.seen.values())

    def versions(self) -> Mapping[str, int]:
        return self.seen

    def look(self) -> None:
        """Look at the versions, as is done every half a second."""
        self.seen = dict(self._engine.versions())
