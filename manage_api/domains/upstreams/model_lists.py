"""Asks upstreams for their models by itself, and keeps what they list."""

import asyncio
import logging

import msgspec

from manage_api.domains.upstreams.probe import count_models, fault_of, probe, trust
from manage_api.domains.upstreams.schemas import KeyReport, UpstreamReport
from manage_api.domains.upstreams.service import is_guarded
from manage_api.sidecar import Sidecar
from shared.config.schema import Upstream
from shared.store.upstream_models import (
    Listing,
    forget_listing,
    keep_listing,
    upstreams_with_listing,
)
from shared.store.versions import change_topic, changed

__all__ = ("ModelLists", "keep")

log = logging.getLogger("thinkback.sidecar")

_LOOK_SECONDS = 1.0
"""Between looks at whether an upstream is due: the pages promise two seconds."""

_RETRY_SECONDS = 300.0
"""After a failure that may pass: a provider that was down must not be unknown for an hour."""

_CONCURRENCY = 4
"""Upstreams asked at a time."""


class _Asked(msgspec.Struct):
    """When one upstream is to be asked again, and what was said of it."""

    upstream: Upstream
    """As it was then: a changed one is asked at once."""

    again_at: float
    """By the monotonic clock."""

    fault: str = ""


class ModelLists:
    """Asks at the start, on change, and every `[models] refresh_seconds`.

    A change of state is one line in the log.
    """

    def __init__(self, sidecar: Sidecar) -> None:
        self._sidecar = sidecar
        self._asked: dict[str, _Asked] = {}
        self._names: set[str] = set()
        self._gate = asyncio.Semaphore(_CONCURRENCY)

    async def follow(self) -> None:
        """Ask who is due until cancelled."""
        async with asyncio.TaskGroup() as group:
            while True:
                for asked in self._due_or_none():
                    group.create_task(self.ask(asked))
                await asyncio.sleep(_LOOK_SECONDS)

    def _due_or_none(self) -> list[_Asked]:
        try:
            return self.due()
        except Exception as error:  # the loop's boundary: the next second may be better
            log.error("Can't tell which upstreams to ask for their models (%s).", error)
            return []

    def due(self) -> list[_Asked]:
        """Return the upstreams that are to be asked now, once each."""
        settings, now = self._sidecar.snapshot, self._sidecar.clock.monotonic()
        if not settings.models.refresh_seconds:
            return []
        self._forget_others(settings.upstreams)
        again_at = now + settings.models.refresh_seconds
        found = []
        for upstream in settings.upstreams:
            last = self._asked.get(upstream.name)
            if last is None or last.upstream != upstream or last.again_at <= now:
                fault = last.fault if last else ""
                self._asked[upstream.name] = _Asked(upstream, again_at, fault)
                found.append(self._asked[upstream.name])
        return found

    async def ask(self, asked: _Asked) -> None:
        """Ask one, keep what comes of it, and say what has changed; never raises."""
        name = asked.upstream.name
        try:
            async with self._gate:
                report = await _report(self._sidecar, asked.upstream)
            if self._asked.get(name) is not asked:
                return  # it was changed or removed meanwhile
            await keep(self._sidecar, asked.upstream, report)
        except Exception as error:  # the loop's boundary: the next time may be better
            log.error("Upstream %s could not be asked for its models (%s).", name, error)
            return
        if any(map(_may_pass, report.keys)):
            again_at = self._sidecar.clock.monotonic() + _RETRY_SECONDS
            asked.again_at = min(asked.again_at, again_at)
        _say(asked, report)

    def _forget_others(self, upstreams: tuple[Upstream, ...]) -> None:
        """Drop what is known of upstreams that are no more."""
        names, store = {upstream.name for upstream in upstreams}, self._sidecar.store
        if names == self._names:
            return
        self._names = names
        for name in self._asked.keys() - names:
            del self._asked[name]
        gone = upstreams_with_listing(store) - names
        if gone:
            store.write_later([*map(forget_listing, gone), changed("configuration")])


async def keep(sidecar: Sidecar, upstream: Upstream, report: UpstreamReport) -> None:
    """Keep what came of a test of the upstream; raises StoreError."""
    now = sidecar.clock.now_ms()
    statement = keep_listing(
        Listing(
            upstream=upstream.name,
            endpoint=upstream.endpoint,
            asked_at=now,
            listed_at=now if any(key.works for key in report.keys) else None,
            models=tuple(report.models),
            fault=fault_of(report),
            status=next((key.status or 0 for key in report.keys if not key.works), 0),
        )
    )
    await asyncio.to_thread(
        change_topic, sidecar.store, "configuration", lambda work: work.run(*statement)
    )


async def _report(sidecar: Sidecar, upstream: Upstream) -> UpstreamReport:
    tls = await asyncio.to_thread(trust)
    guarded = upstream.guarded and is_guarded(sidecar)
    return await probe(upstream, guarded=guarded, tls=tls, clock=sidecar.clock)


def _may_pass(key: KeyReport) -> bool:
    """Whether it failed for a reason that nobody here can remove."""
    return key.status is None or key.status == 429 or key.status >= 500


def _say(asked: _Asked, report: UpstreamReport) -> None:
    before, asked.fault = asked.fault, fault_of(report)
    if asked.fault and asked.fault != before:
        log.warning("Upstream %s: %s", asked.upstream.name, asked.fault)
    elif before and not asked.fault:
        number = count_models(report.models)
        log.info("Upstream %s works again and lists %s.", asked.upstream.name, number)
