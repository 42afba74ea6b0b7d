"""The neutral vocabulary of a streamed turn: each delta is one step of one choice.

`part` tells apart pieces of one kind that stand in different places of a turn, like the
thinking before each of several calls. Upstreams that have one place for each kind leave it 0.
"""

from typing import Any

import msgspec

from addon.formats.neutral.turn import Usage

__all__ = (
    "CUT",
    "UNREADABLE",
    "CallDelta",
    "Delta",
    "Finish",
    "ForeignItem",
    "OpaqueDelta",
    "ReasoningDelta",
    "RefusalDelta",
    "StreamError",
    "TextDelta",
    "UsageReport",
    "Words",
    "words_of",
)


class ReasoningDelta(msgspec.Struct, frozen=True):
    """More reasoning; an empty text announces a reasoning field that is empty so far."""

    text: str
    field: str
    choice: int = 0
    part: int = 0


class OpaqueDelta(msgspec.Struct, frozen=True):
    """The whole opaque state of a reasoning part; fields as in `Reasoning`."""

    opaque: str
    carrier: str
    choice: int = 0
    part: int = 0
    id: str = ""


class TextDelta(msgspec.Struct, frozen=True):
    """More visible text."""

    text: str
    choice: int = 0
    part: int = 0


class RefusalDelta(msgspec.Struct, frozen=True):
    """More of a refusal's text."""

    text: str
    choice: int = 0
    part: int = 0


class CallDelta(msgspec.Struct, frozen=True):
    """More of the tool call at `index`; `id` and `name` are empty in steps without them."""

    index: int
    id: str = ""
    name: str = ""
    arguments: str = ""
    choice: int = 0
    custom: bool = False
    """As for `ToolCall`; every step of a call says the same."""


class ForeignItem(msgspec.Struct, frozen=True):
    """A whole item that only its own format knows, as for `Foreign`."""

    wire_format: str
    item: dict[str, Any]
    choice: int = 0


class Finish(msgspec.Struct, frozen=True):
    """The turn is whole; reasons in the words of Chat Completions: `stop length tool_calls
    content_filter`.

    Messages has `pause_turn` besides: the upstream continues the turn when it is sent back.
    """

    reason: str
    choice: int = 0
    stop_sequence: str = ""
    """As for `Turn`."""


class UsageReport(msgspec.Struct, frozen=True):
    """The upstream's count; the last one of a stream is right."""

    usage: Usage


class StreamError(msgspec.Struct, frozen=True):
    """The upstream reports that it failed."""

    message: str
    status: int = 502
    code: str = ""


UNREADABLE = StreamError("The upstream sent an event that is not JSON.", code="upstream_malformed")
"""The error that an unreadable event stands for."""

CUT = StreamError("The upstream ended its answer in the middle.", code="upstream_cut")
"""The error of an answer that ends before its turn does."""

type Words = TextDelta | ReasoningDelta | RefusalDelta | CallDelta
"""Deltas that may add to a text, and do no more."""

type Delta = (
    ReasoningDelta
    | OpaqueDelta
    | TextDelta
    | RefusalDelta
    | CallDelta
    | ForeignItem
    | Finish
    | UsageReport
    | StreamError
)


def words_of(delta: Words) -> str:
    """What the delta adds to a text that is under way; empty if it does more, or nothing."""
    if not isinstance(delta, CallDelta):
        return delta.text
    if delta.id or delta.name:
        return ""
    return delta.arguments
