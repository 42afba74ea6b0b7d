"""`/api/my-conversations` and `/api/admin/conversations`."""

from litestar import Controller, get
from litestar.di import NamedDependency

from manage_api.access.callers import UserRequest
from manage_api.access.guards import admin_only
from manage_api.domains.requests.schemas import ConversationView
from manage_api.paging import Cursor, Limit, Page, SomeId, SomeText, page_of_found
from manage_api.sidecar import Sidecar
from shared.store.conversations import ConversationFilter, recent_conversations
from shared.store.engine import Engine

__all__ = ("ConversationsController", "MyConversationsController", "page_of_conversations")


class MyConversationsController(Controller):
    """One's own conversations."""

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
        """What one's own conversations used, that with the latest request first."""
        wanted = ConversationFilter(
            user_id=request.user.id, model=model or None, upstream=upstream or None
        )
        return await page_of_conversations(sidecar.store, wanted, cursor, limit)


class ConversationsController(Controller):
    """Everybody's conversations, for admins."""

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
        """What everybody's conversations used, that with the latest request first.

        The user 0 stands for callers with an upstream's own key; model and upstream are
        those of the latest request.
        """
        wanted = ConversationFilter(user_id=user_id, model=model or None, upstream=upstream or None)
        return await page_of_conversations(sidecar.store, wanted, cursor, limit)


async def page_of_conversations(
    store: Engine, wanted: ConversationFilter, cursor: str | None, limit: int
) -> Page[ConversationView]:
    """The page after the cursor."""

    def read(before: int, most: int) -> tuple[list[ConversationView], int | None]:
        found, following = recent_conversations(store, wanted, before=before, limit=most)
        return [ConversationView.of(one) for one in found], following

    return await page_of_found(read, cursor, limit)
