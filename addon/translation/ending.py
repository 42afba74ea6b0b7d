"""The end of a conversation whose last words are the assistant's: an answer that the client has
begun, and that the model is to go on with.

Claude does so by itself in its older models
(https://platform.claude.com/docs/en/build-with-claude/prompt-engineering/prefill-claudes-response),
Kimi where it is told (https://platform.moonshot.ai/docs/api/partial); others refuse it, or begin
anew.
"""

from addon.formats.neutral.request import WireFormat
from addon.formats.wire.lenient import as_dict, as_str, dicts_in
from addon.formats.wire.splice import (
    array_elements,
    array_text,
    members,
    scalar_text,
    value,
    with_members,
)

__all__ = ("as_prefill", "ended_by_user")

_GO_ON = "[Go on with your answer exactly where it ends, and repeat nothing of it.]"


def ended_by_user(body: bytes, api: WireFormat) -> bytes:
    """The body with the user asking for the rest of the answer that it ends with, if it does."""
    name = "input" if api == "responses" else "messages"
    raws = array_elements(dict(members(body)).get(name, b""))
    if not raws or not _is_begun(as_dict(value(raws[-1]))):
        return body
    asked = scalar_text({"role": "user", "content": _GO_ON})
    return with_members(body, {name: array_text([*raws, asked])})


def as_prefill(body: bytes, member: str) -> bytes:
    """The body of a chat upstream whose last message is marked by this member, if it is an
    answer to go on with; without a member the body as it is.
    """
    raws = array_elements(dict(members(body)).get("messages", b""))
    if not member or not raws or not _is_begun(as_dict(value(raws[-1]))):
        return body
    raws[-1] = with_members(raws[-1], {member: b"true"})
    return with_members(body, {"messages": array_text(raws)})


def _is_begun(message: dict[str, object]) -> bool:
    """Whether it is words of the assistant, without calls, which results follow."""
    if as_str(message.get("role")) != "assistant" or message.get("tool_calls"):
        return False
    return all(part.get("type") != "tool_use" for part in dicts_in(message.get("content")))
