"""Streamed chat answers: each event is read into deltas and patched for the client.

Chunk shapes: https://platform.openai.com/docs/api-reference/chat-streaming; reasoning
deltas as DeepSeek documents them (https://api-docs.deepseek.com/guides/thinking_mode).
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import msgspec

from addon.formats.chat.carriers import Carrying, Changes, Quirks, annex_of
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
)
from addon.formats.neutral.turn import text_of_part
from addon.formats.tolerant.content import REASONING_FIELDS, THINKING_CHUNK, thought_of
from addon.formats.tolerant.error_body import error_of
from addon.formats.wire import sse
from addon.formats.wire.lenient import decoded
from addon.formats.wire.splice import (
    MalformedJson,
    array_text,
    changed,
    elements,
    members,
    object_text,
    scalar_text,
    value,
    with_members,
)

__all__ = ("DONE", "ChatReader", "ChatStream", "Mint")

DONE = b"data: [DONE]\n\n"

type Mint = Callable[[int, int, str], str]
"""(choice, call index, upstream's id) -> the id the client gets."""


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


class _Choice(msgspec.Struct):
    index: Any = None
    delta: _Delta | None = None
    finish_reason: Any = None
    usage: Any = None
    error: Any = None


class _Chunk(msgspec.Struct):
    model: Any = None
    choices: list[_Choice] | None = None
    usage: Any = None
    x_groq: Any = None
    error: Any = None
    base_resp: Any = None
    code: Any = None
    message: Any = None
    msg: Any = None


_CHUNK = msgspec.json.Decoder(_Chunk)


type _Ids = dict[tuple[int, int], tuple[int, str]]
"""By the places of choice and call in an event: the call's index and its id, if any."""


class ChatStream:
    """Reads one upstream's chat stream event by event."""

    def __init__(
        self, *, model: str, hide_usage: bool, mint: Mint, quirks: Quirks = Quirks()
    ) -> None:
        self._model = model
        self._hide_usage = hide_usage
        self._mint = mint
        self._quirks = quirks
        self._plain = quirks == Quirks()
        """Whether reasoning has come in plain strings only, and may come so only."""

        self._changes: dict[int, Changes] = {}
        """What the client gets otherwise than it came of the event's deltas, by their position."""

        self._calls: dict[int, _Calls] = {}
        self._carrying: dict[int, Carrying] = {}
        self.done = False

    def feed(self, raw: bytes) -> tuple[list[Delta], bytes]:
        """The deltas of one raw event and the bytes for the client: none for an error
        event, which is a StreamError.
        """
        data = sse.data_of(raw)
        if data is None:
            return [], raw
        if data.strip() == b"[DONE]":
            self.done = True
            return [], DONE
        chunk = decoded(_CHUNK, data)
        if chunk is None:
            return _unreadable(raw, data)
        suspect = not chunk.choices or chunk.error or chunk.base_resp or b"event" in raw
        error = _error(chunk, sse.name_of(raw)) if suspect else None
        if error := error or _choice_error(chunk.choices or []):
            return [error], b""
        deltas, ids = self._read(chunk)
        if self._hide_usage and chunk.usage is not None and not chunk.choices:
            return deltas, b""
        try:
            return deltas, self._patched(raw, data, chunk, ids)
        except MalformedJson:
            return [UNREADABLE], b""

    def _renamed(self, raw: bytes, model: str) -> bytes | None:
        """The event under the client's name for the model; None when that takes a closer look."""
        # Unescaped quotes don't occur inside strings, so this is a member wherever it stands.
        theirs = _member(model)
        return raw.replace(theirs, _member(self._model)) if theirs in raw else None

    def _read(self, chunk: _Chunk) -> tuple[list[Delta], _Ids]:
        deltas: list[Delta] = []
        ids: _Ids = {}
        if self._changes:
            self._changes = {}
        for position, choice in enumerate(chunk.choices or ()):
            number = choice.index if isinstance(choice.index, int) else position
            if (delta := choice.delta) is not None:
                said = _said(delta, number)
                if (
                    not self._plain
                    or delta.reasoning_details is not None
                    or delta.content.__class__ is list
                ):
                    said = self._carried(position, choice, delta, number, said)
                deltas += said
                for place, call in enumerate(delta.tool_calls or ()):
                    calls = self._calls.get(number) or self._calls.setdefault(
                        number, _Calls(number)
                    )
                    step, begins = calls.step(call)
                    if call.extra_content:
                        deltas.append(annex_of(call.extra_content, step.index, number))
                    deltas.append(step)
                    if begins:
                        ids[position, place] = step.index, self._mint(number, step.index, step.id)
                    elif call.id or call.index != step.index:
                        ids[position, place] = step.index, ""
            if isinstance(choice.finish_reason, str) and choice.finish_reason:
                deltas.append(Finish(choice.finish_reason, number))
            if usage := usage_of(choice.usage):
                deltas.append(UsageReport(usage))
        groq = chunk.x_groq.get("usage") if isinstance(chunk.x_groq, dict) else None
        if usage := usage_of(chunk.usage) or usage_of(groq):
            deltas.append(UsageReport(usage))
        return deltas, ids

    def _carried(
        self, position: int, choice: _Choice, delta: _Delta, number: int, said: list[Delta]
    ) -> list[Delta]:
        self._plain = False
        carrying = self._carrying.get(number) or self._carrying.setdefault(
            number, Carrying(number, self._quirks)
        )
        ends = bool(choice.finish_reason or delta.tool_calls)
        found, changes = carrying.read(said, delta.reasoning_details, delta.content, ends=ends)
        if changes:
            self._changes[position] = changes
        return found

    def _patched(self, raw: bytes, data: bytes, chunk: _Chunk, ids: _Ids) -> bytes:
        rename = isinstance(chunk.model, str) and chunk.model != self._model
        edited = ids or self._changes
        if not rename and not edited:
            return raw
        if not edited and (renamed := self._renamed(raw, chunk.model)):
            return renamed
        parts = members(data)
        new = {"model": scalar_text(self._model)} if rename else {}
        if edited:
            new["choices"] = _edited(dict(parts)["choices"], ids, self._changes)
        return sse.event(
            object_text([(key, new.get(key, text)) for key, text in parts]), sse.name_of(raw)
        )


class ChatReader(ChatStream):
    """Reads an upstream's chat stream for a client of another format: nothing is patched."""

    def __init__(self, quirks: Quirks = Quirks()) -> None:
        super().__init__(
            model="", hide_usage=False, mint=lambda choice, index, call_id: call_id, quirks=quirks
        )

    def read(self, raw: bytes) -> list[Delta]:
        """The deltas of one raw event."""
        return self.feed(raw)[0]

    def _patched(self, raw: bytes, data: bytes, chunk: _Chunk, ids: _Ids) -> bytes:
        return b""


class _Calls:
    """Tells the tool calls of one choice apart; clients join the arguments of all calls
    that share an index.

    Some servers number every call 0, or none, or give no ids: there a name begins a call.
    Others give each step of one call an id of its own, but its name only once.
    """

    def __init__(self, choice: int) -> None:
        self._choice = choice
        self._count = 0
        self._latest: dict[int | None, _Open] = {}
        self._by_id: dict[tuple[int | None, str], _Open] = {}

    def step(self, call: _Call) -> tuple[CallDelta, bool]:
        """The delta, and whether it begins a call."""
        function = call.function or _Function()
        name, arguments, call_id = _text(function.name), _text(function.arguments), _text(call.id)
        given = call.index if isinstance(call.index, int) else None
        known = self._by_id.get((given, call_id)) or self._latest.get(given)
        begins = known is None or known.is_other(call_id, name)
        if known is None or begins:
            known = _Open(self._count)
            self._count += 1
        if call_id and not known.id:
            known.id = call_id
            self._by_id[given, call_id] = known
        self._latest[given] = known
        name = "" if known.name else name
        known.name = known.name or name
        return CallDelta(
            known.index, known.id if call_id else "", name, arguments, self._choice
        ), begins


def _text(found: Any) -> str:
    return found if isinstance(found, str) else ""


def _member(model: str) -> bytes:
    return b'"model":' + scalar_text(model)


def _choice_error(choices: list[_Choice]) -> StreamError | None:
    """The error that one of the choices reports, by itself or by how it ended."""
    for choice in choices:
        if (choice.finish_reason or choice.error) and (
            error := choice_error(choice.finish_reason, choice.error)
        ):
            return error
    return None


def _error(chunk: _Chunk, name: str) -> StreamError | None:
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


def _unreadable(raw: bytes, data: bytes) -> tuple[list[Delta], bytes]:
    """An event that is no chunk: JSON of another shape goes through as it is, a broken one
    is the upstream's fault.
    """
    if sse.name_of(raw) == "error":
        return [StreamError("The upstream reported an error.")], b""
    if not data.strip():
        return [], b""  # some servers keep the connection alive so; clients would try to read it
    try:
        value(data)
    except MalformedJson:
        return [UNREADABLE], b""
    return [], raw


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
        found.append(CallDelta(0, "", _text(function.name), _text(function.arguments), choice))
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


def _edited(choices: bytes, ids: _Ids, changes: dict[int, Changes]) -> bytes:
    """The `choices` with the calls' indexes and ids and the deltas' members replaced."""
    texts = elements(choices)
    for position in {position for position, _ in ids}:
        calls = {place: new for (at, place), new in ids.items() if at == position}
        texts[position] = changed(
            texts[position], ("delta", "tool_calls"), partial(_renumbered, calls=calls)
        )
    for position, new in changes.items():
        texts[position] = changed(texts[position], ("delta",), partial(with_members, changes=new))
    return array_text(texts)


def _renumbered(text: bytes, calls: dict[int, tuple[int, str]]) -> bytes:
    return array_text(
        [
            _numbered(raw, *calls[at]) if at in calls else raw
            for at, raw in enumerate(elements(text))
        ]
    )


def _numbered(call: bytes, index: int, call_id: str) -> bytes:
    """The step with its index and, when it begins the call, its id: clients join the ids of
    all steps, too.
    """
    head = [("index", scalar_text(index)), *([("id", scalar_text(call_id))] if call_id else [])]
    return object_text(head + [part for part in members(call) if part[0] not in ("index", "id")])
