"""The neutral vocabulary of a streamed turn: each delta is one step of one choice."""

import msgspec

from addon.formats.turn import Usage

__all__ = ("CallDelta", "Delta", "Finish", "ReasoningDelta", "StreamError", "TextDelta", "UsageReport")


class ReasoningDelta(msgspec.Struct, frozen=True):
    """More reasoning; an empty text says that there is a reasoning field, with nothing in it so far."""

    text: str
    field: str
    choice: int = 0


class TextDelta(msgspec.Struct, frozen=True):
    """More visible text."""

    text: str
    choice: int = 0


class CallDelta(msgspec.Struct, frozen=True):
    """More of the tool call at `index`; `id` and `name` are empty when the step does not carry them."""

    index: int
    id: str = ""
    name: str = ""
    arguments: str = ""
    choice: int = 0


class Finish(msgspec.Struct, frozen=True):
    """The turn is whole."""

    reason: str
    choice: int = 0


class UsageReport(msgspec.Struct, frozen=True):
    """The upstream's count; the last one of a stream is right."""

    usage: Usage


class StreamError(msgspec.Struct, frozen=True):
    """The upstream says that it failed."""

    message: str
    status: int = 502
    code: str = ""


type Delta = ReasoningDelta | TextDelta | CallDelta | Finish | UsageReport | StreamError
