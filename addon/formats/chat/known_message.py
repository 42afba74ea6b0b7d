"""One message of a chat body, and all that is read of its text."""

import re
from collections.abc import Iterator
from typing import Any

import msgspec

from addon.formats.neutral.request import no_content
from addon.formats.neutral.turn import Message, Role, ToolCall
from addon.formats.tolerant.content import REASONING_FIELDS
from addon.formats.tolerant.malformed import refuse_malformed_one
from addon.formats.tolerant.parts import arguments_of
from addon.formats.wire.lenient import as_dict, as_str, dicts_in
from addon.formats.wire.pace import breathe
from addon.formats.wire.splice import MalformedJson, members, scalar_text, value

__all__ = ("ANNEX", "PICTURE", "KnownMessage", "message_at", "read_message")

ANNEX = "extra_content"
"""Member of a tool call with state that its upstream wants back."""

_ROLES: dict[Any, Role] = {
    "developer": "system",
    "system": "system",
    "user": "user",
    "assistant": "assistant",
    "tool": "tool",
    "function": "tool",
}
"""Neutral roles; `developer` is OpenAI's newer `system`, `function` its older `tool`."""


_SPEAKERS = ("system", "user")
"""Roles whose messages have a content always."""

PICTURE = re.compile(rb'"type"\s*:\s*"(image|image_url|input_image|file|input_file)"')
"""A picture or a file in a body."""

_CONTENTS = (b'"', b"[", b"{")
"""What the text of a content begins with."""


class _Wire(msgspec.Struct):
    """A message as it came; any member may be of any type."""

    role: Any = None
    content: msgspec.Raw = msgspec.Raw(b"null")
    tool_calls: Any = None
    function_call: Any = None
    tool_call_id: Any = None
    reasoning_content: Any = None
    reasoning: Any = None
    reasoning_text: Any = None
    reasoning_details: Any = None


_WIRE = msgspec.json.Decoder(_Wire)
_PARTS = msgspec.json.Decoder(list[msgspec.Raw])
_EMPTY: dict[bytes, Any] = {b"{": {}, b'"': ""}
"""Parts by what their texts begin with."""


class KnownMessage(msgspec.Struct, frozen=True):
    """What is known of a message by its text."""

    message: Message
    has_custom_call: bool
    """Whether a call has arguments that are no JSON."""

    pictured: bool
    is_developers: bool
    """Whether its role is `developer`."""

    has_reasoning: bool
    """Whether it may have a member with reasoning."""

    id_places: dict[str, tuple[int, int]]
    """Begin and end of each id of a call that stands in the text once, as an id."""


def read_message(raw: bytes) -> KnownMessage:
    """Read a message. Raises RequestError and MalformedJson."""
    message = message_at(raw, "")
    arguments = [call.arguments.lstrip()[:1] for call in message.calls]
    return KnownMessage(
        message=message,
        has_custom_call=any(first not in ("", "{") for first in arguments),
        pictured=PICTURE.search(raw) is not None,
        is_developers=message.role == "system" and _is_developers(raw),
        has_reasoning=b'"reasoning' in raw,
        id_places=dict(_id_places(raw, message)),
    )


def _is_developers(raw: bytes) -> bool:
    return b'"developer"' in raw and _wire(raw).role == "developer"


def _id_places(raw: bytes, message: Message) -> Iterator[tuple[str, tuple[int, int]]]:
    for call_id in filter(None, {message.result_of, *(call.id for call in message.calls)}):
        quoted = scalar_text(call_id)
        at = raw.find(quoted)
        # Within a longer string its quotes would be escaped.
        if at > 0 and raw.find(quoted, at + 1) < 0 and raw.endswith((b'id":', b'id": '), 0, at):
            yield call_id, (at, at + len(quoted))


def message_at(raw: bytes, place: str) -> Message:
    """The message, which stands at this place of the request. Raises RequestError and
    MalformedJson.
    """
    breathe()
    wire = _wire(raw)
    refuse_malformed_one(_outline(raw, wire), place)
    calls = dicts_in(wire.tool_calls)
    annexes: tuple[Any, ...] = ()
    if any(ANNEX in call for call in calls):
        annexes = tuple(call.get(ANNEX) for call in calls)
    role = _ROLES.get(as_str(wire.role), "")
    if role in _SPEAKERS and not _has_content(raw, bytes(wire.content)):
        raise no_content(wire.role)
    return Message(
        role=role,
        content=bytes(wire.content),
        calls=_calls(calls, wire.function_call),
        result_of=as_str(wire.tool_call_id),
        reasoning=_reasoning(wire),
        carried=wire.reasoning_details is not None or bool(annexes),
        details=tuple(_array(wire.reasoning_details)),
        annexes=annexes,
    )


def _outline(raw: bytes, wire: _Wire) -> Any:
    """What can be malformed about a message, without what it says."""
    if not raw.startswith(b"{"):
        return None
    content: Any = bytes(wire.content)
    if content.startswith(b"["):
        content = _part_outlines(content)
    elif content.startswith(_CONTENTS):
        content = ""
    else:
        content = value(content)
    return {"role": wire.role, "tool_calls": wire.tool_calls, "content": content}


def _part_outlines(content: bytes) -> list[Any]:
    """For each part of a content an empty one of its kind."""
    try:
        parts = _PARTS.decode(content)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return []  # the upstream will say so
    return [_EMPTY.get(bytes(part)[:1]) for part in parts]


def _array(given: Any) -> list[Any]:
    if not isinstance(given, list):
        return []
    return given


def _has_content(raw: bytes, content: bytes) -> bool:
    """Whether the message has a content, if only an empty one: Cursor sends null for that, too."""
    if content == b"null":
        return "content" in dict(members(raw))
    return content.startswith(_CONTENTS)


def _reasoning(wire: _Wire) -> tuple[tuple[str, str], ...]:
    members = [(field, getattr(wire, field)) for field in REASONING_FIELDS]
    return tuple((field, thought) for field, thought in members if isinstance(thought, str))


def _wire(raw: bytes) -> _Wire:
    try:
        return _WIRE.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        pass  # a lone surrogate or an odd number: the lenient reader takes it
    try:
        parts = dict(members(raw))
    except MalformedJson:
        return _Wire()  # not an object: the upstream will say so
    content = msgspec.Raw(parts.pop("content", b"null"))
    others = {key: value(raw) for key, raw in parts.items() if key in _Wire.__struct_fields__}
    return _Wire(content=content, **others)


def _calls(raw_calls: list[dict[str, Any]], legacy: Any) -> tuple[ToolCall, ...]:
    calls = [_call(call.get("id"), as_dict(call.get("function"))) for call in raw_calls]
    if isinstance(legacy, dict):
        calls.append(_call(None, legacy))
    return tuple(calls)


def _call(call_id: Any, function: dict[str, Any]) -> ToolCall:
    breathe()
    arguments = arguments_of(function.get("arguments"))
    return ToolCall(as_str(call_id), as_str(function.get("name")), arguments)
