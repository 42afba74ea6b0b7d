"""The live feed of exchanges: server-sent events
(https://html.spec.whatwg.org/multipage/server-sent-events.html).
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import contextmanager

import msgspec
from litestar.exceptions import HTTPException

from manage_api.access.authentication import Authentication
from manage_api.access.callers import UserRequest
from manage_api.access.guards import admin_only
from manage_api.domains.requests.schemas import RequestView
from manage_api.sidecar import Sidecar
from shared.store.engine import Engine
from shared.store.ledger import Entry
from shared.store.reports import EntryFilter, entries_after, newest_entry, running_exchanges

__all__ = ("MOST_LISTENERS", "Feed", "fits")

log = logging.getLogger("thinkback.sidecar")

MOST_LISTENERS = 32

_TICK_SECONDS = 0.3
_SILENCE_SECONDS = 15
_CHECK_SECONDS = 5
_READ_AT_ONCE = 100
_MOST_RESUMED = 1_000


class Feed:
    """Looks for changes of the database, once for all who listen, and tells each what is
    new for them.
    """

    def __init__(self, sidecar: Sidecar, leaving: Callable[[], bool]) -> None:
        """`leaving` says that the program is about to end: nobody waits any longer then."""
        self._sidecar = sidecar
        self._leaving = leaving
        self._listeners = 0
        self._version: int | None = None
        self._running: Sequence[Entry] = ()
        self._ticked = asyncio.Event()

    @property
    def full(self) -> bool:
        """Nobody else may listen now."""
        return self._listeners >= MOST_LISTENERS

    async def follow(self) -> None:
        """Look for changes while anybody listens, until cancelled."""
        while True:
            await asyncio.sleep(_TICK_SECONDS)
            if self._listeners:
                self._look()
            self._ticked.set()
            self._ticked = asyncio.Event()

    def listen(
        self, request: UserRequest, wanted: EntryFilter, last: int | None
    ) -> AsyncIterator[bytes]:
        """What is new from now on, or after the entry `last`, while the caller may know it
        and the program runs.
        """
        return self._events(
            request, _News(self._sidecar.store, wanted, last), self._sidecar.clock.monotonic()
        )

    async def _events(
        self, request: UserRequest, news: "_News", since: float
    ) -> AsyncIterator[bytes]:
        if self.full:
            return
        with self._seat():
            spoke = checked = since
            seen: int | None = None
            while not self._leaving():
                now = self._sidecar.clock.monotonic()
                if now - checked >= _CHECK_SECONDS:
                    checked = now
                    if not await _may_listen(request):
                        return
                if seen != self._version:
                    seen = self._version
                    for event in news.read(self._running):
                        spoke = now
                        yield event
                if now - spoke >= _SILENCE_SECONDS:
                    spoke = now
                    yield b":\n\n"
                await self._ticked.wait()

    @contextmanager
    def _seat(self) -> Iterator[None]:
        self._listeners += 1
        try:
            self._look()
            yield
        finally:
            self._listeners -= 1

    def _look(self) -> None:
        try:
            version = self._sidecar.store.version()
            if version != self._version:
                self._version = version
                self._running = running_exchanges(self._sidecar.store)
        except Exception as error:  # the loop's boundary: the next look may be better
            log.error("The running exchanges can't be read (%s).", error)


class _News:
    """What one listener has not been told yet."""

    def __init__(self, store: Engine, wanted: EntryFilter, last: int | None) -> None:
        self._store = store
        self._wanted = wanted
        newest = newest_entry(store)
        self._last = newest if last is None else max(min(last, newest), newest - _MOST_RESUMED)
        self._opened: set[str] = set()

    def read(self, running: Sequence[Entry]) -> Iterator[bytes]:
        """Exchanges that were opened, then those that were settled, which have their id in
        the ledger.
        """
        before, self._opened = self._opened, {entry.exchange for entry in running}
        for entry in running:
            if entry.exchange not in before and fits(entry, self._wanted):
                yield _event("opened", RequestView.of(None, entry))
        upto = newest_entry(self._store)
        while self._last < upto:
            entries = entries_after(
                self._store, self._wanted, after=self._last, upto=upto, limit=_READ_AT_ONCE
            )
            self._last = entries[-1][0] if len(entries) == _READ_AT_ONCE else upto
            for number, entry in entries:
                yield _event("settled", RequestView.of(number, entry), number)


def fits(entry: Entry, wanted: EntryFilter) -> bool:
    """Whether an exchange that runs is one of those; its outcome and key are not asked for."""
    return (
        wanted.user_id in (None, entry.user_id or 0)
        and wanted.model in (None, entry.model)
        and wanted.upstream in (None, entry.upstream)
    )


def _event(name: str, view: RequestView, number: int | None = None) -> bytes:
    head = f"event: {name}\n" + (f"id: {number}\n" if number else "")
    return head.encode() + b"data: " + msgspec.json.encode(view) + b"\n\n"


async def _may_listen(request: UserRequest) -> bool:
    """Whether the caller would be let in now."""
    try:
        caller = await Authentication(request.app).authenticate_request(request)
        request.scope["user"], request.scope["auth"] = caller.user, caller.auth
        admin_only(request, request.route_handler)
    except HTTPException:
        return False
    return True
