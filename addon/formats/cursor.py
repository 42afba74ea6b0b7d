"""The bodies that Cursor sends to the chat path: Responses bodies, Messages shapes, and
mixtures of all three.

The body, not the path, tells its format.
"""

from typing import Any

import msgspec

from addon.formats.chat import request as chat_request
from addon.formats.neutral.request import Request, opened
from addon.formats.neutral.turn import Message
from addon.formats.responses import request as responses_request
from addon.formats.tolerant.history import messages_of
from addon.formats.wire.lenient import as_dict, as_str, dicts_in
from addon.formats.wire.pace import breathe_for
from addon.formats.wire.pieces import Cut
from addon.formats.wire.splice import MalformedJson, Members, value

__all__ = ("decode", "is_plain")

_FOREIGN = (
    "additional_tools",
    "custom",
    "document",
    "image",
    "input_file",
    "input_image",
    "input_text",
    "item_reference",
    "output_text",
    "redacted_thinking",
    "tool_reference",
    "tool_search_output",
)
"""Types of items and parts that plain chat messages don't have."""

_ENDS = ("_call", "_call_output", "tool_result", "tool_use")
"""What the types of all calls and results end in."""

_MARKS = tuple([f'"{kind}"'.encode() for kind in _FOREIGN] + [f'{end}"'.encode() for end in _ENDS])
"""A search for these texts is quick, but may hit a member's name (`function_call`) or a string:
only then the messages are read.
"""


class _Kind(msgspec.Struct):
    type: Any = None


class _Kinds(_Kind):
    """What tells the kind of a message."""

    content: msgspec.Raw = msgspec.Raw(b"null")
    tool_calls: msgspec.Raw = msgspec.Raw(b"null")


_LARGE = 1024 * 1024
"""Bytes from which a message is looked at with breaths between."""

_KINDS = msgspec.json.Decoder(_Kinds)
_KIND_LIST = msgspec.json.Decoder(list[_Kind])


def is_plain(parts: Members, cut: Cut | None = None) -> bool:
    """Whether a body of these members is plain Chat Completions, which chat upstreams take
    as it is; so is one that nobody can read. `cut` is the body in pieces, if it could be cut so.
    """
    found = dict(parts)
    try:
        if "messages" not in found or "input" in found or "system" in found:
            return "messages" not in found and "input" not in found
        if not all(map(_is_plain_tool, dicts_in(value(found.get("tools", b"null"))))):
            return False
        if cut is not None:
            return not any(cut.run.all(_is_foreign_text))
        if not any(_holds(found["messages"], mark) for mark in _MARKS):
            return True
        return not any(map(_is_foreign, dicts_in(value(found["messages"]))))
    except MalformedJson:
        return True


def _is_foreign_text(message: bytes) -> bool:
    kinds = _kinds_of(message)
    if kinds and not any(_is_foreign_kind(as_str(block.type)) for block in kinds):
        return False
    return any(_holds(message, mark) for mark in _MARKS) and _is_foreign(value(message))


def _kinds_of(message: bytes) -> list[_Kind]:
    """What its parts are; nothing of a message that takes the lenient reader, or long."""
    if len(message) >= _LARGE:
        return []
    try:
        found = _KINDS.decode(message)
        return [found, *_kinds_in(found.content), *_kinds_in(found.tool_calls)]
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return []


def _kinds_in(blocks: msgspec.Raw) -> list[_Kind]:
    text = bytes(blocks)
    if text.startswith(b"["):
        return _KIND_LIST.decode(text)
    return []


def _holds(text: bytes, mark: bytes) -> bool:
    breathe_for(len(text))
    return mark in text


def _is_plain_tool(tool: dict[str, Any]) -> bool:
    return isinstance(tool.get("function"), dict)


def _is_foreign(message: dict[str, Any]) -> bool:
    held = [message, *dicts_in(message.get("content")), *dicts_in(message.get("tool_calls"))]
    return any(_is_foreign_kind(as_str(block.get("type"))) for block in held)


def _is_foreign_kind(kind: str) -> bool:
    return kind in _FOREIGN or kind.endswith(_ENDS)


def decode(body: bytes, deployment: str = "", parts: Members | None = None) -> Request:
    """Read any body that comes to the chat path; `deployment` names the model instead of
    it, `parts` are its members when it was `cut` before. Raises RequestError.
    """
    found = opened(body, parts)
    if deployment:
        found["model"] = deployment
    items = found.get("input")
    if isinstance(items, str | list) and (items or "messages" not in found):
        request = responses_request.decoded(found)
        request.usage_asked = as_dict(found.get("stream_options")).get("include_usage") is True
        request.messages += _results_beside(found.get("messages"), request.messages)
        return request
    return chat_request.decoded(found)


def _results_beside(messages: Any, known: list[Message]) -> list[Message]:
    """Tool results under `messages` alone, for calls in the `input` of a mixed body."""
    if not isinstance(messages, list):
        return []
    answered = {message.result_of for message in known}
    open_calls = {call.id for message in known for call in message.calls} - answered
    results = [message for message in messages_of(messages, joined=False) if message.role == "tool"]
    return [message for message in results if message.result_of in open_calls]
