"""What writers share: one name for reasoning, and the steps of a whole turn."""

from addon.formats.neutral.accumulate import Accumulator
from addon.formats.neutral.deltas import (
    CallDelta,
    Finish,
    OpaqueDelta,
    ReasoningDelta,
    RefusalDelta,
    TextDelta,
)
from addon.formats.neutral.protocols import OneField, deltas_of, own_state
from addon.formats.neutral.turn import Reasoning, Refusal, Text, ToolCall, Turn, turn_of

PARTS = [
    Reasoning("r", "thinking", "s", "signature", "id"),
    Text("a"),
    ToolCall("x", "f", "{}"),
    Reasoning("q", "thinking"),
    Text("b"),
    Refusal("no"),
    ToolCall("y", "g", "raw", custom=True),
]


def test_of_two_names_for_reasoning_the_first_that_says_anything_is_heard() -> None:
    one = OneField()
    said = [
        ("", "reasoning_content"),
        ("a", "reasoning"),
        ("a", "reasoning_content"),
        ("", "reasoning"),
        ("b", "reasoning"),
    ]
    assert [one.takes(ReasoningDelta(text, field)) for text, field in said] == [
        True,
        True,
        False,
        True,
        True,
    ]


def test_a_turn_is_said_in_steps_numbered_by_kind() -> None:
    assert list(deltas_of(turn_of(PARTS, "tool_calls"), 1)) == [
        ReasoningDelta("r", "thinking", 1, 0),
        OpaqueDelta("s", "signature", 1, 0, "id"),
        TextDelta("a", 1, 0),
        CallDelta(0, "x", "f", "{}", 1),
        ReasoningDelta("q", "thinking", 1, 1),
        TextDelta("b", 1, 1),
        RefusalDelta("no", 1, 1),
        CallDelta(1, "y", "g", "raw", 1, True),
        Finish("tool_calls", 1),
    ]


def test_the_steps_of_a_turn_are_the_turn() -> None:
    for turn in (
        turn_of(PARTS, "stop"),
        Turn(),
        Turn(text="a", stop_sequence="END", finish_reason="stop"),
    ):
        accumulator = Accumulator()
        for delta in deltas_of(turn):
            accumulator.add(delta)
        assert accumulator.turns().get(0, Turn()) == turn


def test_what_is_not_sealed_is_the_upstreams_own_state() -> None:
    assert own_state(Reasoning("r", "thinking", "s", "signature")) == "s"
