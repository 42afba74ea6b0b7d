"""Chat requests: read what routing and recall need, patch the rest byte for byte."""

from functools import partial
from itertools import compress, count
from operator import attrgetter

import msgspec

from addon.formats.chat.known_message import (
    ANNEX,
    PICTURE,
    KnownMessage,
    message_at,
    read_message,
)
from addon.formats.neutral.problem import RequestError
from addon.formats.neutral.request import cut as cut_body
from addon.formats.neutral.request import (
    malformed,
    model_of,
    refuse_parts,
    refused,
)
from addon.formats.neutral.turn import Edit, Message
from addon.formats.tolerant.content import REASONING_FIELDS
from addon.formats.wire.lenient import as_int
from addon.formats.wire.pace import between_breaths, breathe, breathe_for, lots_of
from addon.formats.wire.pieces import Cut, Piece, Run
from addon.formats.wire.splice import (
    MalformedJson,
    Members,
    Stretch,
    array_text,
    changed,
    elements,
    members,
    object_in_pieces,
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


_message_in = attrgetter("message")
_has_custom_call = attrgetter("has_custom_call")
_is_pictured = attrgetter("pictured")
_is_developers = attrgetter("is_developers")


def _calls_in(known: KnownMessage) -> int:
    return len(known.message.calls)


_LONG_REST = 512
"""Bytes from which a view of a text takes less memory than a copy."""


class ChatRequest(msgspec.Struct):
    """A decoded chat request and the text it was made of."""

    body: bytes
    parts: Members
    """Its members; the messages stand in `pieces`."""

    model: str
    stream: bool
    usage_asked: bool
    """Whether the client wants to see the streamed usage chunk."""

    has_tools: bool
    run: Run
    """The messages' texts, with what is known of them."""

    messages: list[Message]
    replays_custom_calls: bool
    """Whether a call has arguments that are no JSON: Cursor replays the calls of a custom tool
    after a switch to a mode that no longer declares it.
    """

    pictured: bool
    """Whether a picture or a file may be in it."""

    span: Stretch
    """The text of the array of messages."""

    @property
    def raw_messages(self) -> list[bytes]:
        """The messages' texts."""
        return [piece.raw for piece in self.run.pieces]

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


def decode(
    body: bytes, deployment: str = "", parts: Members | None = None, cut: Cut | None = None
) -> ChatRequest:
    """Read a chat request; `deployment` names the model instead of the body. It may have been
    taken apart before: `parts` are its members, `cut` is the body in pieces. Raises RequestError.
    """
    if parts is None:
        parts = cut_body(body)
    try:
        if cut is not None and cut.name == "messages":
            return _decoded(body, deployment, parts, cut.run, cut.span)
        span = _messages_text(dict(parts))
        run = Run([Piece(raw) for raw in between_breaths(elements(span))])
        return _decoded(body, deployment, parts, run, span)
    except MalformedJson as error:
        raise malformed(error) from error


def _decoded(body: bytes, deployment: str, parts: Members, run: Run, span: Stretch) -> ChatRequest:
    found = dict(parts)
    _refuse_unreadable(run)
    refuse_parts(sum(run.each(read_message, _calls_in)))
    return ChatRequest(
        body=body,
        parts=parts,
        model=model_of(deployment or value(found.get("model", b"null"))),
        stream=found.get("stream") == b"true",
        usage_asked=_usage_asked(found.get("stream_options", b"null")),
        has_tools=found.get("tools", b"null") not in (b"null", b"[]"),
        run=run,
        messages=run.each(read_message, _message_in)[:],
        replays_custom_calls=any(run.each(read_message, _has_custom_call)),
        pictured=any(run.each(read_message, _is_pictured)) or _is_pictured_beside(parts),
        span=span,
    )


def _refuse_unreadable(run: Run) -> None:
    try:
        run.all(read_message)
    except RequestError:
        for at, piece in enumerate(run.pieces):
            message_at(piece.raw, f"messages[{at}]")  # what is wrong is told with its place
        raise


def _is_pictured_beside(parts: Members) -> bool:
    return any(PICTURE.search(raw) for key, raw in parts if key != "messages")


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
    messages = _edited_messages(request.run.pieces, edits) if edits else None
    parts = _replaced(request.parts, changes)
    if messages is None and parts == request.parts:
        return request.body
    return object_in_pieces(parts, "messages", messages or [request.span])


def with_system_role(request: ChatRequest, edits: dict[int, Edit]) -> dict[int, Edit]:
    """The edits, and those that make `system` of the role `developer`, which means the same and
    only OpenAI's own API knows (https://platform.openai.com/docs/api-reference/chat/create).
    """
    named = request.run.each(read_message, _is_developers)
    if not any(named):
        return edits
    edits = dict(edits)
    for at in compress(count(), named):
        edit = edits.get(at, Edit())
        role = {"role": b'"system"'}
        edits[at] = msgspec.structs.replace(edit, members={**edit.members, **role})
    return edits


def _edited_messages(pieces: list[Piece], edits: dict[int, Edit]) -> list[Stretch] | None:
    """The text of the array with the edits, in pieces; None when they change nothing."""
    texts: list[Stretch] = [b"["]
    has_changed = False
    for at, piece in enumerate(lots_of(pieces)):
        edit = edits.get(at)
        if edit is None:
            texts += (piece.raw, b",")
        elif edit.dropped:
            has_changed = True
        else:
            new = piece.patched(edit, _patched, piece, edit)
            has_changed = has_changed or new[0] is not piece.raw
            texts += new
    if not has_changed:
        return None
    if len(texts) > 1:
        texts.pop()
    return [*texts, b"]"]


def _patched(piece: Piece, edit: Edit) -> tuple[Stretch, ...]:
    """The text of a message after the edit and a comma, in pieces; the first is its own text if
    nothing changes.
    """
    breathe()
    new = _spliced(piece, edit)
    if new:
        return new
    raw = edited(piece.raw, edit)
    return (piece.raw if raw == piece.raw else raw, b",")


def _spliced(piece: Piece, edit: Edit) -> tuple[Stretch, ...]:
    """The same as `edited`, in pieces, for a message that is known to change as nearly all do;
    empty for any other.
    """
    breathe()
    raw, ids = piece.raw, edit.ids
    read = piece.fact(read_message)
    if edit.annexes or edit.members or (edit.reasoning is not None and read.has_reasoning):
        return ()
    if len(ids) > 1 or not ids.keys() <= read.id_places.keys():
        return ()
    head, at = b"", 0
    for old, new in ids.items():
        start, at = read.id_places[old]
        head = raw[:start] + scalar_text(new)
    if not edit.reasoning:
        rest: Stretch = raw
        if at:
            rest = _rest(raw, at, len(raw))
        return (head, rest, b",") if head else (rest, b",")
    added = [
        b",%b:%b" % (scalar_text(field), scalar_text(thought))
        for field, thought in edit.reasoning.items()
    ]
    return head, _rest(raw, at, len(raw) - 1), b"".join([*added, b"}"]), b","


def _rest(raw: bytes, at: int, end: int) -> Stretch:
    """A part of the text, which is not copied if it is long."""
    if end - at < _LONG_REST:
        return raw[at:end]
    return memoryview(raw)[at:end]


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
