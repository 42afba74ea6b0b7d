"""The protocols of readers, writers and relays, and what every writer of answers needs."""

from collections.abc import Callable, Iterator
from functools import partial
from typing import Protocol

import msgspec

from addon.formats.neutral.deltas import (
    CallDelta,
    Delta,
    Finish,
    ForeignItem,
    OpaqueDelta,
    ReasoningDelta,
    RefusalDelta,
    TextDelta,
    Words,
)
from addon.formats.neutral.problem import Problem
from addon.formats.neutral.request import Request
from addon.formats.neutral.turn import Foreign, Part, Reasoning, Refusal, Text, ToolCall, Turn
from addon.formats.wire.run import Run, Shape

__all__ = (
    "Head",
    "Keep",
    "Mint",
    "OneField",
    "Reader",
    "Relay",
    "Seal",
    "Unseal",
    "Writer",
    "deltas_of",
)

type Mint = Callable[[int, int, str], str]
"""(choice, call index, upstream's id) -> the id the client gets."""

type Seal = Callable[[Reasoning], str]
"""The state that a client carries for a piece of reasoning; empty: none."""

type Keep = Callable[[Request, str, bytes], None]
"""(request, id, JSON) of a response object that is to be stored; called before the client
can see its end.
"""

type Unseal = Callable[[Reasoning], Reasoning | None]
"""The reasoning that a client's sealed copy holds; None: nothing usable."""


class Head(msgspec.Struct, frozen=True):
    """An answer's id, time and model."""

    id: str
    """Letters and digits; each format puts its own prefix before them."""

    created: int
    """Unix seconds."""

    model: str
    """The name the client used."""

    keep: Keep | None = None
    """None: nothing is stored."""

    prompt_tokens: int = 0
    """What the prompt probably has, until the upstream has counted it."""

    def keep_for(self, request: Request) -> Callable[[str, bytes], None] | None:
        """The `keep` of one request; None: its answer is not stored."""
        if self.keep is None or request.own_items is None:
            return None
        return partial(self.keep, request)


class Reader(Protocol):
    """Reads one upstream's stream."""

    done: bool
    """Whether the stream has announced its end."""

    def read(self, raw: bytes) -> list[Delta]:
        """The deltas of one raw event."""

    def shape(self, raw: bytes, delta: Words) -> Shape | None:
        """The shape of `raw`, which was read last and says `delta` alone: what has it says the same
        in other words, as long as nothing else is read. None: others have to be read.
        """


class Writer(Protocol):
    """Writes one client's stream: `write` for the deltas as they come, then `end` or `fail`."""

    def write(self, deltas: list[Delta]) -> bytes:
        """The events of the deltas."""

    def run(self, shape: Shape, delta: Words, out: bytes) -> Run | None:
        """How what has this shape is written, after `delta` alone was written last, as `out`. None:
        it has to be read and written.
        """

    def end(self) -> bytes:
        """The end of a stream whose turn is whole."""

    def fail(self, problem: Problem) -> bytes:
        """The end of a stream that failed after it began."""


class Relay(Protocol):
    """Passes an upstream's events on to the client, up to `end`, `fail` or `done`."""

    @property
    def done(self) -> bool:
        """Whether the upstream has announced the end and the client has got it."""

    @property
    def keep_alive(self) -> bytes:
        """The bytes that keep the client waiting between two events."""

    def feed(self, raw: bytes) -> tuple[list[Delta], bytes]:
        """The deltas of one raw event, in the client's terms, and their bytes for the client."""

    def run(self, raw: bytes, delta: Words, out: bytes) -> Run | None:
        """How events are passed on that say more of the same, after `raw` was fed last and gave
        `delta` alone and `out`. None: they have to be fed.
        """

    def end(self) -> bytes:
        """The end for the client where the upstream did not announce it."""

    def fail(self, problem: Problem) -> bytes:
        """The end for the client of an answer that failed."""


class OneField:
    """Chooses the first reasoning field with text: servers that use two names send the same text
    under both.
    """

    def __init__(self) -> None:
        self._field = ""

    def takes(self, delta: ReasoningDelta) -> bool:
        """Whether the client gets the delta."""
        if delta.text and not self._field:
            self._field = delta.field
        return not self._field or delta.field == self._field


def deltas_of(turn: Turn, choice: int = 0) -> Iterator[Delta]:
    """The deltas of a whole turn."""
    numbers = {"call": -1, "message": -1, "thought": -1}
    before = ""
    for part in turn.ordered:
        kind = _KINDS.get(type(part), "")
        if kind and (kind != "message" or before != "message"):
            numbers[kind] += 1
        before = kind
        yield from _steps(part, choice, numbers.get(kind, 0))
    if turn.finish_reason:
        yield Finish(turn.finish_reason, choice, turn.stop_sequence)


_KINDS: dict[type, str] = {
    Reasoning: "thought",
    Refusal: "message",
    Text: "message",
    ToolCall: "call",
}
"""Parts that are numbered together: a text and a refusal beside each other are one message."""


def _steps(part: Part, choice: int, number: int) -> Iterator[Delta]:
    match part:
        case Text():
            yield TextDelta(part.text, choice, number)
        case Refusal():
            yield RefusalDelta(part.text, choice, number)
        case Reasoning():
            yield ReasoningDelta(part.text, part.field, choice, number)
            if part.opaque:
                yield OpaqueDelta(part.opaque, part.carrier, choice, number, part.id)
        case ToolCall():
            yield CallDelta(number, part.id, part.name, part.arguments, choice, part.custom)
        case Foreign():
            yield ForeignItem(part.wire_format, part.item, choice)
