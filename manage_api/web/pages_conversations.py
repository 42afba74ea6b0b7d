"""`/conversations`, `/admin/conversations` and `/conversations/{conversation}`."""

from typing import Any

from litestar import Response, get
from litestar.di import NamedDependency
from litestar.exceptions import NotFoundException

from manage_api.access.callers import UserRequest
from manage_api.access.guards import admin_only
from manage_api.domains.requests.conversations import page_of_conversations
from manage_api.domains.requests.drops import Step, steps
from manage_api.domains.requests.schemas import ConversationView, RequestView
from manage_api.paging import Cursor, Page, SomeText, search_page
from manage_api.sidecar import Sidecar
from manage_api.web.rendering import Pages, page
from shared.store.accounts import find_user_id
from shared.store.conversations import ConversationFilter, find_conversation
from shared.store.engine import Engine
from shared.store.reports import EntryFilter, recent_entries

__all__ = ("AllConversationsPages", "ConversationPages")

_PER_PAGE = 30

_STEPS = 100
"""Requests of a conversation on a page: as many bars as a chart shows legibly."""


class ConversationPages(Pages):
    """The user's own conversations, and single ones."""

    @get("/conversations")
    async def show(
        self, request: UserRequest, sidecar: NamedDependency[Sidecar], cursor: Cursor = None
    ) -> Response[str]:
        """List the user's own, the one with the latest request first."""
        own = ConversationFilter(user_id=request.user.id)
        rows = await page_of_conversations(sidecar.store, own, cursor, _PER_PAGE)
        return page(request, "conversations.html", conversations=rows, cursor=cursor, filters=None)

    @get("/conversations/{conversation:str}")
    async def show_one(
        self,
        request: UserRequest,
        sidecar: NamedDependency[Sidecar],
        conversation: str,
        cursor: Cursor = None,
    ) -> Response[str]:
        """Show the latest requests of a conversation, or those before the cursor, oldest first.

        Users see their own, admins anybody's.
        """
        row = find_conversation(sidecar.store, conversation)
        if row is None or (request.user.role != "admin" and row.user_id != request.user.id):
            raise NotFoundException("There is no such conversation; old ones are deleted.")
        shown, earlier = await _steps(sidecar.store, conversation, cursor)
        return page(
            request,
            "conversation.html",
            one=ConversationView.of(row),
            steps=shown,
            series=_series(shown),
            earlier=earlier,
            cursor=cursor,
        )


class AllConversationsPages(Pages):
    """Everyone's conversations."""

    guards = (admin_only,)

    @get("/admin/conversations")
    async def show(
        self,
        request: UserRequest,
        sidecar: NamedDependency[Sidecar],
        user: SomeText = None,
        model: SomeText = None,
        upstream: SomeText = None,
        cursor: Cursor = None,
    ) -> Response[str]:
        """List the matching ones, the one with the latest request first."""
        filters: dict[str, Any] = {
            "user": (user or "").strip(),
            "model": (model or "").strip(),
            "upstream": upstream,
        }
        names = {each.name for each in sidecar.snapshot.upstreams}
        return page(
            request,
            "conversations.html",
            conversations=await _search(sidecar.store, filters, cursor),
            cursor=cursor,
            filters=filters,
            upstream_names=sorted({*names, upstream or ""} - {""}),
        )


async def _search(
    store: Engine, filters: dict[str, Any], cursor: str | None
) -> Page[ConversationView]:
    """List the matching conversations: none if no account has the name."""
    user_id = find_user_id(store, filters["user"])
    if filters["user"] and user_id is None:
        return Page([], None)
    conversation_filter = ConversationFilter(
        user_id=user_id,
        model=filters["model"] or None,
        upstream=filters["upstream"] or None,
    )
    return await page_of_conversations(store, conversation_filter, cursor, _PER_PAGE)


async def _steps(
    store: Engine, conversation: str, cursor: str | None
) -> tuple[list[Step], str | None]:
    """Return requests oldest first, and the cursor for earlier ones."""
    entry_filter = EntryFilter(conversation=conversation)

    def read(before: int, most: int) -> tuple[list[RequestView], int | None]:
        entries, following = recent_entries(store, entry_filter, before=before, limit=most)
        return [RequestView.of(*entry) for entry in entries], following

    rows = await search_page(read, cursor, _STEPS)
    before: list[RequestView] = []
    if rows.items and rows.next:
        # The first request shown is compared with the one before it.
        before, _ = read(rows.items[-1].id or 0, 1)
    all_steps = steps([*before, *reversed(rows.items)])
    return all_steps[len(before) :], rows.next


def _series(shown: list[Step]) -> list[dict[str, Any]]:
    """Split each prompt into cached and uncached tokens."""
    cached = [step.request.cached_tokens for step in shown]
    uncached = [step.request.prompt_tokens - step.request.cached_tokens for step in shown]
    return [{"name": "Cached", "values": cached}, {"name": "Uncached", "values": uncached}]
