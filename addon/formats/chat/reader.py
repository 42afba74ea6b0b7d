"""An upstream's streamed chat answer, read event by event into deltas.

Chunk shapes: https://platform.openai.com/docs/api-reference/chat-streaming; reasoning
deltas as DeepSeek documents them (https://api-docs.deepseek.com/guides/thinking_mode).
"""

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

import msgspec

from addon.formats.chat.carriers import Carrying, Changes, Quirks, annex_of
from addon.formats.chat.choices import as_step
from addon.formats.chat.error_body import choice_error
from addon.formats.chat.usage import usage_of
from addon.formats.neutral.deltas import (
    UNREADABLE,
    CallDelta,
    Delta,
    Finish,
    ReasoningDelta,
    RefusalDelta,
    StreamError,
    TextDelta,
    UsageReport,
    Words,
    words_of,
)
from addon.formats.neutral.turn import text_of_part
from addon.formats.tolerant.content import REASONING_FIELDS, THINKING_CHUNK, thought_of
from addon.formats.tolerant.error_body import error_of
from addon.formats.tolerant.finish import finish_of, is_cut, stop_sequence_of
from addon.formats.tolerant.parts import arguments_of
from addon.formats.wire import sse
from addon.formats.wire.lenient import decode_leniently
from addon.formats.wire.run import PROBE, Shape, shape_of
from addon.formats.wire.splice import (
    MalformedJson,
    array_text,
    elements,
    members,
    value,
    with_members,
)

__all__ = ("CallStep", "ChatReader", "Event")


class _Function(msgspec.Struct):
    name: Any = None
    arguments: Any = None


class _Call(msgspec.Struct):
    index: Any = None
    id: Any = None
    function: _Function | None = None
    extra_content: Any = None


class _Open(msgspec.Struct):
    """A tool call that has begun."""

    index: int
    id: str = ""
    name: str = ""
    has_arguments: bool = False

    def is_other(self, call_id: str, name: str) -> bool:
        """Whether a step with this id and name, either of which may be empty, belongs to
        another call.
        """
        if not (name and self.name):
            return False
        return not self.id or call_id not in ("", self.id) or name != self.name


class _Delta(msgspec.Struct):
    content: Any = None
    reasoning_content: Any = None
    reasoning: Any = None
    reasoning_text: Any = None
    reasoning_details: Any = None
    refusal: Any = None
    tool_calls: list[_Call] | None = None
    function_call: _Function | None = None


_NOTHING = _Delta()


class _Choice(msgspec.Struct):
    index: Any = None
    delta: _Delta | None = None
    message: Any = None
    finish_reason: Any = None
    stop_reason: Any = None
    usage: Any = None
    error: Any = None


class Chunk(msgspec.Struct):
    """What is read of a chunk; anything may be of any type."""

    model: Any = None
    choices: list[_Choice] | None = None
    usage: Any = None
    x_groq: Any = None
    error: Any = None
    base_resp: Any = None
    code: Any = None
    message: Any = None
    msg: Any = None


_CHUNK = msgspec.json.Decoder(Chunk)


class CallStep(msgspec.Struct, frozen=True):
    """One step of a tool call."""

    delta: CallDelta
    begins: bool
    is_renumbered: bool
    """Whether it came under another index."""

    is_respelled: bool
    """Whether its arguments came as something else than text."""


_NONE: Mapping[Any, Any] = MappingProxyType({})
"""Most events have nothing to change: an empty mapping that is not made anew."""


class Event(msgspec.Struct):
    """What one event of a stream says."""

    deltas: list[Delta]
    chunk: Chunk | None = None
    """None for an event that is no chunk, or one with an error."""

    data: bytes = b""
    """The text of the chunk."""

    passes: bool = True
    """Whether a chat client is to get it."""

    calls: Mapping[tuple[int, int], CallStep] = _NONE
    """Steps of tool calls by the positions of choice and call in the chunk."""

    fills: Sequence[CallDelta] = ()
    """Arguments of calls that end without any; they are among the deltas."""

    is_respelled: bool = False
    """Whether the text is another than came."""

    changes: Mapping[int, Changes] = _NONE
    """What a chat client gets otherwise than it came of the deltas, by the position of the
    choice.
    """


class ChatReader:
    """Reads one upstream's chat stream."""

    def __init__(self, quirks: Quirks = Quirks()) -> None:
        self._quirks = quirks
        self._plain = quirks == Quirks()
        """Whether reasoning has come in plain strings only, and may come so only."""

        self._calls: dict[int, _Calls] = {}
        self._carrying: dict[int, Carrying] = {}
        self._speaking: set[int] = set()
        """The choices that have said something."""

        self._begins = False
        """Whether a call has begun in the last event."""

        self.done = False

    def read(self, raw: bytes) -> list[Delta]:
        """The deltas of one raw event."""
        return self.read_event(raw).deltas

    def read_event(self, raw: bytes) -> Event:
        """One raw event; one that reports an error is a StreamError alone."""
        data = sse.data_of(raw)
        if data is None:
            return Event([])
        if data.strip() == b"[DONE]":
            self.done = True
            return Event([])
        chunk = decode_leniently(_CHUNK, data)
        if chunk is None:
            return _unreadable(raw, data)
        suspect = not chunk.choices or chunk.error or chunk.base_resp or b"event" in raw
        error = _error(chunk, sse.name_of(raw)) if suspect else None
        if error := error or _choice_error(chunk.choices or []):
            return Event([error], passes=False)
        event = Event([], chunk, data)
        if any(choice.message is not None for choice in chunk.choices or ()):
            try:
                event = self._of_messages(event, chunk.choices or [])
            except MalformedJson:
                return Event([UNREADABLE], passes=False)  # what the decoder has skipped
        self._begins = False
        self._read(event, event.chunk or chunk)
        return event

    def shape(self, raw: bytes, delta: Words) -> Shape | None:
        """The shape of the event `raw`, as of any reader."""
        shape = shape_of(raw, words_of(delta)) if self._is_settled(delta) else None
        if shape is None:
            return None
        chunk, other = _chunk(raw), _chunk(shape.probe)
        # An event that has a name, or says `event`, is searched for an error.
        if chunk is None or other is None or _error(chunk, sse.name_of(raw)):
            return None
        if not _put(PROBE, chunk, delta) or chunk != other:
            return None
        return shape

    def _is_settled(self, delta: Words) -> bool:
        """Whether steps like the last one are read as plain strings, and begin no call."""
        carrying = self._carrying.get(delta.choice)
        has_settled = carrying is not None and carrying.is_settled
        return (self._plain or has_settled) and not self._begins

    def _of_messages(self, event: Event, choices: list[_Choice]) -> Event:
        """The event with the whole messages that stand in the place of deltas as such; what has
        been said already is not said again.
        """
        texts = elements(dict(members(event.data))["choices"])
        steps = [self._step(choice, at, texts[at]) for at, choice in enumerate(choices)]
        if steps == texts:
            return event
        kind = b'"chat.completion.chunk"'
        data = with_members(event.data, {"object": kind, "choices": array_text(steps)})
        return Event([], decode_leniently(_CHUNK, data), data, is_respelled=True)

    def _step(self, choice: _Choice, position: int, text: bytes) -> bytes:
        """The text of the choice, whose message is its delta."""
        if choice.message is None or choice.delta not in (None, _NOTHING):
            return text
        if _number(choice, position) in self._speaking:
            return with_members(text, {"message": b"", "delta": b"{}"})
        return as_step(text)

    def _read(self, event: Event, chunk: Chunk) -> None:
        deltas = event.deltas
        for position, choice in enumerate(chunk.choices or ()):
            number = _number(choice, position)
            if choice.delta is not None:
                self._read_delta(event, position, number, choice, choice.delta)
            if isinstance(choice.finish_reason, str) and choice.finish_reason:
                self._finish(event, choice, number)
            if usage := usage_of(choice.usage):
                deltas.append(UsageReport(usage))
        groq = chunk.x_groq.get("usage") if isinstance(chunk.x_groq, dict) else None
        if usage := usage_of(chunk.usage) or usage_of(groq):
            deltas.append(UsageReport(usage))

    def _finish(self, event: Event, choice: _Choice, number: int) -> None:
        """Take up how the choice ends, and what its calls lack then."""
        calls = self._calls.get(number)
        reason = finish_of(choice.finish_reason, calls=calls is not None)
        if calls is not None and not is_cut(reason):
            fills = calls.fill()
            event.fills = [*event.fills, *fills]
            event.deltas += fills
        stop = stop_sequence_of(choice.stop_reason, reason)
        event.deltas.append(Finish(reason, number, stop))

    def _read_delta(
        self, event: Event, position: int, number: int, choice: _Choice, delta: _Delta
    ) -> None:
        said = _said(delta, number)
        in_strings = delta.reasoning_details is None and delta.content.__class__ is not list
        if not self._plain or not in_strings:
            said, changes = self._carried(choice, delta, number, said)
            if changes:
                event.changes = {**event.changes, position: changes}
        event.deltas.extend(said)
        if said or delta.tool_calls:
            self._speaking.add(number)
        if delta.tool_calls:
            self._read_calls(event, position, number, delta.tool_calls)

    def _read_calls(self, event: Event, position: int, number: int, calls: list[_Call]) -> None:
        steps = dict(event.calls)
        for place, call in enumerate(calls):
            step = self._calls_of(number).step(call)
            if call.extra_content:
                event.deltas.append(annex_of(call.extra_content, step.delta.index, number))
            event.deltas.append(step.delta)
            self._begins = self._begins or step.begins
            steps[position, place] = step
        event.calls = steps

    def _calls_of(self, number: int) -> "_Calls":
        return self._calls.get(number) or self._calls.setdefault(number, _Calls(number))

    def _carried(
        self, choice: _Choice, delta: _Delta, number: int, said: list[Delta]
    ) -> tuple[list[Delta], Changes]:
        """What is said once reasoning in other shapes is read, and what clients get otherwise."""
        self._plain = False
        carrying = self._carrying.get(number) or self._carrying.setdefault(
            number, Carrying(number, self._quirks)
        )
        ends = bool(choice.finish_reason or delta.tool_calls)
        return carrying.read(said, delta.reasoning_details, delta.content, ends=ends)


class _Calls:
    """Tells the tool calls of one choice apart; clients join the arguments of all calls
    that share an index.

    Some servers number every call 0, or none, or give no ids: there a name begins a call.
    Others give each step of one call an id of its own, but its name only once.
    """

    def __init__(self, choice: int) -> None:
        self._choice = choice
        self._begun: list[_Open] = []
        self._latest: dict[int | None, _Open] = {}
        self._by_id: dict[tuple[int | None, str], _Open] = {}

    def step(self, call: _Call) -> CallStep:
        """The step, and whether it begins a call."""
        function = call.function or _Function()
        name, arguments, call_id = _text(function.name), _spelled(function), _text(call.id)
        given = call.index if isinstance(call.index, int) else None
        known = self._by_id.get((given, call_id)) or self._latest.get(given)
        begins = known is None or known.is_other(call_id, name)
        if known is None or begins:
            known = _Open(len(self._begun))
            self._begun.append(known)
        if call_id and not known.id:
            known.id = call_id
            self._by_id[given, call_id] = known
        self._latest[given] = known
        known.has_arguments = known.has_arguments or bool(arguments)
        name = "" if known.name else name
        known.name = known.name or name
        told_id = known.id if call_id else ""
        delta = CallDelta(known.index, told_id, name, arguments, self._choice)
        respelled = not isinstance(function.arguments, str | None)
        return CallStep(delta, begins, call.index != known.index, respelled)

    def fill(self) -> list[CallDelta]:
        """The arguments of the calls that have none."""
        empty = [call for call in self._begun if not call.has_arguments]
        for call in empty:
            call.has_arguments = True
        return [CallDelta(call.index, arguments="{}", choice=self._choice) for call in empty]


def _chunk(raw: bytes) -> Chunk | None:
    return decode_leniently(_CHUNK, sse.data_of(raw) or b"")


def _put(text: str, chunk: Chunk, delta: Words) -> bool:
    """Put a text where a chunk that says the delta alone has its own; whether it has a place."""
    match chunk.choices, delta:
        case [_Choice(delta=_Delta() as step)], TextDelta():
            step.content = text
        case [_Choice(delta=_Delta() as step)], RefusalDelta():
            step.refusal = text
        case [_Choice(delta=_Delta() as step)], ReasoningDelta() if delta.field in REASONING_FIELDS:
            setattr(step, delta.field, text)
        case [_Choice(delta=_Delta(tool_calls=[_Call(function=_Function() as step)]))], CallDelta():
            step.arguments = text
        case _:
            return False
    return True


def _number(choice: _Choice, position: int) -> int:
    if isinstance(choice.index, int):
        return choice.index
    return position


def _text(found: Any) -> str:
    return found if isinstance(found, str) else ""


def _spelled(function: _Function) -> str:
    """The arguments as text; an empty object only announces them."""
    return arguments_of(function.arguments or "")


def _choice_error(choices: list[_Choice]) -> StreamError | None:
    """The error that one of the choices reports, by itself or by how it ended."""
    for choice in choices:
        if (choice.finish_reason or choice.error) and (
            error := choice_error(choice.finish_reason, choice.error)
        ):
            return error
    return None


def _error(chunk: Chunk, name: str) -> StreamError | None:
    message = None if chunk.choices else chunk.message or chunk.msg
    if error := error_of(chunk.error, chunk.base_resp, chunk.code, message):
        return error
    if isinstance(chunk.x_groq, dict) and (error := error_of(chunk.x_groq.get("error"))):
        return error
    if name == "error":
        return StreamError(
            message if isinstance(message, str) else "The upstream reported an error."
        )
    return None


def _unreadable(raw: bytes, data: bytes) -> Event:
    """An event that is no chunk: JSON of another shape passes as it is, a broken one is the
    upstream's fault.
    """
    if sse.name_of(raw) == "error":
        return Event([StreamError("The upstream reported an error.")], passes=False)
    if not data.strip():
        # Some servers keep the connection alive so; clients would try to read it.
        return Event([], passes=False)
    try:
        value(data)
    except MalformedJson:
        return Event([UNREADABLE], passes=False)
    return Event([])


def _said(delta: _Delta, choice: int) -> list[Delta]:
    found: list[Delta] = []
    for field in REASONING_FIELDS:
        text = getattr(delta, field)
        if isinstance(text, str):
            found.append(ReasoningDelta(text, field, choice))
    if isinstance(delta.content, str):
        if delta.content:
            found.append(TextDelta(delta.content, choice))
    elif delta.content:
        found += _chunks_said(delta.content, choice)
    if delta.refusal and isinstance(delta.refusal, str):
        found.append(RefusalDelta(delta.refusal, choice))
    if function := delta.function_call:
        found.append(CallDelta(0, "", _text(function.name), _spelled(function), choice))
    return found


def _chunks_said(content: Any, choice: int) -> list[Delta]:
    """What a list of typed chunks says, in order."""
    said = (
        [(thought_of(part), text_of_part(part)) for part in content]
        if isinstance(content, list)
        else []
    )
    return [
        TextDelta(text, choice)
        if thought is None
        else ReasoningDelta(thought, THINKING_CHUNK, choice)
        for thought, text in said
        if text or thought is not None
    ]
