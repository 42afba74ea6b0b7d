"""The bodies of the routes over the audit log."""

from datetime import UTC, datetime
from typing import Self

import msgspec

from shared.store.audit import NumberedRecord, unpack_conversation

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
    """An audit record in short."""

    id: int
    exchange: str
    at: int
    """When the request arrived, epoch milliseconds."""

    user_id: int
    username: str
    """The user's name at the time."""

    model: str
    upstream: str
    status: int
    """HTTP status of the response; 0: there was none."""

    text: str
    """The last user message; in a list its first 2000 characters."""

    @classmethod
    def of(cls, record: NumberedRecord) -> Self:
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
    """The rule that restored the reasoning; null: it came with the message."""

    missed: str | None = None
    """Why the reasoning was not found; null: it was, or none was looked for."""


class Conversation(msgspec.Struct, frozen=True, kw_only=True):
    """The messages and the answer; a very long one lacks its first messages."""

    messages: tuple[ConversationTurn, ...] = ()
    answer: ConversationTurn | None = None


class AuditDetails(AuditItem, frozen=True, kw_only=True):
    """An audit record in full."""

    conversation: Conversation | None
    """Null unless whole conversations are kept (`[audit] mode = "full"`)."""

    @classmethod
    def of(cls, record: NumberedRecord) -> Self:
        fields = msgspec.structs.asdict(AuditItem.of(record))
        return cls(**fields, conversation=_conversation(record.conversation))


class AuditLine(AuditItem, frozen=True, kw_only=True):
    """An audit record as a line of a table."""

    time: str
    """`at` in ISO 8601, UTC."""

    @classmethod
    def of(cls, record: NumberedRecord) -> Self:
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
    """Decode a conversation; None for one that another version wrote in another shape."""
    if packed is None:
        return None
    try:
        return msgspec.json.decode(unpack_conversation(packed), type=Conversation)
    except ValueError:
        return None
