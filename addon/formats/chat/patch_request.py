"""Chat requests: read what routing and recall need, patch the rest byte for byte."""

from functools import partial
from typing import Any

import msgspec

from addon.formats.neutral.request import (
    cut,
    malformed,
    model_of,
    no_content,
    refuse_parts,
    refused,
)
from addon.formats.neutral.turn import Edit, Message, Role, ToolCall
from addon.formats.tolerant.content import REASONING_FIELDS
from addon.formats.tolerant.malformed import refuse_malformed_one
from addon.formats.tolerant.parts import arguments_of
from addon.formats.wire.lenient import as_dict, as_int, as_str, dicts_in
from addon.formats.wire.pace import breathe, breathe_for
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

__all__ = ("ANNEX", "ChatRequest", "decode", "edited", "encode", "with_system_role")

_FEW_IDS = 16
"""Most ids to search for in a message's text: each search passes over all of it, so that from
here on it is quicker to read the message.
"""

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
        """The client's limit of the answer's tokens, the larger one under both names, as upstreams
        differ in which they know; or None.
        """
        found = dict(self.parts)
        names = ("max_completion_tokens", "max_tokens")
        limits = [as_int(value(found.get(name, b"null"))) for name in names]
        return max((one for one in limits if one is not None and one >= 0), default=None)

    @property
    def choices(self) -> int:
        """How many answers the client wants to choose from."""
        return max(1, as_int(value(dict(self.parts).get("n", b"null"))) or 1)


def decode(body: bytes, deployment: str = "", parts: Members | None = None) -> ChatRequest:
    """Read a chat request; `deployment` names the model instead of the body, `parts` are its
    members when it was `cut` before. Raises RequestError.
    """
    if parts is None:
        parts = cut(body)
    found = dict(parts)
    try:
        raw_messages = elements(_messages_text(found))
        messages = [_message(raw, f"messages[{at}]") for at, raw in enumerate(raw_messages)]
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
        texts = _edited_messages(request.raw_messages, edits)
        if texts != request.raw_messages:
            changes["messages"] = array_text(texts)
    parts = _replaced(request.parts, changes)
    if parts == request.parts:
        return request.body
    return object_text(parts)


def with_system_role(request: ChatRequest, edits: dict[int, Edit]) -> dict[int, Edit]:
    """The edits, and those that make `system` of the role `developer`, which means the same and
    only OpenAI's own API knows (https://platform.openai.com/docs/api-reference/chat/create).
    """
    if b'"developer"' not in request.body:
        return edits
    edits = dict(edits)
    for at, raw in enumerate(request.raw_messages):
        if request.messages[at].role == "system" and _wire(raw).role == "developer":
            edit = edits.get(at, Edit())
            role = {"role": b'"system"'}
            edits[at] = msgspec.structs.replace(edit, members={**edit.members, **role})
    return edits


def _edited_messages(raws: list[bytes], edits: dict[int, Edit]) -> list[bytes]:
    texts: list[bytes] = []
    for at, raw in enumerate(raws):
        edit = edits.get(at)
        if edit is None:
            texts.append(raw)
        elif not edit.dropped:
            texts.append(edited(raw, edit))
    return texts


def edited(raw: bytes, edit: Edit) -> bytes:
    """The text of a message after the edit; untouched members keep their bytes."""
    if edit.annexes:
        raw = changed(raw, ("tool_calls",), partial(_with_annexes, annexes=edit.annexes))
    raw = _with_ids(raw, edit.ids)
    if edit.members:
        raw = with_members(raw, edit.members)
    if edit.reasoning is None:
        return raw
    added: Members = [(field, scalar_text(thought)) for field, thought in edit.reasoning.items()]
    if b'"reasoning' not in raw:
        if not added:
            return raw
        return raw.rstrip()[:-1] + b"," + object_text(added)[1:]
    if [part for part in members(raw) if part[0] in REASONING_FIELDS] == added:
        return raw
    return object_text([part for part in members(raw) if part[0] not in REASONING_FIELDS] + added)


def _with_annexes(calls: bytes, annexes: dict[int, bytes]) -> bytes:
    """The calls, each with its annex; what is no object is no call and has no position."""
    raws = elements(calls)
    places = [at for at, raw in enumerate(raws) if raw.startswith(b"{")]
    for position, at in enumerate(places):
        if position in annexes:
            raws[at] = with_members(raws[at], {ANNEX: annexes[position]})
    return array_text(raws)


def _with_ids(raw: bytes, ids: dict[str, str]) -> bytes:
    if len(ids) > _FEW_IDS:
        return _with_ids_in_place(raw, ids)
    patched = raw
    for old, new in ids.items():
        breathe_for(len(raw))
        quoted = scalar_text(old)
        head, _, tail = patched.partition(quoted)
        if quoted in tail or not head.endswith((b'id":', b'id": ')):
            return _with_ids_in_place(raw, ids)
        # It stands there once, as an id: within a longer string its quotes would be escaped.
        patched = head + scalar_text(new) + tail
    return patched


def _with_ids_in_place(raw: bytes, ids: dict[str, str]) -> bytes:
    parts = members(raw)
    mapped = [(key, _mapped(key, member, ids)) for key, member in parts]
    if mapped == parts:
        return raw
    return object_text(mapped)


def _mapped(key: str, member: bytes, ids: dict[str, str]) -> bytes:
    if key == "tool_call_id":
        return _own_id(member, ids)
    if key != "tool_calls" or not member.startswith(b"["):
        return member
    calls = elements(member)
    mapped = [_with_own_id(call, ids) for call in calls]
    if mapped == calls:
        return member
    return array_text(mapped)


def _with_own_id(call: bytes, ids: dict[str, str]) -> bytes:
    if not call.startswith(b"{"):
        return call
    return changed(call, ("id",), partial(_own_id, ids=ids))


def _own_id(raw: bytes, ids: dict[str, str]) -> bytes:
    """The upstream's own id for the id in this JSON text."""
    call_id = value(raw)
    if not isinstance(call_id, str) or call_id not in ids:
        return raw
    return scalar_text(ids[call_id])


def _names_model(request: ChatRequest, model: str) -> bool:
    """Whether the body itself names this model; the path may have named it instead."""
    return any(key == "model" and value(raw) == model for key, raw in request.parts)


def _messages_text(found: dict[str, bytes]) -> bytes:
    if found.get("messages", b"").startswith(b"["):
        return found["messages"]
    message = "The request has no 'messages'."
    if "messages" in found:
        message = "The request's 'messages' is not an array."
    raise refused("missing_messages", message, "messages")


def _usage_asked(stream_options: bytes) -> bool:
    options = value(stream_options)
    return isinstance(options, dict) and options.get("include_usage") is True


def _with_usage(stream_options: bytes) -> bytes:
    options: Members = []
    if isinstance(value(stream_options), dict):
        options = members(stream_options)
    return object_text(_replaced(options, {"include_usage": b"true"}))


def _replaced(parts: Members, changes: dict[str, bytes]) -> Members:
    """The members with these set in their place or at the end; empty ones are left out."""
    patched = [(key, changes.get(key, raw)) for key, raw in parts]
    present = {key for key, _ in parts}
    added = [(key, raw) for key, raw in changes.items() if key not in present]
    return [(key, raw) for key, raw in patched + added if raw]


def _message(raw: bytes, place: str) -> Message:
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
