"""Streams of Responses: https://platform.openai.com/docs/api-reference/responses-streaming."""

import json
from typing import Any

from openai import omit
from openai._models import construct_type
from openai.lib.streaming.responses._responses import ResponseStreamState
from openai.types.responses import ResponseOutputItem, ResponseStreamEvent

from tests.support.turns import Json
from tests.support.well_formed.events import by_type, strictly, told

__all__ = ("check_responses",)

_EVENTS = by_type(ResponseStreamEvent)
_ITEMS = by_type(ResponseOutputItem)
_ENDS = ("response.completed", "response.incomplete", "response.failed")
_WHOLE_EVENTS = ("response.created", "response.in_progress", "response.queued", *_ENDS)
_WORDS = {
    "response.output_text": ("content", "output_text", "text"),
    "response.refusal": ("content", "refusal", "refusal"),
    "response.reasoning_text": ("content", "reasoning_text", "text"),
    "response.reasoning_summary_text": ("summary", "summary_text", "text"),
}
"""Where the words of these events stand: the item's member, the part's type, the part's member."""

_PARTS = {
    "response.content_part": ("content", "content_index"),
    "response.reasoning_summary_part": ("summary", "summary_index"),
}
_CALLS = {
    "response.function_call_arguments": "arguments",
    "response.custom_tool_call_input": "input",
}


def check_responses(stream: bytes) -> Json:
    """The response that the stream makes."""
    found = [(name, json.loads(data)) for name, data in told(stream) if data != "[DONE]"]
    assert all(name in ("", event["type"]) for name, event in found)
    events = [event for _, event in found if event["type"] in _EVENTS]
    assert [event["type"] for event in events[:2]] == ["response.created", "response.in_progress"]
    assert [event["type"] for event in events if event["type"] in _ENDS] == [events[-1]["type"]]
    numbers = [event["sequence_number"] for event in events]
    assert numbers == list(range(len(events))), "sequence numbers have a gap"
    for event in events:
        _read(event)
    response: Json = events[-1]["response"]
    _check_wholes(events, response)
    output = _output(events)
    assert output == response["output"], "the end is not the sum of the items"
    for at, made in enumerate(_snapshot(events).output):
        _check_made(made, output[at])
    return response


def _read(event: Json) -> None:
    """The SDK's model reads the event, but for items that nobody knows."""
    if event["type"] in _WHOLE_EVENTS:
        event = event | {"response": _known(event["response"])}
    item = event.get("item")
    if item is None or item.get("type") in _ITEMS:
        strictly(_EVENTS[event["type"]], event)


def _known(response: Json) -> Json:
    known = [item for item in response["output"] if item.get("type") in _ITEMS]
    return response | {"output": known}


def _check_wholes(events: list[Json], response: Json) -> None:
    """All that is said of the response as a whole."""
    ids = {event["response"]["id"] for event in events if event["type"] in _WHOLE_EVENTS}
    assert len(ids) == 1, "the response's id changes"
    for event in events[:2]:
        assert (event["response"]["status"], event["response"]["output"]) == ("in_progress", [])
    assert response["status"] == events[-1]["type"].removeprefix("response.")
    assert (response.get("error") is None) == (response["status"] != "failed")
    assert (response.get("incomplete_details") is None) == (response["status"] != "incomplete")


def _output(events: list[Json]) -> list[Json]:
    """The items, made of their own events."""
    items: list[_Item] = []
    for event in events:
        step = event["type"].rpartition(".")[2]
        if event["type"] == "response.output_item.added":
            assert event["output_index"] == len(items), "items are numbered as they come"
            assert all(item.done for item in items), "one item is open at a time"
            items.append(_Item(event["item"]))
        elif event["type"] == "response.output_item.done":
            assert event["output_index"] == len(items) - 1
            items[-1].end(event["item"])
        elif "output_index" in event:
            assert event["output_index"] == len(items) - 1, "the event is of no open item"
            items[-1].take(event["type"].rpartition(".")[0], step, event)
    assert all(item.done for item in items), "an item without an end"
    return [item.item for item in items]


class _Item:
    """An output item, made of its events alone."""

    def __init__(self, item: Json) -> None:
        self.item = item
        self.done = False
        self._made: Json = {}
        """The members that came in pieces."""

        self._part: Json | None = None
        """The open one."""

        self._whole: set[str] = set()
        """The members whose end was told."""

        for member in ("content", "summary", "arguments", "input"):
            assert item.get("type") not in _KINDS or not item.get(member), "it begins filled"

    def take(self, what: str, step: str, event: Json) -> None:
        """Take one event about the item."""
        assert not self.done, "the item is done"
        assert event.get("item_id", self.item.get("id")) == self.item.get("id"), "another item's id"
        if what in _PARTS:
            self._take_part(*_PARTS[what], step, event)
        elif what in _WORDS and step in ("delta", "done"):
            self._take_words(*_WORDS[what], step, event)
        elif what in _CALLS:
            self._take_call(_CALLS[what], step, event)

    def _take_part(self, member: str, number: str, step: str, event: Json) -> None:
        parts = self._made.setdefault(member, [])
        assert event[number] == len(parts), "parts are numbered as they come"
        if step == "added":
            assert self._part is None, "one part is open at a time"
            self._part = {**event["part"], "": False}
            return
        assert self._part is not None, "no part is open"
        assert self._part.pop(""), "the words of the part have no end"
        assert _same(self._part, event["part"]), "the part is not the sum of its words"
        parts.append(event["part"])
        self._part = None

    def _take_words(self, member: str, kind: str, name: str, step: str, event: Json) -> None:
        part = self._part
        assert part is not None, "no part is open"
        assert part["type"] == kind, "words of another kind of part"
        assert not part[""], "words after their end"
        assert event[dict(_PARTS.values())[member]] == len(self._made[member])
        if step == "delta":
            part[name] = part.get(name, "") + event["delta"]
        else:
            assert part.get(name, "") == event[name], "the words are not the sum of their pieces"
            part[""] = True

    def _take_call(self, member: str, step: str, event: Json) -> None:
        assert member not in self._whole, "pieces after their end"
        if step == "delta":
            self._made[member] = self._made.get(member, "") + event["delta"]
        else:
            assert self._made.get(member, "") == event[member], "not the sum of the pieces"
            self._made[member] = event[member]
            self._whole.add(member)

    def end(self, item: Json) -> None:
        """The item is done: it is what was said of it."""
        assert not self.done, "an item ends once"
        assert self._part is None, "a part without an end"
        assert (item["type"], item.get("id")) == (self.item["type"], self.item.get("id"))
        for member, made in self._made.items():
            assert item[member] == made, f"{member} is not the sum of its pieces"
        for member in _KINDS.get(item["type"], ()):
            assert member in self._made or not item.get(member), f"{member} was never told"
        if item["type"] in ("function_call", "custom_tool_call"):
            assert item["call_id"], "a call without an id"
            assert item["name"], "a call without a name"
            assert item["call_id"] == self.item["call_id"], "the call's id changes"
            assert self._whole, "a call's arguments have no end"
        self.item, self.done = item, True


_KINDS = {
    "message": ("content",),
    "reasoning": ("summary", "content"),
    "function_call": ("arguments",),
    "custom_tool_call": ("input",),
}
"""Members that come in pieces."""


def _same(part: Json, told: Json) -> bool:
    """Annotations and log probabilities come with events of their own."""
    apart = {"annotations": 0, "logprobs": 0}
    return part | apart == told | apart


def _snapshot(events: list[Json]) -> Any:
    """What the SDK makes of the stream, up to the whole response at its end."""
    state: ResponseStreamState[None] = ResponseStreamState(input_tools=omit, text_format=omit)
    snapshot: Any = None
    for event in events:
        model: Any = construct_type(type_=ResponseStreamEvent, value=event)
        state.handle_event(model)
        snapshot = snapshot or state.accumulate_event(model)
    return snapshot


def _check_made(made: Any, item: Json) -> None:
    """The SDK has made of the pieces what the item says; it joins texts and arguments alone."""
    assert made.type == item["type"]
    if made.type == "function_call":
        assert (made.arguments, made.name) == (item["arguments"], item["name"])
    elif made.type == "message":
        texts = [part.text for part in made.content if part.type == "output_text"]
        assert texts == [part["text"] for part in item["content"] if part["type"] == "output_text"]
