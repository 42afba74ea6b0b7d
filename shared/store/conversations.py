"""Conversations: what the exchanges of one chat used together, the one that was active last
first.
"""

import msgspec

from shared.store.engine import Engine, Row
from shared.store.paging import END, Source, read_newest
from shared.store.reports import Sums

__all__ = ("Conversation", "ConversationFilter", "find_conversation", "recent_conversations")


class Conversation(Sums, frozen=True, kw_only=True):
    """One chat of one caller, as far as the ledger remembers."""

    conversation: str
    user_id: int
    """0: the caller showed an upstream's own key."""

    username: str
    upstream: str
    """Of the latest exchange, as the next three."""

    model: str
    upstream_model: str
    user_agent: str
    first_at: int
    """When its first request came, epoch ms."""

    last_at: int


class ConversationFilter(msgspec.Struct, frozen=True, kw_only=True):
    """Which conversations are looked for; None: any."""

    user_id: int | None = None
    """0: callers with an upstream's own key."""

    model: str | None = None
    """Of the latest exchange, as the next."""

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
    engine: Engine, wanted: ConversationFilter, *, before: int = END, limit: int = 50
) -> tuple[list[Conversation], int | None]:
    """Conversations, the one with the latest exchange first, and the `before` of the next
    page; None: that is all.

    A page can be short before the end.
    """
    rows, following = read_newest(
        engine,
        _CONVERSATIONS,
        finds=["user_id = :user_id"] if wanted.user_id is not None else [],
        sifts=[f"{name} = :{name}" for name in _SIFTS if getattr(wanted, name) is not None],
        params=msgspec.structs.asdict(wanted),
        before=before,
        limit=limit,
    )
    return [_conversation(row) for row in rows], following


def find_conversation(engine: Engine, conversation: str) -> Conversation | None:
    """The conversation of that name."""
    sql = f"SELECT {_CONVERSATIONS.columns} FROM conversations WHERE conversation = :conversation"  # noqa: S608 - a constant
    rows = engine.read(sql, {"conversation": conversation})
    return _conversation(rows[0]) if rows else None


def _conversation(row: Row) -> Conversation:
    return Conversation(**dict(zip(_FIELDS, row[:-1], strict=True)))
