"""Streamed chat answers for chat clients: each event passes as it came, but for what is
spliced into it.

The client gets its own name of the model, the ids that the gateway gives to tool calls, and
reasoning in one shape.
"""

from collections.abc import Mapping
from functools import partial

import msgspec

from addon.formats.chat.carriers import Changes, Quirks
from addon.formats.chat.reader import CallStep, ChatReader, Event
from addon.formats.chat.writer import DONE
from addon.formats.neutral.deltas import UNREADABLE, CallDelta, Delta, Words
from addon.formats.neutral.problem import Problem, error_body
from addon.formats.neutral.protocols import Mint
from addon.formats.wire import sse
from addon.formats.wire.run import Run, patched
from addon.formats.wire.splice import (
    MalformedJson,
    array_text,
    changed,
    elements,
    members,
    object_text,
    scalar_text,
    with_members,
)

__all__ = ("PatchStream",)


class _Step(msgspec.Struct, frozen=True):
    """What the client gets otherwise of one step of a call."""

    index: int
    id: str
    """Empty in steps without one."""

    arguments: str | None
    """None: as they came."""


type _Calls = Mapping[tuple[int, int], _Step]
"""By the positions of choice and call in a chunk."""


class PatchStream:
    """Relays one upstream's stream."""

    keep_alive = sse.KEEP_ALIVE

    def __init__(
        self, *, model: str, hide_usage: bool, mint: Mint, quirks: Quirks = Quirks()
    ) -> None:
        self._model = model
        self._model_member = _model_member(model)
        self._upstream_model: object = None
        self._upstream_member = b""
        """How the upstream's chunks name the model: all of a stream alike."""

        self._hide_usage = hide_usage
        self._mint = mint
        self._reader = ChatReader(quirks)

    @property
    def done(self) -> bool:
        return self._reader.done

    def feed(self, raw: bytes) -> tuple[list[Delta], bytes]:
        """The deltas of one raw event and the bytes for the client: none for an error
        event, which is a StreamError.
        """
        event = self._reader.read_event(raw)
        chunk = event.chunk
        if chunk is None:
            return event.deltas, self._passed(raw, event)
        # Clients that did not ask for the usage don't expect a chunk without a choice.
        if self._hide_usage and chunk.usage is not None and not chunk.choices:
            return event.deltas, b""
        try:
            filled = self._filled(event) if event.fills else b""
            return event.deltas, filled + self._patched(raw, event, chunk.model)
        except MalformedJson:
            return [UNREADABLE], b""  # what the reader has skipped

    def run(self, raw: bytes, delta: Words, out: bytes) -> Run | None:
        """How more of the same is passed on, as of any relay."""
        shape = self._reader.shape(raw, delta)
        if shape is None:
            return None
        return patched(shape, raw, out)

    def end(self) -> bytes:
        return DONE

    def fail(self, problem: Problem) -> bytes:
        return sse.event(error_body("chat", problem)) + DONE

    def _passed(self, raw: bytes, event: Event) -> bytes:
        """An event that is no chunk."""
        if self._reader.done:
            return DONE
        return raw if event.passes else b""

    def _patched(self, raw: bytes, event: Event, model: object) -> bytes:
        rename = isinstance(model, str) and model != self._model
        calls = self._client_calls(event.calls) if event.calls else {}
        edited = calls or event.changes or event.is_respelled
        if not rename and not edited:
            return raw
        if not edited and (renamed := self._renamed(raw, model)):
            return renamed
        parts = members(event.data)
        new = {"model": scalar_text(self._model)} if rename else {}
        if edited:
            new["choices"] = _edited(dict(parts)["choices"], calls, event.changes)
        data = object_text([(key, new.get(key, text)) for key, text in parts])
        return sse.with_data(raw, event.data, data)

    def _filled(self, event: Event) -> bytes:
        """The events that give arguments to calls that end without any."""
        head = {"model": scalar_text(self._model), "usage": b""}
        fills = (head | {"choices": _filling(call)} for call in event.fills)
        return b"".join(sse.event(with_members(event.data, new)) for new in fills)

    def _renamed(self, raw: bytes, model: object) -> bytes | None:
        """The event under the client's name for the model; None when that takes a closer look."""
        if model != self._upstream_model:
            self._upstream_model, self._upstream_member = model, _model_member(model)
        # Unescaped quotes don't occur inside strings, so this is a member wherever it stands.
        if self._upstream_member not in raw:
            return None
        return raw.replace(self._upstream_member, self._model_member)

    def _client_calls(self, steps: Mapping[tuple[int, int], CallStep]) -> _Calls:
        """What of the steps differs for the client, who joins the ids of all steps of a call."""
        calls: dict[tuple[int, int], _Step] = {}
        for position, step in steps.items():
            delta = step.delta
            shown, arguments = "", None
            if step.begins:
                shown = self._mint(delta.choice, delta.index, delta.id)
            if step.is_respelled:
                arguments = delta.arguments
            if step.begins or delta.id or step.is_renumbered or step.is_respelled:
                calls[position] = _Step(delta.index, shown, arguments)
        return calls


def _model_member(model: object) -> bytes:
    return b'"model":' + scalar_text(model)


def _filling(call: CallDelta) -> bytes:
    """The `choices` of a step that gives a call its arguments."""
    step = {"index": call.index, "function": {"arguments": call.arguments}}
    delta = {"tool_calls": [step]}
    return scalar_text([{"index": call.choice, "delta": delta, "finish_reason": None}])


def _edited(choices: bytes, calls: _Calls, changes: Mapping[int, Changes]) -> bytes:
    """The `choices` with the calls' indexes and ids and the deltas' members replaced."""
    texts = elements(choices)
    for position in {position for position, _ in calls}:
        own = {place: new for (at, place), new in calls.items() if at == position}
        texts[position] = changed(
            texts[position], ("delta", "tool_calls"), partial(_renumbered, calls=own)
        )
    for position, new in changes.items():
        texts[position] = changed(texts[position], ("delta",), partial(with_members, changes=new))
    return array_text(texts)


def _renumbered(text: bytes, calls: dict[int, _Step]) -> bytes:
    return array_text(
        [_numbered(raw, calls[at]) if at in calls else raw for at, raw in enumerate(elements(text))]
    )


def _numbered(call: bytes, step: _Step) -> bytes:
    """The step with its index and, when it begins the call, its id: clients join the ids of
    all steps, too.
    """
    shown = b""
    if step.id:
        shown = scalar_text(step.id)
    call = with_members(call, {"index": scalar_text(step.index), "id": shown})
    if step.arguments is None:
        return call
    arguments = {"arguments": scalar_text(step.arguments)}
    return changed(call, ("function",), partial(with_members, changes=arguments))
