"""Chat requests: read what routing and recall need, patch the rest byte for byte."""

from functools import partial
from typing import Any

import msgspec

from addon.formats.neutral.request import cut, malformed, model_of, refuse_parts, refused
from addon.formats.neutral.turn import Edit, Message, ToolCall
from addon.formats.tolerant.content import REASONING_FIELDS
from addon.formats.wire.splice import (
    MalformedJson,
    Members,
    array_text,
    changed,
    elements,
    members,
    object_text,
    scalar_text,
    value,
    with_members,
)

__all__ = ("ANNEX", "ChatRequest", "decode", "edited", "encode")

_FEW_IDS = 16
"""Ids of one message that are looked for one by one in its text; of more, it is read."""

ANNEX = "extra_content"
"""Member of a tool call that holds what its upstream wants back with it."""

_ROLES = {"developer": "system", "system": "system", "user": "user", "assistant": "assistant"}
_ROLES |= {"tool": "tool", "function": "tool"}


class _Wire(msgspec.Struct):
    """A message as it comes; anything may be of any type."""

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


class ChatRequest(msgspec.Struct):
    """A decoded chat request and the text it was made of."""

    body: bytes
    parts: Members
    model: str
    stream: bool
    usage_asked: bool
    """Whether the client wants to see the streamed usage chunk."""

    has_tools: bool
    raw_messages: list[bytes]
    messages: list[Message]

    @property
    def max_tokens(self) -> int | None:
        """How long the answer may be; None when the client does not say."""
        found = dict(self.parts)
        asked = (
            value(found.get(name, b"null")) for name in ("max_completion_tokens", "max_tokens")
        )
        return next((number for number in asked if type(number) is int and number >= 0), None)


def decode(body: bytes, deployment: str = "", parts: Members | None = None) -> ChatRequest:
    """Read a chat request; `deployment` names the model instead of the body, `parts` are its
    members when it was `cut` before. Raises RequestError.
    """
    if parts is None:
        parts = cut(body)
    found = dict(parts)
    try:
        raw_messages = elements(_messages_text(found))
        messages = [_message(raw) for raw in raw_messages]
        refuse_parts(sum(len(message.calls) for message in messages))
        return ChatRequest(
            body=body,
            parts=parts,
            model=model_of(deployment or value(found.get("model", b"null"))),
            stream=found.get("stream") == b"true",
            usage_asked=_usage_asked(found.get("stream_options", b"null")),
            has_tools=found.get("tools", b"null") not in (b"null", b"[]"),
            raw_messages=raw_messages,
            messages=messages,
        )
    except MalformedJson as error:
        raise malformed(error) from error


def encode(request: ChatRequest, *, model: str, edits: dict[int, Edit], extra: Members) -> bytes:
    """The body for the upstream: the client's own bytes wherever nothing must change.

    `extra` members replace or extend the top level; empty ones are left out. Streamed usage
    is always asked for, since metering needs it.
    """
    changes: dict[str, bytes] = dict(extra)
    if model != request.model or not _names_model(request, model):
        changes["model"] = scalar_text(model)
    if request.stream and not request.usage_asked:
        changes["stream_options"] = _with_usage(dict(request.parts).get("stream_options", b"null"))
    if edits:
        texts = [
            text for i, raw in enumerate(request.raw_messages) for text in _kept(raw, edits.get(i))
        ]
        if texts != request.raw_messages:
            changes["messages"] = array_text(texts)
    parts = _replaced(request.parts, changes)
    if parts == request.parts:
        return request.body
    return object_text(parts)


def _kept(raw: bytes, edit: Edit | None) -> list[bytes]:
    if edit is None:
        return [raw]
    return [] if edit.dropped else [edited(raw, edit)]


def edited(raw: bytes, edit: Edit) -> bytes:
    """The text of a message with the edit made; untouched members keep their bytes."""
    if edit.annexes:
        raw = changed(raw, ("tool_calls",), partial(_with_annexes, annexes=edit.annexes))
    raw = _with_ids(raw, edit.ids)
    if edit.members:
        raw = with_members(raw, edit.members)
    if edit.reasoning is None:
        return raw
    added: Members = [(field, scalar_text(text)) for field, text in edit.reasoning.items()]
    if b'"reasoning' not in raw:
        if not added:
            return raw
        return raw.rstrip()[:-1] + b"," + object_text(added)[1:]
    if [part for part in members(raw) if part[0] in REASONING_FIELDS] == added:
        return raw
    return object_text([part for part in members(raw) if part[0] not in REASONING_FIELDS] + added)


def _with_annexes(calls: bytes, annexes: dict[str, bytes]) -> bytes:
    """The calls with what belongs to each beside it."""
    return array_text([_with_annex(call, annexes) for call in elements(calls)])


def _with_annex(call: bytes, annexes: dict[str, bytes]) -> bytes:
    call_id = value(dict(members(call)).get("id", b'""'))
    return with_members(call, {ANNEX: annexes[call_id]}) if call_id in annexes else call


def _with_ids(raw: bytes, ids: dict[str, str]) -> bytes:
    if len(ids) > _FEW_IDS:
        return _with_ids_in_place(raw, ids)
    patched = raw
    for old, new in ids.items():
        text = scalar_text(old)
        head, _, tail = patched.partition(text)
        if text in tail or not head.endswith((b'id":', b'id": ')):
            return _with_ids_in_place(raw, ids)
        # It stands there once, as an id: within a longer string its quotes would be escaped.
        patched = head + scalar_text(new) + tail
    return patched


def _with_ids_in_place(raw: bytes, ids: dict[str, str]) -> bytes:
    parts = members(raw)
    mapped = [(key, _mapped(key, text, ids)) for key, text in parts]
    return object_text(mapped) if mapped != parts else raw


def _mapped(key: str, text: bytes, ids: dict[str, str]) -> bytes:
    if key == "tool_calls" and text.startswith(b"["):
        calls, change = elements(text), partial(_own_id, ids=ids)
        mapped = [
            changed(call, ("id",), change) if call.startswith(b"{") else call for call in calls
        ]
        return array_text(mapped) if mapped != calls else text
    return _own_id(text, ids) if key == "tool_call_id" else text


def _own_id(text: bytes, ids: dict[str, str]) -> bytes:
    found = value(text)
    return scalar_text(ids[found]) if isinstance(found, str) and found in ids else text


def _names_model(request: ChatRequest, model: str) -> bool:
    """False when the path named the model and the body says something else."""
    return any(key == "model" and value(raw) == model for key, raw in request.parts)


def _messages_text(found: dict[str, bytes]) -> bytes:
    if found.get("messages", b"").startswith(b"["):
        return found["messages"]
    if "messages" in found:
        message = "The request's 'messages' is not an array."
    elif "input" in found:
        message = (
            "This is a Responses body ('input'), which this version does not serve: "
            "send 'messages' (Chat Completions)."
        )
    else:
        message = "The request has no 'messages'."
    raise refused("missing_messages", message, "messages")


def _usage_asked(stream_options: bytes) -> bool:
    options = value(stream_options)
    return isinstance(options, dict) and options.get("include_usage") is True


def _with_usage(stream_options: bytes) -> bytes:
    options = value(stream_options)
    given = members(stream_options) if isinstance(options, dict) else []
    return object_text(_replaced(given, {"include_usage": b"true"}))


def _replaced(parts: Members, changes: dict[str, bytes]) -> Members:
    kept = [(key, changes.get(key, raw)) for key, raw in parts]
    present = {key for key, _ in parts}
    added = [(key, raw) for key, raw in changes.items() if key not in present]
    return [(key, raw) for key, raw in kept + added if raw]


def _message(raw: bytes) -> Message:
    wire = _wire(raw)
    return Message(
        role=_ROLES.get(wire.role, "") if isinstance(wire.role, str) else "",  # type: ignore[arg-type]
        content=bytes(wire.content),
        calls=_calls(wire),
        result_of=wire.tool_call_id if isinstance(wire.tool_call_id, str) else "",
        reasoning=tuple(
            (field, text)
            for field in REASONING_FIELDS
            if isinstance(text := getattr(wire, field), str)
        ),
        carried=wire.reasoning_details is not None
        or any(ANNEX in call for call in _dicts(wire.tool_calls)),
    )


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
    known = {key: value(text) for key, text in parts.items() if key in _Wire.__struct_fields__}
    return _Wire(content=content, **known)


def _calls(wire: _Wire) -> tuple[ToolCall, ...]:
    calls = [_call(call.get("id"), call.get("function")) for call in _dicts(wire.tool_calls)]
    if isinstance(wire.function_call, dict):
        calls.append(_call(None, wire.function_call))
    return tuple(calls)


def _call(call_id: Any, function: Any) -> ToolCall:
    function = function if isinstance(function, dict) else {}
    name, arguments = function.get("name"), function.get("arguments")
    if not isinstance(arguments, str):
        arguments = scalar_text(arguments).decode() if arguments is not None else ""
    return ToolCall(
        call_id if isinstance(call_id, str) else "",
        name if isinstance(name, str) else "",
        arguments,
    )


def _dicts(found: Any) -> list[dict[str, Any]]:
    return [item for item in found if isinstance(item, dict)] if isinstance(found, list) else []
