"""Responses answers for Responses clients: read into a turn, and what must change is spliced in.

The client gets minted ids of the response and of tool calls, its own name of the model, and
sealed copies of reasoning's state. Items of stored answers get ids of ours, too, by which a
reference leads to them.
"""

from typing import Any

from addon.formats.neutral.protocols import Head, Mint, Seal
from addon.formats.neutral.request import Request
from addon.formats.neutral.turn import Reasoning
from addon.formats.responses import response
from addon.formats.responses.listing import PREFIXES
from addon.formats.responses.request import ENCRYPTED
from addon.formats.tolerant.items import call_of, item_parts
from addon.formats.wire import sse
from addon.formats.wire.lenient import as_dict, as_str
from addon.formats.wire.splice import (
    MalformedJson,
    array_elements,
    array_text,
    members,
    object_text,
    replaced,
    scalar_text,
    value,
    with_members,
)

__all__ = ("Answer", "Patch", "as_stream", "decode")

_STATE = "encrypted_content"


class Patch:
    """The changes of one response for one client; the same at each call."""

    def __init__(self, request: Request, head: Head, *, mint: Mint, seal: Seal) -> None:
        self.id = f"resp_{head.id}"
        self._name = head.id
        self._keep = head.keep_for(request)
        self._model = head.model
        self._previous = request.previous_response_id
        self._carried = ENCRYPTED in request.include
        self._mint = mint
        self._seal = seal
        self._sealed: dict[Reasoning, str] = {}
        self._calls: dict[int, str] = {}
        """The ids of the calls by the place of their items."""

        self._call_ids: dict[str, str] = {}
        self._item_ids: dict[str, str] = {}
        """Ours by the upstream's."""

    def response(self, raw: bytes, *, ended: bool) -> bytes:
        """The response object for the client; a stored answer's is stored once it has `ended`."""
        if ended and self._keep:
            self._keep(self.id, self._response(raw, ended=True, stored=True))
        return self._response(raw, ended=ended, stored=False)

    def item(self, index: int, raw: bytes, *, ended: bool, stored: bool = False) -> bytes:
        """The output item at this place, for the client or to be stored; `ended`: it is whole."""
        item = as_dict(value(raw))
        changes: dict[str, bytes] = {}
        call_id = as_str(item.get("call_id"))
        if call_of(item) is not None:
            changes["call_id"] = scalar_text(self._client_call_id(index, call_id))
        elif call_id and call_id in self._call_ids:
            changes["call_id"] = scalar_text(self._call_ids[call_id])
        if item.get("type") == "reasoning":
            changes |= self._state(item, ended=ended, stored=stored)
        prefix = PREFIXES.get(as_str(item.get("type")))
        if self._keep and prefix:
            item_id = f"{prefix}_{self._name}{index}"
            self._item_ids[as_str(item.get("id"))] = item_id
            changes["id"] = scalar_text(item_id)
        if not changes:
            return raw
        return with_members(raw, changes)

    def mentions(self, item_id: Any, call_id: Any, response_id: Any) -> dict[str, bytes]:
        """The changes to an event that names what has another id for the client."""
        changes: dict[str, bytes] = {}
        if isinstance(item_id, str) and item_id in self._item_ids:
            changes["item_id"] = scalar_text(self._item_ids[item_id])
        if isinstance(call_id, str) and call_id in self._call_ids:
            changes["call_id"] = scalar_text(self._call_ids[call_id])
        if response_id is not None:
            changes["response_id"] = scalar_text(self.id)
        return changes

    def _response(self, raw: bytes, *, ended: bool, stored: bool) -> bytes:
        parts = members(raw)
        given = dict(parts)
        changes = {"id": scalar_text(self.id)}
        if "model" in given:
            changes["model"] = scalar_text(self._model)
        if self._previous:
            changes["previous_response_id"] = scalar_text(self._previous)
        if "store" in given or self._keep:
            changes["store"] = scalar_text(self._keep is not None)
        items = _items(given)
        patched = [self.item(at, item, ended=ended, stored=stored) for at, item in enumerate(items)]
        if patched != items:
            changes["output"] = array_text(patched)
        patched_parts = replaced(parts, changes)
        if patched_parts == parts:
            return raw
        return object_text(patched_parts)

    def _client_call_id(self, index: int, call_id: str) -> str:
        if index not in self._calls:
            self._calls[index] = self._mint(0, len(self._calls), call_id)
        self._call_ids[call_id] = self._calls[index]
        return self._calls[index]

    def _state(self, item: dict[str, Any], *, ended: bool, stored: bool) -> dict[str, bytes]:
        """The change to a piece of reasoning: a sealed copy where it is carried or stored, else
        no state.
        """
        [thought] = item_parts(item)
        assert isinstance(thought, Reasoning)
        copy = ""
        if (self._carried or stored) and (thought.opaque or (ended and thought.text)):
            copy = self._copy(thought)
        if copy:
            return {_STATE: scalar_text(copy)}
        if thought.opaque:
            return {_STATE: b""}
        return {}

    def _copy(self, thought: Reasoning) -> str:
        if thought not in self._sealed:
            self._sealed[thought] = self._seal(thought)
        return self._sealed[thought]


def _items(response_members: dict[str, bytes]) -> list[bytes]:
    return array_elements(response_members.get("output", b""))


class Answer(response.Answer):
    """A whole answer of an upstream."""

    def __init__(self, body: bytes) -> None:
        """Raises MalformedJson when the body is no JSON object."""
        super().__init__(body)
        self._body = body

    def patched(self, request: Request, head: Head, *, mint: Mint, seal: Seal) -> bytes:
        """The body for the client, which a stored answer is before the client sees it."""
        return Patch(request, head, mint=mint, seal=seal).response(self._body, ended=True)


def decode(body: bytes) -> Answer | None:
    """The answer in a body, or None when it is not one."""
    try:
        return Answer(body)
    except MalformedJson:
        return None


# -- a whole answer for a client that asked for a stream -------------------------------------------

type _Events = list[tuple[str, dict[str, bytes]]]
"""Types of events with the texts of their members."""


def as_stream(body: bytes) -> bytes:
    """A whole answer for the client as an event stream."""
    response = dict(members(body))
    start = {
        "status": b'"in_progress"',
        "output": b"[]",
        "usage": b"null",
        "incomplete_details": b"null",
    }
    beginning = with_members(body, {name: raw for name, raw in start.items() if name in response})
    events: _Events = [
        (f"response.{kind}", {"response": beginning}) for kind in ("created", "in_progress")
    ]
    for index, raw in enumerate(_items(response)):
        events += _item_events(index, raw)
    status = as_str(value(response.get("status", b'""'))) or "completed"
    events.append((f"response.{status}", {"response": body}))
    return b"".join([_event(number, *event) for number, event in enumerate(events)])


def _event(number: int, kind: str, parts: dict[str, bytes]) -> bytes:
    parts = {"type": scalar_text(kind), **parts, "sequence_number": scalar_text(number)}
    return sse.event(object_text(list(parts.items())), kind)


def _item_events(index: int, raw: bytes) -> _Events:
    """The events in which an item is added, filled and done."""
    item = as_dict(value(raw))
    kind = item.get("type")
    place = {"output_index": scalar_text(index)}
    where = {"item_id": scalar_text(as_str(item.get("id"))), **place}
    filling: _Events = []
    empty: dict[str, bytes] = {}
    for name, event in _CALL_EVENTS.items():
        if kind in _STREAMED_CALLS and isinstance(item.get(name), str):
            empty[name] = b'""'
            filling += _text_events(event, where, name, as_str(item[name]))
    for name in _MEMBERS_OF_PARTS.get(as_str(kind), ()):
        if kind == "message" or item.get(name):
            filling += _parts_events(name, where, raw)
            empty[name] = b"[]"
    added = raw
    if empty:
        added = with_members(raw, empty)
    return [
        ("response.output_item.added", {**place, "item": added}),
        *filling,
        ("response.output_item.done", {**place, "item": raw}),
    ]


_STREAMED_CALLS = ("custom_tool_call", "function_call")
"""Kinds of items whose member with the call's arguments has events of its own."""

_CALL_EVENTS = {
    "arguments": "response.function_call_arguments",
    "input": "response.custom_tool_call_input",
}
"""The events of a call's members."""

_MEMBERS_OF_PARTS = {"message": ("content",), "reasoning": ("summary", "content")}
"""The members of each kind of item whose parts have events."""

_PARTS = {
    "output_text": ("text", "response.output_text"),
    "reasoning_text": ("text", "response.reasoning_text"),
    "refusal": ("refusal", "response.refusal"),
    "summary_text": ("text", "response.reasoning_summary_text"),
}
"""The member with the text of each type of part, and the text's events."""

_PART_EVENTS = {
    "content": ("response.content_part", "content_index"),
    "summary": ("response.reasoning_summary_part", "summary_index"),
}
"""The events of the parts in each member, and the name of a part's number."""


def _parts_events(name: str, where: dict[str, bytes], raw: bytes) -> _Events:
    kind, number = _PART_EVENTS[name]
    events: _Events = []
    for at, part in enumerate(array_elements(dict(members(raw)).get(name, b"[]"))):
        found = as_dict(value(part))
        place = {**where, number: scalar_text(at)}
        member, event = _PARTS.get(as_str(found.get("type")), ("", ""))
        if not member:
            events.append((f"{kind}.added", {**place, "part": part}))
        else:
            empty = with_members(part, {member: b'""'})
            events.append((f"{kind}.added", {**place, "part": empty}))
            events += _text_events(event, place, member, as_str(found.get(member)))
        events.append((f"{kind}.done", {**place, "part": part}))
    return events


def _text_events(event: str, place: dict[str, bytes], member: str, words: str) -> _Events:
    if event == "response.output_text":
        place = {**place, "logprobs": b"[]"}
    raw = scalar_text(words)
    return [(f"{event}.delta", {**place, "delta": raw}), (f"{event}.done", {**place, member: raw})]
