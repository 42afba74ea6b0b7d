"""Responses answers for Responses clients: read into a turn, and what must change is spliced in.

The client gets ids of ours for the response and for tool calls, its own name of the model,
and sealed copies of reasoning's state. Items of answers that are stored get ids of ours,
too, since a reference to one has to say where it is.
"""

from functools import partial
from typing import Any

from addon.formats.neutral.protocols import Head, Mint, Seal
from addon.formats.neutral.request import Request
from addon.formats.neutral.turn import Reasoning
from addon.formats.responses import response
from addon.formats.responses.listing import PREFIXES
from addon.formats.responses.request import ENCRYPTED
from addon.formats.tolerant.items import item_parts
from addon.formats.wire import sse
from addon.formats.wire.lenient import record, text
from addon.formats.wire.splice import (
    MalformedJson,
    array_text,
    elements,
    members,
    object_text,
    replaced,
    scalar_text,
    value,
    with_members,
)

__all__ = ("Answer", "Patch", "as_stream", "decode")

_CALLS = ("custom_tool_call", "function_call")
_STATE = "encrypted_content"


class Patch:
    """What one client gets of one upstream's response otherwise than it came; the same each
    time it is asked.
    """

    def __init__(self, request: Request, head: Head, *, mint: Mint, seal: Seal) -> None:
        self.id = f"resp_{head.id}"
        self._name = head.id
        self._keep = (
            partial(head.keep, request) if head.keep and request.own_items is not None else None
        )
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
        """The response object for the client; one that has `ended` is stored where it is to be."""
        if ended and self._keep:
            self._keep(self.id, self._response(raw, ended=True, stored=True))
        return self._response(raw, ended=ended, stored=False)

    def item(self, index: int, raw: bytes, *, ended: bool, stored: bool = False) -> bytes:
        """The output item at this place, for the client or to be stored; `ended`: it is whole."""
        item = record(value(raw))
        changes: dict[str, bytes] = {}
        call_id = text(item.get("call_id"))
        if item.get("type") in _CALLS:
            changes["call_id"] = scalar_text(self._called(index, call_id))
        elif call_id and call_id in self._call_ids:
            changes["call_id"] = scalar_text(self._call_ids[call_id])
        if item.get("type") == "reasoning":
            changes |= self._state(item, ended=ended, stored=stored)
        if self._keep and (prefix := PREFIXES.get(text(item.get("type")))):
            self._item_ids[text(item.get("id"))] = ours = f"{prefix}_{self._name}{index}"
            changes["id"] = scalar_text(ours)
        return with_members(raw, changes) if changes else raw

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
        wanted = replaced(parts, changes)
        return object_text(wanted) if wanted != parts else raw

    def _called(self, index: int, call_id: str) -> str:
        if index not in self._calls:
            self._calls[index] = self._mint(0, len(self._calls), call_id)
        self._call_ids[call_id] = self._calls[index]
        return self._calls[index]

    def _state(self, item: dict[str, Any], *, ended: bool, stored: bool) -> dict[str, bytes]:
        """The change to a piece of reasoning: a copy for those who carry it, no state for
        others.
        """
        [thought] = item_parts(item)
        assert isinstance(thought, Reasoning)
        wanted = (self._carried or stored) and (thought.opaque or (ended and thought.text))
        copy = self._copy(thought) if wanted else ""
        if not copy and not thought.opaque:
            return {}
        return {_STATE: scalar_text(copy) if copy else b""}

    def _copy(self, thought: Reasoning) -> str:
        if thought not in self._sealed:
            self._sealed[thought] = self._seal(thought)
        return self._sealed[thought]


def _items(response_members: dict[str, bytes]) -> list[bytes]:
    output = response_members.get("output", b"")
    return elements(output) if output.startswith(b"[") else []


class Answer(response.Answer):
    """A whole answer of an upstream."""

    def __init__(self, body: bytes) -> None:
        """Raises MalformedJson when the body is no JSON object."""
        super().__init__(body)
        self._body = body

    def patched(self, request: Request, head: Head, *, mint: Mint, seal: Seal) -> bytes:
        """The body for the client; stored before it is seen where it is to be."""
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
    """A whole answer for the client as the event stream that says the same."""
    given = dict(members(body))
    begun = {
        "status": b'"in_progress"',
        "output": b"[]",
        "usage": b"null",
        "incomplete_details": b"null",
    }
    beginning = with_members(body, {name: raw for name, raw in begun.items() if name in given})
    events: _Events = [
        (f"response.{kind}", {"response": beginning}) for kind in ("created", "in_progress")
    ]
    for index, raw in enumerate(_items(given)):
        events += _item_events(index, raw)
    status = text(value(given.get("status", b'""'))) or "completed"
    events.append((f"response.{status}", {"response": body}))
    return b"".join(_event(number, kind, found) for number, (kind, found) in enumerate(events))


def _event(number: int, kind: str, found: dict[str, bytes]) -> bytes:
    parts = {"type": scalar_text(kind), **found, "sequence_number": scalar_text(number)}
    return sse.event(object_text(list(parts.items())), kind)


def _item_events(index: int, raw: bytes) -> _Events:
    """An item that is added, filled and done."""
    item = record(value(raw))
    place = {"output_index": scalar_text(index)}
    where = {"item_id": scalar_text(text(item.get("id"))), **place}
    filled: _Events = []
    emptied: dict[str, bytes] = {}
    for name, event in (
        ("arguments", "function_call_arguments"),
        ("input", "custom_tool_call_input"),
    ):
        if item.get("type") in _CALLS and isinstance(item.get(name), str):
            emptied[name] = b'""'
            filled += _said(f"response.{event}", where, name, text(item[name]))
    if item.get("type") == "message":
        filled += _parts_events("content", where, item, raw)
        emptied["content"] = b"[]"
    if item.get("type") == "reasoning" and item.get("summary"):
        filled += _parts_events("summary", where, item, raw)
        emptied["summary"] = b"[]"
    added = (
        "response.output_item.added",
        {**place, "item": with_members(raw, emptied) if emptied else raw},
    )
    return [added, *filled, ("response.output_item.done", {**place, "item": raw})]


_PARTS = {
    "output_text": ("text", "response.output_text"),
    "refusal": ("refusal", "response.refusal"),
    "summary_text": ("text", "response.reasoning_summary_text"),
}
"""By its type where a part has its text, and what the events are called that say it."""


_PART_EVENTS = {
    "content": ("content_part", "content_index"),
    "summary": ("reasoning_summary_part", "summary_index"),
}
"""By the member that has the parts what their events are called, and what numbers them."""


def _parts_events(name: str, where: dict[str, bytes], item: dict[str, Any], raw: bytes) -> _Events:
    kind, number = (
        ("content_part", "content_index")
        if name == "content"
        else ("reasoning_summary_part", "summary_index")
    )
    events: _Events = []
    texts = (
        elements(dict(members(raw)).get(name, b"[]")) if isinstance(item.get(name), list) else []
    )
    for at, part in enumerate(texts):
        found = record(value(part))
        place = {**where, number: scalar_text(at)}
        member, event = _PARTS.get(text(found.get("type")), ("", ""))
        emptied = with_members(part, {member: b'""'}) if member else part
        events.append((f"response.{kind}.added", {**place, "part": emptied}))
        if member:
            events += _said(event, place, member, text(found.get(member)))
        events.append((f"response.{kind}.done", {**place, "part": part}))
    return events


def _said(event: str, place: dict[str, bytes], member: str, said: str) -> _Events:
    logprobs = {"logprobs": b"[]"} if event == "response.output_text" else {}
    spoken = scalar_text(said)
    return [
        (f"{event}.delta", {**place, **logprobs, "delta": spoken}),
        (f"{event}.done", {**place, **logprobs, member: spoken}),
    ]
