"""`/api/my-requests`, `/api/admin/requests` and `/api/admin/overview`."""

from typing import Annotated

from litestar import Controller, get
from litestar.datastructures import State
from litestar.di import NamedDependency, Provide
from litestar.exceptions import TooManyRequestsException
from litestar.params import HeaderParameter, QueryParameter
from litestar.response import Stream
from msgspec.structs import replace

from manage_api.access.callers import UserRequest
from manage_api.access.guards import admin_only
from manage_api.domains.requests.feed import MAX_LISTENERS, Feed
from manage_api.domains.requests.schemas import Overview, RequestView, UpstreamHealth
from manage_api.paging import (
    Cursor,
    Limit,
    Page,
    SomeId,
    SomeText,
    described_as,
    search_page,
)
from manage_api.sidecar import Sidecar
from shared.model import LARGEST
from shared.store.engine import Engine
from shared.store.reports import EntryFilter, Outcome, count_running, recent_entries
from shared.store.upstream_health import read_health

__all__ = ("MyRequestsController", "RequestsController")

EVENTS = "text/event-stream"

LastEventId = Annotated[int | None, HeaderParameter(name="Last-Event-ID", ge=0, le=LARGEST)]
Minutes = Annotated[int, QueryParameter(ge=1, le=1440)]
Status = Annotated[
    Outcome | None, QueryParameter(description="`error`: every request that did not succeed.")
]


def _entry_filter(
    key_id: SomeId = None,
    model: SomeText = None,
    upstream: SomeText = None,
    status: Status = None,
    error_class: SomeText = None,
    conversation: SomeText = None,
) -> EntryFilter:
    return EntryFilter(
        key_id=key_id,
        model=model or None,
        upstream=upstream or None,
        outcome=status,
        error_class=error_class or None,
        conversation=conversation or None,
    )


def _feed(state: State) -> Feed:
    feed: Feed = state.feed
    return feed


class MyRequestsController(Controller):
    """The caller's own exchanges."""

    path = "/api/my-requests"
    dependencies = {"entry_filter": Provide(_entry_filter, sync_to_thread=False)}

    @get()
    async def show(
        self,
        request: UserRequest,
        entry_filter: NamedDependency[EntryFilter],
        sidecar: NamedDependency[Sidecar],
        cursor: Cursor = None,
        limit: Limit = 50,
    ) -> Page[RequestView]:
        """List the caller's exchanges with all keys, newest first."""
        return await _page(
            sidecar.store, replace(entry_filter, user_id=request.user.id), cursor, limit
        )


class RequestsController(Controller):
    """Everyone's exchanges, for admins."""

    path = "/api/admin"
    guards = (admin_only,)
    dependencies = {
        "entry_filter": Provide(_entry_filter, sync_to_thread=False),
        "feed": Provide(_feed, sync_to_thread=False),
    }

    @get("/requests")
    async def show(
        self,
        entry_filter: NamedDependency[EntryFilter],
        sidecar: NamedDependency[Sidecar],
        user_id: SomeId = None,
        cursor: Cursor = None,
        limit: Limit = 50,
    ) -> Page[RequestView]:
        """List everyone's exchanges, newest first.

        User 0 stands for callers with an upstream's own key.
        """
        return await _page(sidecar.store, replace(entry_filter, user_id=user_id), cursor, limit)

    @get("/requests/live", operation_class=described_as(EVENTS), raises=[TooManyRequestsException])
    async def follow(
        self,
        request: UserRequest,
        feed: NamedDependency[Feed],
        user_id: SomeId = None,
        model: SomeText = None,
        upstream: SomeText = None,
        last_event_id: LastEventId = None,
    ) -> Stream:
        """Stream exchanges as they happen, as server-sent events.

        `opened`: an exchange runs; `settled`: one has ended, with the id of its entry. The
        data of both is an item of the list. `alive`: nothing has happened for 15 seconds.
        """
        if feed.full:
            raise TooManyRequestsException(
                f"{MAX_LISTENERS} pages already follow the live requests: close one of them.",
                headers={"Retry-After": "30"},
            )
        entry_filter = EntryFilter(user_id=user_id, model=model or None, upstream=upstream or None)
        return Stream(
            feed.listen(request, entry_filter, last_event_id),
            media_type=EVENTS,
            headers={"X-Accel-Buffering": "no"},
        )

    @get("/overview")
    async def overview(self, sidecar: NamedDependency[Sidecar], minutes: Minutes = 60) -> Overview:
        """Summarise how each upstream did in the last minutes, from at most 5000 exchanges."""
        since = sidecar.clock.now_ms() - minutes * 60_000
        return Overview(
            minutes=minutes,
            running=count_running(sidecar.store),
            upstreams=[UpstreamHealth.of(health) for health in read_health(sidecar.store, since)],
        )


async def _page(
    store: Engine, entry_filter: EntryFilter, cursor: str | None, limit: int
) -> Page[RequestView]:
    def read(before: int, most: int) -> tuple[list[RequestView], int | None]:
        entries, following = recent_entries(store, entry_filter, before=before, limit=most)
        return [RequestView.of(number, entry) for number, entry in entries], following

    return await search_page(read, cursor, limit)
