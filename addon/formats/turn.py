"""The neutral vocabulary: what any format's messages mean."""

from functools import cached_property
from typing import Any, Literal

import msgspec

from addon.formats.splice import MalformedJson, value

__all__ = ("Edit", "Message", "Reasoning", "ToolCall", "Turn", "Usage", "text_of")


class ToolCall(msgspec.Struct, frozen=True):
    """A tool call of a turn; `arguments` is the raw string the model wrote."""

    id: str
    name: str
    arguments: str


class Reasoning(msgspec.Struct, frozen=True):
    """What an upstream said it thought; an empty `text` is a value, distinct from None."""

    text: str
    field: str
    """Name the upstream gave it, like `reasoning_content`."""


class Usage(msgspec.Struct, frozen=True, kw_only=True):
    """Tokens as the upstream counted them."""

    prompt_tokens: int = 0
    completion_tokens: int = 0
    reasoning_tokens: int = 0
    """Part of `completion_tokens`."""

    cached_tokens: int = 0
    """Part of `prompt_tokens`."""


class Turn(msgspec.Struct, frozen=True, kw_only=True):
    """One assistant reply as an upstream gave it, whole or as far as it came."""

    text: str = ""
    calls: tuple[ToolCall, ...] = ()
    reasoning: Reasoning | None = None
    finish_reason: str = ""


class Message(msgspec.Struct, dict=True):
    """One message of a replayed conversation, in any format."""

    role: Literal["system", "user", "assistant", "tool", ""]
    content: bytes = b"null"
    """JSON text of the content, decoded only when its text is asked for."""

    calls: tuple[ToolCall, ...] = ()
    result_of: str = ""
    """On a tool message: id of the call it answers."""

    reasoning: tuple[tuple[str, str], ...] = ()
    """Field names and texts the client sent itself."""

    @cached_property
    def text(self) -> str:
        """The text of the content, its parts joined; other parts have none."""
        return text_of(self.content)


class Edit(msgspec.Struct):
    """What to change in one replayed message."""

    reasoning: dict[str, str] | None = None
    """Reasoning fields the message must carry, instead of any it has; None leaves them alone."""

    ids: dict[str, str] = {}
    """Tool-call ids to replace, old to new."""


def text_of(content: bytes) -> str:
    """Text of a content: a string, an array of parts, or null."""
    try:
        decoded = value(content)
    except MalformedJson:
        return ""
    if isinstance(decoded, str):
        return decoded
    return "".join(map(_part_text, decoded)) if isinstance(decoded, list) else ""


def _part_text(part: Any) -> str:
    if isinstance(part, str):
        return part
    text = part.get("text") if isinstance(part, dict) else None
    return text if isinstance(text, str) else ""
