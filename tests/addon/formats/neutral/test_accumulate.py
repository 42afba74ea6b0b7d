"""Deltas in any order become the turn that was said."""

from addon.formats.neutral.accumulate import Accumulator
from addon.formats.neutral.deltas import (
    CallDelta,
    Delta,
    Finish,
    ForeignItem,
    OpaqueDelta,
    ReasoningDelta,
    RefusalDelta,
    StreamError,
    TextDelta,
    UsageReport,
)
from addon.formats.neutral.turn import Foreign, Reasoning, Refusal, Text, ToolCall, Turn, Usage


def accumulated(*deltas: Delta) -> Accumulator:
    accumulator = Accumulator()
    for delta in deltas:
        accumulator.add(delta)
    return accumulator


def turn(*deltas: Delta) -> Turn:
    return accumulated(*deltas).turns()[0]


def test_a_turn_is_its_pieces_joined() -> None:
    said = turn(
        ReasoningDelta("", "reasoning_content"),
        ReasoningDelta("think", "reasoning_content"),
        TextDelta("a"),
        ReasoningDelta("ing", "reasoning_content"),
        CallDelta(0, id="x", name="f"),
        TextDelta("b"),
        CallDelta(0, arguments='{"a":'),
        CallDelta(0, arguments="1}"),
        Finish("tool_calls"),
    )
    call = ToolCall("x", "f", '{"a":1}')
    assert said == Turn(
        text="ab",
        calls=(call,),
        reasoning=Reasoning("thinking", "reasoning_content"),
        finish_reason="tool_calls",
    )


def test_calls_that_alternate_are_told_apart_and_stand_in_their_order() -> None:
    said = turn(
        CallDelta(1, id="y", name="g", arguments="2"),
        CallDelta(0, id="x", name="f", arguments="1"),
        CallDelta(1, arguments="2"),
        CallDelta(0, arguments="1"),
    )
    assert said.calls == (ToolCall("x", "f", "11"), ToolCall("y", "g", "22"))


def test_id_and_name_are_those_given_first_even_when_late() -> None:
    said = turn(
        CallDelta(0, arguments="1"),
        CallDelta(0, name="f"),
        CallDelta(0, id="x"),
        CallDelta(0, id="y"),
    )
    assert said.calls == (ToolCall("x", "f", "1"),)


def test_reasoning_under_two_names_is_taken_once_under_the_first_that_says_something() -> None:
    assert turn(
        ReasoningDelta("", "reasoning_content"),
        ReasoningDelta("a", "reasoning"),
        ReasoningDelta("a", "reasoning_text"),
        ReasoningDelta("b", "reasoning"),
    ).reasoning == Reasoning("ab", "reasoning")


def test_empty_reasoning_is_not_no_reasoning() -> None:
    assert turn(ReasoningDelta("", "reasoning"), TextDelta("a")).reasoning == Reasoning(
        "", "reasoning"
    )
    assert turn(TextDelta("a")).reasoning is None


def test_choices_are_kept_apart_and_all_must_finish() -> None:
    accumulator = accumulated(TextDelta("a"), TextDelta("b", choice=1), Finish("stop"))
    assert not accumulator.finished
    accumulator.add(Finish("length", choice=1))
    assert accumulator.finished
    assert accumulator.turns() == {
        0: Turn(text="a", finish_reason="stop"),
        1: Turn(text="b", finish_reason="length"),
    }


def test_nothing_said_is_no_turn() -> None:
    accumulator = accumulated(StreamError("down"), UsageReport(Usage(prompt_tokens=1)))
    assert accumulator.turns() == {}
    assert not accumulator.finished


def test_the_last_usage_counts() -> None:
    first, last = Usage(prompt_tokens=1), Usage(prompt_tokens=1, completion_tokens=2)
    assert accumulated(UsageReport(first), UsageReport(last)).usage == last


def test_pieces_that_stand_apart_keep_their_places() -> None:
    said = turn(
        ReasoningDelta("r", "thinking"),
        OpaqueDelta("s", "signature", id="i"),
        TextDelta("a"),
        CallDelta(0, "x", "f", "raw", custom=True),
        ReasoningDelta("q", "thinking", part=1),
        TextDelta("b", part=1),
        RefusalDelta("no", part=1),
        ForeignItem("responses", {"type": "x"}),
        TextDelta("c", part=1),
    )
    assert said.parts == (
        Reasoning("r", "thinking", "s", "signature", "i"),
        Text("a"),
        ToolCall("x", "f", "raw", custom=True),
        Reasoning("q", "thinking"),
        Text("bc"),
        Refusal("no"),
        Foreign("responses", {"type": "x"}),
    )


def test_the_stop_sequence_that_ended_a_turn_is_kept() -> None:
    found = turn(TextDelta("a"), Finish("stop", stop_sequence="END"))
    assert (found.finish_reason, found.stop_sequence) == ("stop", "END")
