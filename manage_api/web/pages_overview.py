"""`/admin` and its parts: live requests, and how upstreams and recall are doing."""

from collections import Counter
from typing import Annotated, Any, Literal

import msgspec
from litestar import Response, get
from litestar.di import NamedDependency, Provide
from litestar.exceptions import NotFoundException
from litestar.params import QueryParameter
from msgspec.structs import replace

from manage_api.access.callers import UserRequest
from manage_api.access.guards import admin_only
from manage_api.domains.requests.feed import fits
from manage_api.domains.requests.schemas import RequestView, UpstreamHealth
from manage_api.paging import SomeText, search_page
from manage_api.sidecar import Sidecar
from manage_api.web.rendering import Pages, page
from shared.store.accounts import find_user_id
from shared.store.feed import Attempt, read_recent
from shared.store.ledger import Entry
from shared.store.reports import (
    EntryFilter,
    Outcome,
    count_running,
    recent_entries,
    running_exchanges,
)
from shared.store.upstream_health import read_health

__all__ = ("OverviewPages",)

Minutes = Annotated[int, QueryParameter(ge=1, le=1440)]
Status = Annotated[Outcome | Literal[""] | None, QueryParameter()]

# What fits on a screen: the list of requests has them all.
_MAX_ENDED = 30
_MAX_RUNNING = 20
_MAX_REASONS = 8
_MAX_CLIENTS = 8


class FeedFilter(msgspec.Struct, frozen=True, kw_only=True):
    """The filters of the feed."""

    user: str
    """A name; if no account has it, no requests are shown."""

    user_id: int | None
    model: str
    upstream: str
    errors: bool

    @property
    def unknown_user(self) -> bool:
        return bool(self.user) and self.user_id is None

    @property
    def entries(self) -> EntryFilter:
        entries = EntryFilter(
            user_id=self.user_id, model=self.model or None, upstream=self.upstream or None
        )
        if self.errors:
            return replace(entries, outcome="error")
        return entries

    @property
    def query(self) -> dict[str, Any]:
        """The filters in the page's URL."""
        query = {"user": self.user, "model": self.model, "upstream": self.upstream}
        if self.errors:
            query["status"] = "error"
        return query

    @property
    def live_query(self) -> dict[str, Any]:
        """The filters in the live feed's URL; None is left out there."""
        return {"user_id": self.user_id, "model": self.model, "upstream": self.upstream}


class UpstreamRow(msgspec.Struct, frozen=True, kw_only=True):
    """How an upstream has done recently."""

    name: str
    """Empty: requests that were refused before one was chosen."""

    health: UpstreamHealth | None
    attempts: list[Attempt]


def _feed_filter(
    sidecar: NamedDependency[Sidecar],
    user: SomeText = None,
    model: SomeText = None,
    upstream: SomeText = None,
    status: Status = None,
) -> FeedFilter:
    name = (user or "").strip()
    return FeedFilter(
        user=name,
        user_id=find_user_id(sidecar.store, name),
        model=(model or "").strip(),
        upstream=upstream or "",
        errors=status == "error",
    )


class OverviewPages(Pages):
    """Everyone's requests as they happen."""

    guards = (admin_only,)
    dependencies = {"feed_filter": Provide(_feed_filter, sync_to_thread=False)}

    @get("/admin")
    async def show(
        self,
        request: UserRequest,
        sidecar: NamedDependency[Sidecar],
        feed_filter: NamedDependency[FeedFilter],
        minutes: Minutes = 60,
    ) -> Response[str]:
        """Show the whole overview."""
        names = [upstream.name for upstream in sidecar.snapshot.upstreams]
        return page(
            request,
            "admin/overview.html",
            upstream_names=sorted({*names, feed_filter.upstream} - {""}),
            **await _feed(sidecar, feed_filter),
            **_recent_state(sidecar, minutes),
        )

    @get("/admin/overview/feed")
    async def show_feed(
        self,
        request: UserRequest,
        sidecar: NamedDependency[Sidecar],
        feed_filter: NamedDependency[FeedFilter],
    ) -> Response[str]:
        """Show the table of requests again after something happened."""
        return page(request, "admin/overview_feed.html", **await _feed(sidecar, feed_filter))

    @get("/admin/overview/lately")
    async def show_lately(
        self, request: UserRequest, sidecar: NamedDependency[Sidecar], minutes: Minutes = 60
    ) -> Response[str]:
        """Show again how things went recently."""
        return page(request, "admin/overview_lately.html", **_recent_state(sidecar, minutes))

    @get("/admin/overview/running/{exchange:str}")
    async def show_running(
        self, request: UserRequest, sidecar: NamedDependency[Sidecar], exchange: str
    ) -> Response[str]:
        """Show one running request in the drawer."""
        for entry in running_exchanges(sidecar.store):
            if entry.exchange == exchange:
                return page(request, "dashboard/request.html", one=_running_view(entry))
        raise NotFoundException("This request has ended: open it from the list.")


async def _feed(sidecar: Sidecar, feed_filter: FeedFilter) -> dict[str, Any]:
    """List running and ended requests, newest first."""
    feed = {"wanted": feed_filter, "running": [], "ended": [], "now": sidecar.clock.now_ms()}
    if feed_filter.unknown_user:
        return feed
    entry_filter = feed_filter.entries

    def read(before: int, most: int) -> tuple[list[RequestView], int | None]:
        entries, following = recent_entries(sidecar.store, entry_filter, before=before, limit=most)
        return [RequestView.of(*entry) for entry in entries], following

    feed["ended"] = (await search_page(read, None, _MAX_ENDED)).items
    if not feed_filter.errors:
        runs = [each for each in running_exchanges(sidecar.store) if fits(each, entry_filter)]
        newest = sorted(runs, key=lambda each: each.at, reverse=True)[:_MAX_RUNNING]
        feed["running"] = [_running_view(each) for each in newest]
    return feed


def _running_view(entry: Entry) -> RequestView:
    """View a running request: its error is only for the case that its node dies."""
    return RequestView.of(None, replace(entry, error_class="", status=0))


def _recent_state(sidecar: Sidecar, minutes: int) -> dict[str, Any]:
    """Summarise how upstreams, clients and recall have done recently."""
    since = sidecar.clock.now_ms() - minutes * 60_000
    health = {each.upstream: UpstreamHealth.of(each) for each in read_health(sidecar.store, since)}
    recent = read_recent(sidecar.store)
    names = [upstream.name for upstream in sidecar.snapshot.upstreams]
    reasons: Counter[str] = Counter()
    for each in health.values():
        reasons.update(each.reasons)
    return {
        "minutes": minutes,
        "count_running": count_running(sidecar.store),
        "requests": sum(each.requests for each in health.values()),
        "failures": sum(each.failures for each in health.values()),
        "restored": sum(each.restored for each in health.values()),
        "missing": sum(each.missing for each in health.values()),
        "rows": [
            UpstreamRow(name=name, health=health.get(name), attempts=recent.attempts.get(name, []))
            for name in [*names, *sorted(health.keys() - set(names), reverse=True)]
        ],
        "reasons": reasons.most_common(_MAX_REASONS),
        "replays": recent.replays[:_MAX_CLIENTS],
    }
