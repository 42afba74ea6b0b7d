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
from addon.formats.neutral.protocols import Head, OneField, deltas_of
from addon.formats.neutral.request import Request
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


def test_an_answer_is_stored_for_a_request_whose_items_are() -> None:
    stored: list[tuple[Request, str, bytes]] = []
    head = Head("i", 1, "m", keep=lambda *answer: stored.append(answer))
    request = Request(origin="responses", model="m", messages=[], own_items=[])
    keep = head.keep_for(request)
    assert keep is not None
    keep("resp_i", b"{}")
    assert stored == [(request, "resp_i", b"{}")]
    assert head.keep_for(Request(origin="responses", model="m", messages=[])) is None
    assert Head("i", 1, "m").keep_for(request) is None
