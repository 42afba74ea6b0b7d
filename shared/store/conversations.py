"""Conversations: the total usage of each chat, the verbs over the table `conversations`."""

import msgspec

from shared.store.engine import Engine, Row
from shared.store.paging import END, Source, read_newest
from shared.store.reports import Sums

__all__ = ("Conversation", "ConversationFilter", "find_conversation", "recent_conversations")


class Conversation(Sums, frozen=True, kw_only=True):
    """One chat of one caller, as far back as the ledger goes."""

    conversation: str
    user_id: int
    """0: the caller used an upstream's own key."""

    username: str
    upstream: str
    """Of the latest exchange, like the next three."""

    model: str
    upstream_model: str
    user_agent: str
    first_at: int
    """When its first request arrived, epoch ms."""

    last_at: int


class ConversationFilter(msgspec.Struct, frozen=True, kw_only=True):
    """Which conversations to find; None: any."""

    user_id: int | None = None
    """0: callers with an upstream's own key."""

    model: str | None = None
    """Of the latest exchange, like the next."""

    upstream: str | None = None


_FIELDS = Conversation.__struct_fields__
_CONVERSATIONS = Source(
    found_in="conversations",
    number="latest",
    read_from="conversations",
    columns=", ".join((*_FIELDS, "latest")),
)
_SIFTS = ("model", "upstream")


def recent_conversations(
    engine: Engine, conversation_filter: ConversationFilter, *, before: int = END, limit: int = 50
) -> tuple[list[Conversation], int | None]:
    """Return conversations, latest first, and the `before` of the next page or None at the end.

    A page can be short before the end.
    """
    finds = []
    if conversation_filter.user_id is not None:
        finds.append("user_id = :user_id")
    sifts = [name for name in _SIFTS if getattr(conversation_filter, name) is not None]
    rows, following = read_newest(
        engine,
        _CONVERSATIONS,
        finds=finds,
        sifts=[f"{name} = :{name}" for name in sifts],
        params=msgspec.structs.asdict(conversation_filter),
        before=before,
        limit=limit,
    )
    return [_conversation(row) for row in rows], following


def find_conversation(engine: Engine, conversation: str) -> Conversation | None:
    """Return the conversation with this name."""
    sql = f"SELECT {_CONVERSATIONS.columns} FROM conversations WHERE conversation = :conversation"  # noqa: S608 - a constant
    rows = engine.read(sql, {"conversation": conversation})
    return _conversation(rows[0]) if rows else None


def _conversation(row: Row) -> Conversation:
    return Conversation(**dict(zip(_FIELDS, row[:-1], strict=True)))
