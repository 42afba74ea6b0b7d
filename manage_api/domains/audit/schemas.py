"""What the routes over the audit give."""

from datetime import UTC, datetime
from typing import Self

import msgspec

from shared.store.audit import StoredRecord, unpacked

__all__ = (
    "LINE_COLUMNS",
    "AuditDetails",
    "AuditItem",
    "AuditLine",
    "Conversation",
    "ConversationTurn",
    "ToolCall",
)


class AuditItem(msgspec.Struct, frozen=True, kw_only=True):
    """Who asked what, in short."""

    id: int
    exchange: str
    at: int
    """When the request came, epoch milliseconds."""

    user_id: int
    username: str
    """The name the user had then."""

    model: str
    upstream: str
    status: int
    """HTTP status of the answer; 0: there was none."""

    text: str
    """The last user message; in a list its first 2000 characters."""

    @classmethod
    def of(cls, record: StoredRecord) -> Self:
        return msgspec.convert(record, cls, from_attributes=True)


class ToolCall(msgspec.Struct, frozen=True):
    """A tool call of a turn."""

    name: str = ""
    arguments: str = ""


class ConversationTurn(msgspec.Struct, frozen=True, kw_only=True):
    """One message, or the answer."""

    role: str = "assistant"
    text: str = ""
    calls: tuple[ToolCall, ...] = ()
    reasoning: str | None = None
    restored: str | None = None
    """The rule by which the reasoning was put back; null: it came with the message."""


class Conversation(msgspec.Struct, frozen=True, kw_only=True):
    """What was said; the first messages of a very long one are left out."""

    messages: tuple[ConversationTurn, ...] = ()
    answer: ConversationTurn | None = None


class AuditDetails(AuditItem, frozen=True, kw_only=True):
    """Who asked what, in full."""

    conversation: Conversation | None
    """Null unless whole conversations are kept (`[audit] mode = "full"`)."""

    @classmethod
    def of(cls, record: StoredRecord) -> Self:
        fields = msgspec.structs.asdict(AuditItem.of(record))
        return cls(**fields, conversation=_conversation(record.conversation))


class AuditLine(AuditItem, frozen=True, kw_only=True):
    """Who asked what, as a line of a table."""

    time: str
    """`at` as people write it, UTC."""

    @classmethod
    def of(cls, record: StoredRecord) -> Self:
        time = datetime.fromtimestamp(record.at / 1000, UTC).isoformat(" ", "seconds")
        return cls(**msgspec.structs.asdict(AuditItem.of(record)), time=time)


LINE_COLUMNS = (
    "id",
    "time",
    "user_id",
    "username",
    "model",
    "upstream",
    "status",
    "exchange",
    "text",
)


def _conversation(packed: bytes | None) -> Conversation | None:
    """None also for what another version of the program wrote in another shape."""
    if packed is None:
        return None
    try:
        return msgspec.json.decode(unpacked(packed), type=Conversation)
    except ValueError:
        return None
