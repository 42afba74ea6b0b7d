"""`/admin` and its parts: what happens now, and how upstreams and the recall of reasoning
did lately.
"""

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
from manage_api.paging import SomeText, page_of_found
from manage_api.sidecar import Sidecar
from manage_api.web.rendering import Pages, page
from shared.store.accounts import find_user_by_name
from shared.store.feed import Attempt, read_recent
from shared.store.ledger import Entry
from shared.store.reports import (
    EntryFilter,
    Outcome,
    count_running,
    read_health,
    recent_entries,
    running_exchanges,
)

__all__ = ("OverviewPages",)

Minutes = Annotated[int, QueryParameter(ge=1, le=1440)]
Status = Annotated[Outcome | Literal[""] | None, QueryParameter()]

_SHOWN = 30
_SHOWN_RUNNING = 20
_REASONS = 8
_CLIENTS = 8


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """What the feed shows, as its filters say it."""

    user: str
    """A name; nobody else's requests are shown, also when there is no such account."""

    user_id: int | None
    model: str
    upstream: str
    errors: bool

    @property
    def unknown_user(self) -> bool:
        return bool(self.user) and self.user_id is None

    @property
    def entries(self) -> EntryFilter:
        return EntryFilter(
            user_id=self.user_id,
            model=self.model or None,
            upstream=self.upstream or None,
            outcome="error" if self.errors else None,
        )

    @property
    def query(self) -> dict[str, Any]:
        """The filters in the address of the page."""
        status = "error" if self.errors else ""
        return {"user": self.user, "model": self.model, "upstream": self.upstream, "status": status}

    @property
    def live_query(self) -> dict[str, Any]:
        """The filters of the live feed."""
        whose = {} if self.user_id is None else {"user_id": self.user_id}
        return whose | {"model": self.model, "upstream": self.upstream}


class UpstreamRow(msgspec.Struct, frozen=True, kw_only=True):
    """How an upstream did lately."""

    name: str
    """Empty: requests that were refused before there was one."""

    health: UpstreamHealth | None
    attempts: list[Attempt]


def _wanted(
    sidecar: NamedDependency[Sidecar],
    user: SomeText = None,
    model: SomeText = None,
    upstream: SomeText = None,
    status: Status = None,
) -> Wanted:
    name = (user or "").strip()
    found = find_user_by_name(sidecar.store, name) if name else None
    return Wanted(
        user=name,
        user_id=found[0].id if found else None,
        model=(model or "").strip(),
        upstream=upstream or "",
        errors=status == "error",
    )


class OverviewPages(Pages):
    """Everybody's requests as they happen."""

    guards = (admin_only,)
    dependencies = {"wanted": Provide(_wanted, sync_to_thread=False)}

    @get("/admin")
    async def show(
        self,
        request: UserRequest,
        sidecar: NamedDependency[Sidecar],
        wanted: NamedDependency[Wanted],
        minutes: Minutes = 60,
    ) -> Response[str]:
        """All of it."""
        names = [upstream.name for upstream in sidecar.snapshot.upstreams]
        return page(
            request,
            "admin/overview.html",
            upstream_names=sorted({*names, wanted.upstream} - {""}),
            **await _feed(sidecar, wanted),
            **_doing(sidecar, minutes),
        )

    @get("/admin/overview/feed")
    async def show_feed(
        self,
        request: UserRequest,
        sidecar: NamedDependency[Sidecar],
        wanted: NamedDependency[Wanted],
    ) -> Response[str]:
        """The table of requests, as often as something happened."""
        return page(request, "admin/overview_feed.html", **await _feed(sidecar, wanted))

    @get("/admin/overview/lately")
    async def show_lately(
        self, request: UserRequest, sidecar: NamedDependency[Sidecar], minutes: Minutes = 60
    ) -> Response[str]:
        """How all went lately, from time to time."""
        return page(request, "admin/overview_lately.html", **_doing(sidecar, minutes))

    @get("/admin/overview/running/{exchange:str}")
    async def show_running(
        self, request: UserRequest, sidecar: NamedDependency[Sidecar], exchange: str
    ) -> Response[str]:
        """One request that runs, for the drawer."""
        found = next(
            (each for each in running_exchanges(sidecar.store) if each.exchange == exchange), None
        )
        if found is None:
            raise NotFoundException("This request has ended meanwhile: open it from the list.")
        return page(request, "dashboard/request.html", one=_running_view(found))


async def _feed(sidecar: Sidecar, wanted: Wanted) -> dict[str, Any]:
    """What runs and what has ended, the newest first."""
    if wanted.unknown_user:
        return {"wanted": wanted, "running": [], "ended": [], "now": sidecar.clock.now_ms()}

    def read(before: int, most: int) -> tuple[list[RequestView], int | None]:
        entries, following = recent_entries(
            sidecar.store, wanted.entries, before=before, limit=most
        )
        return [RequestView.of(*entry) for entry in entries], following

    runs = (
        []
        if wanted.errors
        else [each for each in running_exchanges(sidecar.store) if fits(each, wanted.entries)]
    )
    newest = sorted(runs, key=lambda each: each.at, reverse=True)[:_SHOWN_RUNNING]
    return {
        "wanted": wanted,
        "running": [_running_view(each) for each in newest],
        "ended": (await page_of_found(read, None, _SHOWN)).items,
        "now": sidecar.clock.now_ms(),
    }


def _running_view(entry: Entry) -> RequestView:
    """What is open has no trouble yet: what it tells of one is for the case that its node dies."""
    return RequestView.of(None, replace(entry, error_class="", status=0))


def _doing(sidecar: Sidecar, minutes: int) -> dict[str, Any]:
    """How upstreams, clients and the recall of reasoning did lately."""
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
        "reasons": reasons.most_common(_REASONS),
        "replays": recent.replays[:_CLIENTS],
    }
