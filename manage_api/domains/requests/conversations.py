"""`/api/my-conversations` and `/api/admin/conversations`."""

from litestar import Controller, get
from litestar.di import NamedDependency

from manage_api.access.callers import UserRequest
from manage_api.access.guards import admin_only
from manage_api.domains.requests.schemas import ConversationView
from manage_api.paging import Cursor, Limit, Page, SomeId, SomeText, search_page
from manage_api.sidecar import Sidecar
from shared.store.conversations import ConversationFilter, recent_conversations
from shared.store.engine import Engine

__all__ = ("ConversationsController", "MyConversationsController", "page_of_conversations")


class MyConversationsController(Controller):
    """The caller's own conversations."""

    @get("/api/my-conversations")
    async def show(
        self,
        request: UserRequest,
        sidecar: NamedDependency[Sidecar],
        model: SomeText = None,
        upstream: SomeText = None,
        cursor: Cursor = None,
        limit: Limit = 50,
    ) -> Page[ConversationView]:
        """List the caller's conversations with their usage, the most recent first."""
        conversation_filter = ConversationFilter(
            user_id=request.user.id, model=model or None, upstream=upstream or None
        )
        return await page_of_conversations(sidecar.store, conversation_filter, cursor, limit)


class ConversationsController(Controller):
    """Everyone's conversations, for admins."""

    guards = (admin_only,)

    @get("/api/admin/conversations")
    async def show(
        self,
        sidecar: NamedDependency[Sidecar],
        user_id: SomeId = None,
        model: SomeText = None,
        upstream: SomeText = None,
        cursor: Cursor = None,
        limit: Limit = 50,
    ) -> Page[ConversationView]:
        """List everyone's conversations with their usage, the most recent first.

        User 0 stands for callers with an upstream's own key. Model and upstream are those of
        the latest request.
        """
        conversation_filter = ConversationFilter(
            user_id=user_id, model=model or None, upstream=upstream or None
        )
        return await page_of_conversations(sidecar.store, conversation_filter, cursor, limit)


async def page_of_conversations(
    store: Engine, conversation_filter: ConversationFilter, cursor: str | None, limit: int
) -> Page[ConversationView]:
    """Return the page after the cursor."""

    def read(before: int, most: int) -> tuple[list[ConversationView], int | None]:
        rows, following = recent_conversations(
            store, conversation_filter, before=before, limit=most
        )
        return [ConversationView.of(row) for row in rows], following

    return await search_page(read, cursor, limit)
