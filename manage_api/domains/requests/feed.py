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
from shared.store.feed import recent_numbers
from shared.store.ledger import Entry
from shared.store.reports import (
    EntryFilter,
    entries_after,
    newest_entry,
    running_exchanges,
)

__all__ = ("MAX_LISTENERS", "Feed", "fits")

log = logging.getLogger("thinkback.sidecar")

MAX_LISTENERS = 32
"""Open pages of all admins; each costs a query for every change."""

_TICK_SECONDS = 0.3
"""People call that live; a tick without a change costs one read of a counter."""

_SILENCE_SECONDS = 15
"""Proxies cut connections that stay silent for 30 s or more, and buffer some for ever: a page that
hears nothing for longer asks by itself (`web/static/app/live.js`).
"""

_ALIVE = b"event: alive\ndata: {}\n\n"
"""An event and no comment, which a page would not see."""

_CHECK_SECONDS = 5
"""A disabled admin sees nothing more after that."""

_BATCH = 100

_MAX_RESUMED = 1_000
"""A page that was away for longer loads the list instead.

Of so many entries, too, those are told that are committed after one with a higher id: where several
programs write at once, that happens within a second or two.
"""


class Feed:
    """Watches the database once for all listeners, and sends each what is new for it."""

    def __init__(self, sidecar: Sidecar, leaving: Callable[[], bool]) -> None:
        """`leaving` returns True once the program is ending, which ends all streams."""
        self._sidecar = sidecar
        self._leaving = leaving
        self._listeners = 0
        self._version: int | None = None
        self._running: Sequence[Entry] = ()
        self._recent: Sequence[int] = ()
        """The ids of the newest entries."""

        self._ticked = asyncio.Event()

    @property
    def full(self) -> bool:
        """Whether there are as many listeners as allowed."""
        return self._listeners >= MAX_LISTENERS

    async def follow(self) -> None:
        """Look for changes while there are listeners, until cancelled."""
        while True:
            await asyncio.sleep(_TICK_SECONDS)
            if self._listeners:
                self._look()
            self._ticked.set()
            self._ticked = asyncio.Event()

    def listen(
        self, request: UserRequest, wanted: EntryFilter, last: int | None
    ) -> AsyncIterator[bytes]:
        """Stream what is new from now on, or after the entry `last`.

        The stream ends when the caller loses access or the program ends.
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
                    for event in news.read(self._running, self._recent):
                        spoke = now
                        yield event
                if now - spoke >= _SILENCE_SECONDS:
                    spoke = now
                    yield _ALIVE
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
                self._recent = recent_numbers(self._sidecar.store, _MAX_RESUMED)
        except Exception as error:  # the loop's boundary: the next look may be better
            log.error("Can't read the running exchanges (%s).", error)


class _News:
    """What one listener has not received yet."""

    def __init__(self, store: Engine, wanted: EntryFilter, last: int | None) -> None:
        self._store = store
        self._wanted = wanted
        recent = recent_numbers(store, _MAX_RESUMED)
        self._last = newest = newest_entry(store)
        if last is not None:
            self._last = max(min(last, newest), newest - _MAX_RESUMED)
        self._passed = {number for number in recent if number <= self._last}
        """Recent entries that are not to be told any more."""

        self._opened: set[str] = set()

    def read(self, running: Sequence[Entry], recent: Sequence[int]) -> Iterator[bytes]:
        """Yield events for opened exchanges, then for settled ones with their ledger ids."""
        before, self._opened = self._opened, {entry.exchange for entry in running}
        for entry in running:
            if entry.exchange not in before and fits(entry, self._wanted):
                yield _event("opened", RequestView.of(None, entry))
        told = set()
        for number, entry in self._entries(recent):
            told.add(number)
            # One that comes late must not have a page that comes back ask for all after it.
            self._last = max(self._last, number)
            yield _event("settled", RequestView.of(number, entry), self._last)
        self._passed = told.union(recent)
        self._last = max([self._last, *recent[-1:]])

    def _entries(self, recent: Sequence[int]) -> Iterator[tuple[int, Entry]]:
        """The entries that are new, also those that came later than one with a higher id."""
        new = [number for number in recent if number not in self._passed]
        after, upto = min([self._last, *(number - 1 for number in new)]), max(new, default=0)
        wanted, known = self._wanted, self._passed
        while after < upto:
            entries = entries_after(
                self._store, wanted, after=after, upto=upto, limit=_BATCH, known=known
            )
            after = upto
            if len(entries) == _BATCH:
                after = entries[-1][0]
            yield from entries


def fits(entry: Entry, wanted: EntryFilter) -> bool:
    """Whether a running exchange matches the filter, whatever its outcome and key."""
    return (
        wanted.user_id in (None, entry.user_id or 0)
        and wanted.model in (None, entry.model)
        and wanted.upstream in (None, entry.upstream)
    )


def _event(name: str, view: RequestView, number: int | None = None) -> bytes:
    lines = f"event: {name}\n"
    if number:
        lines += f"id: {number}\n"
    return lines.encode() + b"data: " + msgspec.json.encode(view) + b"\n\n"


async def _may_listen(request: UserRequest) -> bool:
    """Whether the caller would get access now."""
    try:
        caller = await Authentication(request.app).authenticate_request(request)
        request.scope["user"], request.scope["auth"] = caller.user, caller.auth
        admin_only(request, request.route_handler)
    except HTTPException:
        return False
    return True
