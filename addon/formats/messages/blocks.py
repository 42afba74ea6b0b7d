"""Neutral messages as the messages and blocks of a Messages body.

Roles alternate there: consecutive messages of one role become one, and tool results come first
in it (https://platform.claude.com/docs/en/agents-and-tools/tool-use/handle-tool-calls). Blank
text is refused there and left out here (github.com/anthropics/claude-code/issues/23440).
"""

import re
from collections.abc import Iterable
from itertools import takewhile
from typing import Any

import msgspec

from addon.formats.neutral.adapt import INPUT, Abilities
from addon.formats.neutral.request import refused, too_much_in_it
from addon.formats.neutral.turn import (
    File,
    Foreign,
    Image,
    Message,
    Part,
    Reasoning,
    Refusal,
    Text,
    ToolCall,
)
from addon.formats.wire.lenient import as_str
from addon.formats.wire.pace import breathe
from addon.formats.wire.splice import MalformedJson, object_raw, value
from addon.formats.wire.weight import count_values

__all__ = ("REGISTERED", "cache_control", "conversation", "input_of", "valid_id")

_NOT_IN_IDS = re.compile(r"[^A-Za-z0-9_-]")
"""What the API refuses in an id: it documents `^[a-zA-Z0-9_-]+$`."""

_MOST_VALUES = 100_000
"""JSON values that the arguments of a call may have."""

REGISTERED = {"image/jpg": "image/jpeg", "image/pjpeg": "image/jpeg"}
"""Names of media types as they are registered, by others in use, which Anthropic refuses."""


class _Turn(msgspec.Struct):
    """One message of the body."""

    role: str
    results: list[dict[str, Any]]
    blocks: list[dict[str, Any]]


def conversation(messages: list[Message], abilities: Abilities) -> tuple[Any, list[dict[str, Any]]]:
    """The `system` and the `messages` of a body. Raises RequestError for parts that Messages
    has no place for.
    """
    leading = list(takewhile(lambda message: message.role == "system", messages))
    system = [block for message in leading for block in _blocks(message.parts, abilities)]
    turns: list[_Turn] = []
    for message in messages[len(leading) :]:
        _add(turns, message, abilities)
    if not turns and system:  # upstreams refuse a conversation without a message of the user
        turns, system = [_Turn("user", [], system)], []
    if turns and turns[-1].role == "assistant":
        turns[-1].blocks = _without_trailing_blanks(turns[-1].blocks)
    return _content(system), [
        {"role": turn.role, "content": _content(turn.results + turn.blocks)} for turn in turns
    ]


def _without_trailing_blanks(blocks: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Upstreams refuse a beginning of their answer that ends with blanks."""
    *before, last = blocks or [{}]
    if last.get("type") != "text":
        return blocks
    return [*before, last | {"text": last["text"].rstrip()}]


def cache_control(cache: str) -> dict[str, Any]:
    """The `cache_control` member of a cache mark; no member for no mark."""
    if not cache:
        return {}
    if cache == "5m":  # the default
        return {"cache_control": {"type": "ephemeral"}}
    return {"cache_control": {"type": "ephemeral", "ttl": cache}}


def input_of(arguments: str) -> dict[str, Any]:
    """A call's arguments as an object; other text becomes its one member, as for a lowered
    tool.
    """
    breathe()
    decoded = _decoded(arguments)
    if isinstance(decoded, dict):
        return decoded
    if not arguments.strip():
        return {}
    return {INPUT: arguments}


def _input(arguments: str) -> dict[str, Any] | msgspec.Raw:
    """The same for a call of a request, as the text that came where that is an object. Raises
    RequestError for more than any model calls a tool with.
    """
    if len(arguments) > _MOST_VALUES:  # a value takes a byte and more
        encoded = arguments.encode(errors="replace")
        if count_values(encoded, _MOST_VALUES) > _MOST_VALUES:
            raise too_much_in_it(_MOST_VALUES, "make the arguments of its tool calls smaller")
    return object_raw(arguments.encode(errors="replace")) or input_of(arguments)


def _decoded(arguments: str) -> Any:
    if not arguments.lstrip().startswith("{"):
        return None
    try:
        return value(arguments.encode(errors="replace"))
    except MalformedJson:
        return None


def _add(turns: list[_Turn], message: Message, abilities: Abilities) -> None:
    breathe()
    blocks = _blocks(message.parts, abilities)
    if not blocks and message.role != "tool":
        return
    role = _role(message, abilities)
    if not turns or turns[-1].role != role:
        turns.append(_Turn(role, [], []))
    if message.role == "tool":
        turns[-1].results.append(_result(message, blocks))
    else:
        turns[-1].blocks += blocks


def _role(message: Message, abilities: Abilities) -> str:
    if message.role == "assistant":
        return "assistant"
    if message.role == "system" and abilities.system_messages:
        return "system"
    return "user"


def _result(message: Message, blocks: list[dict[str, Any]]) -> dict[str, Any]:
    block: dict[str, Any] = {"type": "tool_result", "tool_use_id": valid_id(message.result_of)}
    if blocks:
        block["content"] = _content(blocks)
    if message.failed:
        block["is_error"] = True
    return block | cache_control(message.cache)


def _content(blocks: list[dict[str, Any]]) -> Any:
    """A content: a single plain text is a string, anything else an array."""
    if len(blocks) == 1 and blocks[0].keys() == {"type", "text"}:
        return blocks[0]["text"]
    return blocks


def _blocks(parts: Iterable[Part], abilities: Abilities) -> list[dict[str, Any]]:
    blocks = [_block(part, abilities) for part in parts]
    return [block for block in blocks if block]


def _block(part: Part, abilities: Abilities) -> dict[str, Any] | None:
    """The block of a part; None for a part to leave out."""
    breathe()
    match part:
        case Text():
            return _text(part.text, part.cache)
        case Refusal():
            return _text(part.text, "")
        case Image():
            return {"type": "image", "source": _source(part), **cache_control(part.cache)}
        case File():
            document = {"type": "document", "source": _source(part)}
            if part.name:
                document["title"] = part.name
            return document | cache_control(part.cache)
        case Reasoning():
            return _thought(part, unsigned=abilities.unsigned_thinking)
        case ToolCall():
            call = {
                "type": "tool_use",
                "id": valid_id(part.id),
                "name": part.name,
                "input": _input(part.arguments),
            }
            return call | cache_control(part.cache)
        case Foreign(wire_format="messages"):
            return part.item
    kind = as_str(part.item.get("type"))
    raise refused(
        "unsupported_item", f"This model can't read the item '{kind}' of the conversation."
    )


def _text(words: str, cache: str) -> dict[str, Any] | None:
    if not words.strip():
        return None
    return {"type": "text", "text": words, **cache_control(cache)}


def _thought(part: Reasoning, *, unsigned: bool) -> dict[str, Any] | None:
    if part.carrier == "redacted_thinking":
        return {"type": "redacted_thinking", "data": part.opaque}
    if part.carrier == "signature":
        return {"type": "thinking", "thinking": part.text, "signature": part.opaque}
    if unsigned and part.quoted:
        return {"type": "thinking", "thinking": part.text}
    return None


def _source(part: Image | File) -> dict[str, Any]:
    if part.file_id:
        return {"type": "file", "file_id": part.file_id}
    if not part.url.startswith("data:"):
        return {"type": "url", "url": part.url}
    head, _, encoded = part.url.removeprefix("data:").partition(",")
    if not head.endswith(";base64"):
        raise refused(
            "unsupported_content", "An image or file in a data: URL must be base64: send it so."
        )
    media_type = head.removesuffix(";base64").partition(";")[0]
    media_type = REGISTERED.get(media_type, media_type)
    return {"type": "base64", "media_type": media_type, "data": encoded}


def valid_id(call_id: str) -> str:
    """The id with `_` for each character that the API refuses: some providers use others."""
    return _NOT_IN_IDS.sub("_", call_id)
