"""`/conversations`, `/admin/conversations` and `/conversations/{conversation}`: how much of
prompts caches knew.
"""

from typing import Any

from litestar import Response, get
from litestar.di import NamedDependency
from litestar.exceptions import NotFoundException

from manage_api.access.callers import UserRequest
from manage_api.access.guards import admin_only
from manage_api.domains.requests.conversations import page_of_conversations
from manage_api.domains.requests.drops import Step, steps
from manage_api.domains.requests.schemas import ConversationView, RequestView
from manage_api.paging import Cursor, Page, SomeText, page_of_found
from manage_api.sidecar import Sidecar
from manage_api.web.rendering import Pages, page
from shared.store.accounts import find_user_by_name
from shared.store.conversations import ConversationFilter, find_conversation
from shared.store.engine import Engine
from shared.store.reports import EntryFilter, recent_entries

__all__ = ("AllConversationsPages", "ConversationPages")

_LISTED = 30
_STEPS = 100


class ConversationPages(Pages):
    """One's own conversations, and single ones."""

    @get("/conversations")
    async def show(
        self, request: UserRequest, sidecar: NamedDependency[Sidecar], cursor: Cursor = None
    ) -> Response[str]:
        """One's own, that with the latest request first."""
        wanted = ConversationFilter(user_id=request.user.id)
        found = await page_of_conversations(sidecar.store, wanted, cursor, _LISTED)
        return page(request, "conversations.html", found=found, cursor=cursor, filters=None)

    @get("/conversations/{conversation:str}")
    async def show_one(
        self,
        request: UserRequest,
        sidecar: NamedDependency[Sidecar],
        conversation: str,
        cursor: Cursor = None,
    ) -> Response[str]:
        """The latest requests of one, or those before the cursor, in their order: one's
        own, for an admin anybody's.
        """
        found = find_conversation(sidecar.store, conversation)
        if found is None or (request.user.role != "admin" and found.user_id != request.user.id):
            raise NotFoundException(
                "There is no such conversation; perhaps it was too old to keep."
            )
        shown, earlier = await _steps(sidecar.store, conversation, cursor)
        return page(
            request,
            "conversation.html",
            one=ConversationView.of(found),
            steps=shown,
            series=_series(shown),
            earlier=earlier,
            cursor=cursor,
        )


class AllConversationsPages(Pages):
    """Everybody's conversations."""

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
        """Those of the filters, that with the latest request first."""
        filters: dict[str, Any] = {
            "user": (user or "").strip(),
            "model": (model or "").strip(),
            "upstream": upstream,
        }
        names = {each.name for each in sidecar.snapshot.upstreams}
        return page(
            request,
            "conversations.html",
            found=await _found(sidecar.store, filters, cursor),
            cursor=cursor,
            filters=filters,
            upstream_names=sorted({*names, upstream or ""} - {""}),
        )


async def _found(
    store: Engine, filters: dict[str, Any], cursor: str | None
) -> Page[ConversationView]:
    """Nobody's when there is no account of that name."""
    user = find_user_by_name(store, filters["user"]) if filters["user"] else None
    if filters["user"] and user is None:
        return Page([], None)
    wanted = ConversationFilter(
        user_id=user[0].id if user else None,
        model=filters["model"] or None,
        upstream=filters["upstream"] or None,
    )
    return await page_of_conversations(store, wanted, cursor, _LISTED)


async def _steps(
    store: Engine, conversation: str, cursor: str | None
) -> tuple[list[Step], str | None]:
    """Requests in their order, and the cursor for those before."""
    wanted = EntryFilter(conversation=conversation)

    def read(before: int, most: int) -> tuple[list[RequestView], int | None]:
        entries, following = recent_entries(store, wanted, before=before, limit=most)
        return [RequestView.of(*entry) for entry in entries], following

    found = await page_of_found(read, cursor, _STEPS)
    first = found.items[-1].id if found.items and found.next else None
    before = read(first, 1)[0] if first else []  # to compare the first one with
    made = steps([*before, *reversed(found.items)])
    return made[len(before) :], found.next


def _series(shown: list[Step]) -> list[dict[str, Any]]:
    """What of each prompt came from the cache, and what did not."""
    cached = [step.request.cached_tokens for step in shown]
    anew = [step.request.prompt_tokens - step.request.cached_tokens for step in shown]
    return [{"name": "From the cache", "values": cached}, {"name": "Read anew", "values": anew}]
