"""Calls and results put right in a body of a client whose upstream speaks its own format and has
refused them as they came; all else keeps its bytes. What is right stands in `neutral/history.py`.
"""

from collections.abc import Iterator
from typing import Any

import msgspec

from addon.formats.neutral.history import well_formed
from addon.formats.neutral.request import WireFormat
from addon.formats.neutral.turn import Message, Text, ToolCall, message_of
from addon.formats.tolerant.parts import parts_of
from addon.formats.wire.lenient import as_dict, as_str, dicts_in
from addon.formats.wire.pace import breathe
from addon.formats.wire.splice import (
    array_elements,
    array_text,
    members,
    scalar_text,
    value,
    with_members,
)

__all__ = ("arranged",)

_CALLS = ("function_call", "custom_tool_call")
_RESULTS = {f"{kind}_output": kind for kind in _CALLS}


class _Piece(msgspec.Struct):
    """A message, an item, or a block of results, and the neutral message that stands for it."""

    raw: bytes
    stands_in: Message


def arranged(body: bytes, api: WireFormat) -> bytes:
    """The body whose calls have results right after them, and whose results have calls."""
    name = "input" if api == "responses" else "messages"
    raws = array_elements(dict(members(body)).get(name, b""))
    read, write = {
        "chat": (_chat_piece, _chat_text),
        "responses": (_item_piece, _item_text),
        "messages": (_message_pieces, _block_text),
    }[api]
    pieces = [piece for raw in raws for piece in read(raw, as_dict(value(raw)))]
    given = [piece.stands_in for piece in pieces]
    wanted = well_formed(given)
    if list(map(id, wanted)) == list(map(id, given)):
        return body
    by_id = {id(piece.stands_in): piece.raw for piece in pieces}
    texts = [(message, by_id.get(id(message)) or write(message)) for message in wanted]
    if api == "messages":
        return with_members(body, {name: array_text(list(_as_messages(texts)))})
    return with_members(body, {name: array_text([raw for _, raw in texts])})


def _calls(ids: list[str]) -> list[ToolCall]:
    return [ToolCall(call_id, "", "") for call_id in ids]


def _words(message: Message) -> str:
    return "".join(part.text for part in message.parts if isinstance(part, Text))


# -- Chat Completions ------------------------------------------------------------------------------


def _chat_piece(raw: bytes, found: dict[str, Any]) -> Iterator[_Piece]:
    breathe()
    role = as_str(found.get("role"))
    if role == "tool":
        content = parts_of(found.get("content"), "chat")
        result_of = as_str(found.get("tool_call_id"))
        yield _Piece(raw, message_of("tool", content, result_of=result_of))
    elif role == "assistant":
        ids = [as_str(call.get("id")) for call in dicts_in(found.get("tool_calls"))]
        yield _Piece(raw, message_of("assistant", _calls(ids)))
    else:
        yield _Piece(raw, message_of("user", ()))


def _chat_text(message: Message) -> bytes:
    said: dict[str, Any] = {"role": message.role}
    if message.role == "tool":
        said["tool_call_id"] = message.result_of
    return scalar_text(said | {"content": _words(message)})


# -- Responses -------------------------------------------------------------------------------------


def _item_piece(raw: bytes, found: dict[str, Any]) -> Iterator[_Piece]:
    breathe()
    kind, call_id = as_str(found.get("type")), as_str(found.get("call_id"))
    if kind in _RESULTS:
        output = parts_of(found.get("output"), "responses")
        yield _Piece(raw, message_of("tool", output, result_of=call_id))
    elif kind in _CALLS:
        yield _Piece(raw, message_of("assistant", _calls([call_id])))
    else:
        yield _Piece(raw, message_of("user", ()))


def _item_text(message: Message) -> bytes:
    if message.role != "tool":
        return scalar_text({"role": "user", "content": _words(message)})
    output = {"type": "function_call_output", "call_id": message.result_of}
    return scalar_text(output | {"output": _words(message)})


# -- Messages --------------------------------------------------------------------------------------


def _message_pieces(raw: bytes, found: dict[str, Any]) -> Iterator[_Piece]:
    """An assistant's message is one piece; of the user's each result is one, and the rest."""
    breathe()
    blocks = dicts_in(found.get("content"))
    if as_str(found.get("role")) == "assistant":
        ids = [as_str(one.get("id")) for one in blocks if one.get("type") == "tool_use"]
        yield _Piece(raw, message_of("assistant", _calls(ids)))
        return
    rest: list[bytes] = []
    for block in array_elements(dict(members(raw)).get("content", b"")):
        one = as_dict(value(block))
        if one.get("type") != "tool_result":
            rest.append(block)
            continue
        content = parts_of(one.get("content"), "messages")
        result = message_of("tool", content, result_of=as_str(one.get("tool_use_id")))
        yield _Piece(array_text([block]), result)
    if rest or not blocks:
        content_text = array_text(rest) if blocks else _as_blocks(found.get("content"))
        yield _Piece(content_text, message_of("user", ()))


def _as_blocks(content: Any) -> bytes:
    return scalar_text([{"type": "text", "text": as_str(content)}])


def _block_text(message: Message) -> bytes:
    if message.role != "tool":
        return _as_blocks(_words(message))
    result = {"type": "tool_result", "tool_use_id": message.result_of}
    return scalar_text([result | {"content": _words(message)}])


def _as_messages(texts: list[tuple[Message, bytes]]) -> Iterator[bytes]:
    """The assistant's messages as they are, and between them one of the user's."""
    blocks: list[bytes] = []
    for message, raw in texts:
        if message.role != "assistant":
            blocks += array_elements(raw)
            continue
        if blocks:
            yield _user(blocks)
        blocks = []
        yield raw
    if blocks:
        yield _user(blocks)


def _user(blocks: list[bytes]) -> bytes:
    return with_members(b'{"role":"user"}', {"content": array_text(blocks)})
