"""What must hold of every format's answers, written from the neutral vocabulary and read
into it.
"""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from addon.formats.neutral.accumulate import Accumulator
from addon.formats.neutral.adapt import Raising, raised
from addon.formats.neutral.deltas import Delta, StreamError, UsageReport
from addon.formats.neutral.problem import Problem
from addon.formats.neutral.protocols import Head, deltas_of
from addon.formats.neutral.request import Request, WireFormat
from addon.formats.neutral.turn import (
    SUMMARY,
    Foreign,
    Part,
    Reasoning,
    Refusal,
    Text,
    ToolCall,
    Turn,
    Usage,
    turn_of,
)
from addon.formats.tolerant.parts import filled
from addon.formats.translate import CLIENTS, UPSTREAMS
from addon.formats.wire import sse
from addon.formats.wire.splice import scalar_text, value
from tests.properties.test_formats import SURROGATES, cuts, json_texts, utf8
from tests.properties.test_formats_neutral import FORMATS, NAMES, SAID
from tests.support.grammar import own_state, read_chat, read_responses

HEAD = Head("abc", 7, "m")
PROBLEM = Problem(status=502, message="cut", code="upstream_cut")
THOUGHTS = st.one_of(
    st.builds(Reasoning, SURROGATES, st.just(SUMMARY)),
    st.builds(
        Reasoning,
        SURROGATES,
        st.just(SUMMARY),
        st.just("state"),
        st.just("encrypted_content"),
        st.just("rs_1"),
    ),
)
SEARCH = {
    "type": "web_search_call",
    "id": "ws_1",
    "status": "completed",
    "action": {"type": "search", "query": "q"},
}
ANY_PARTS = st.lists(
    st.one_of(
        THOUGHTS,
        st.builds(Text, SAID),
        st.builds(Refusal, SAID),
        st.builds(ToolCall, st.just("x"), NAMES, SURROGATES, st.booleans()),
        st.just(Foreign("responses", SEARCH)),
    ),
    max_size=6,
)
USAGES = st.one_of(
    st.none(),
    st.builds(
        Usage,
        prompt_tokens=st.just(9),
        completion_tokens=st.just(5),
        cached_tokens=st.integers(0, 9),
    ),
)


@st.composite
def answers(draw: st.DrawFn) -> Turn:
    """A turn in which pieces of one kind stand apart, as formats with items have it."""
    parts = draw(ANY_PARTS)
    held = [part for at, part in enumerate(parts) if at == 0 or not _joins(parts[at - 1], part)]
    calls = any(isinstance(part, ToolCall) for part in held)
    return turn_of(
        held, draw(st.sampled_from(["length", "content_filter", "tool_calls" if calls else "stop"]))
    )


def _joins(before: Part, part: Part) -> bool:
    """Whether the parts would be one message."""
    return isinstance(before, Text | Refusal) and isinstance(part, Text | Refusal)


def minted(choice: int, index: int, _: str) -> str:
    return f"call_{choice}_{index}"


def asking(**more: Any) -> Request:
    body = {
        "model": "m",
        "input": "hi",
        "include": ["reasoning.encrypted_content"],
        "reasoning": {"summary": "auto"},
    }
    return CLIENTS["responses"].decode(scalar_text(body | {"stream": True} | more))


def written(wire_format: WireFormat, deltas: list[Delta], problem: Problem | None = None) -> bytes:
    """The stream a client gets, one delta after the other."""
    writer = CLIENTS[wire_format].writer(asking(), HEAD, minted, own_state)
    steps = [writer.write([delta]) for delta in deltas]
    return b"".join([*steps, writer.fail(problem) if problem else writer.end()])


def heard(wire_format: WireFormat, pieces: list[bytes]) -> tuple[dict[int, Turn], Usage | None]:
    reader, accumulator, events = UPSTREAMS[wire_format].reader(), Accumulator(), sse.Events()
    for raw in [raw for piece in pieces for raw in events.feed(piece)]:
        for delta in reader.read(raw):
            accumulator.add(delta)
    assert reader.done
    return {at: spelled(turn) for at, turn in accumulator.turns().items()}, accumulator.usage


def spelled(turn: Turn) -> Turn:
    """The turn, whose functions have an object of arguments at least."""
    return turn_of(list(map(filled, turn.ordered)), turn.finish_reason, turn.stop_sequence)


def steps(turn: Turn, usage: Usage | None) -> list[Delta]:
    return [*deltas_of(turn), *([UsageReport(usage)] if usage else [])]


def own_ids(turn: Turn) -> Turn:
    """The turn under the ids that clients get, in the words that streams have for its reasoning."""
    calls = iter(range(len(turn.calls)))
    parts = [
        ToolCall(f"call_0_{next(calls)}", part.name, part.arguments, part.custom)
        if isinstance(part, ToolCall)
        else part
        for part in turn.ordered
    ]
    kept = [_named(part, at) for at, part in enumerate(parts)]
    return spelled(turn_of(kept, turn.finish_reason))


def _named(part: Part, at: int) -> Part:
    """A reasoning item has the id that its place gives it."""
    if not isinstance(part, Reasoning) or not part.opaque:
        return part
    return Reasoning(part.text, part.field, part.opaque, part.carrier, f"rs_abc{at}")


@given(answers(), USAGES, st.data())
def test_a_turn_that_goes_out_as_responses_events_comes_back_whole_in_any_cut(
    turn: Turn, usage: Usage | None, data: st.DataObject
) -> None:
    stream = written("responses", steps(turn, usage))
    read_responses(stream)
    assert heard("responses", data.draw(cuts(stream))) == ({0: own_ids(turn)}, usage)


@given(answers(), USAGES)
def test_a_whole_response_is_its_streams_twin(turn: Turn, usage: Usage | None) -> None:
    streamed = read_responses(written("responses", steps(turn, usage)))
    whole = CLIENTS["responses"].whole({0: turn}, usage, asking(), HEAD, minted, own_state)
    assert value(whole) == streamed
    found = UPSTREAMS["responses"].whole(whole)
    assert found is not None
    assert (spelled(found.turns[0]), found.usage) == (own_ids(turn), usage)


@given(answers(), st.integers(0, 20))
def test_a_response_that_fails_anywhere_is_well_formed_and_read_as_a_failure(
    turn: Turn, at: int
) -> None:
    stream = written("responses", list(deltas_of(turn))[:at], PROBLEM)
    assert read_responses(stream)["status"] == "failed"
    reader = UPSTREAMS["responses"].reader()
    found = [delta for raw in sse.Events().feed(stream) for delta in reader.read(raw)]
    assert [delta.message for delta in found if isinstance(delta, StreamError)] == ["cut"]


@given(answers(), USAGES, st.data())
def test_a_turn_as_chat_chunks_keeps_its_words_and_calls_in_any_cut(
    turn: Turn, usage: Usage | None, data: st.DataObject
) -> None:
    stream = written("chat", steps(turn, usage))
    choices, told = read_chat(stream)
    assert (choices[0].text, choices[0].calls) == (
        turn.text,
        [
            {"id": f"call_0_{at}", "name": c.name, "arguments": c.arguments}
            for at, c in enumerate(turn.calls)
        ],
    )
    assert (told is None) == (usage is None)
    turns, _ = heard("chat", data.draw(cuts(stream)))
    reasoning = "\n\n".join(
        part.text for part in turn.ordered if isinstance(part, Reasoning) and part.text
    )
    assert (turns[0].text, turns[0].reasoning.text if turns[0].reasoning else "") == (
        turn.text,
        reasoning,
    )


@given(answers(), USAGES)
def test_how_deltas_are_grouped_changes_no_byte(turn: Turn, usage: Usage | None) -> None:
    for wire_format in FORMATS:
        writer = CLIENTS[wire_format].writer(asking(), HEAD, minted, own_state)
        assert writer.write(steps(turn, usage)) + writer.end() == written(
            wire_format, steps(turn, usage)
        )


@given(answers())
def test_what_a_lowered_upstream_calls_is_raised_alike_whole_and_streamed(turn: Turn) -> None:
    custom = frozenset(call.name for call in turn.calls if call.custom)
    low = [
        ToolCall(part.id, part.name, scalar_text({"input": part.arguments}).decode())
        if isinstance(part, ToolCall)
        else part
        for part in turn.ordered
    ]
    raising, accumulator = Raising(custom), Accumulator()
    for delta in raising.read(list(deltas_of(turn_of(low, "stop")))):
        accumulator.add(delta)
    assert accumulator.turns()[0] == raised(turn_of(low, "stop"), custom)
    assert [c.arguments for c in accumulator.turns()[0].calls if c.name in custom] == [
        c.arguments for c in turn.calls if c.name in custom
    ]


@given(st.lists(json_texts(4).map(utf8), max_size=4))
@pytest.mark.parametrize(
    "wrapped",
    [
        b"%b",
        b'{"type":"response.output_item.added","output_index":0,"item":%b}',
        b'{"type":"response.output_item.done","output_index":%b,"item":{"type":"message"}}',
        b'{"type":"response.completed","response":%b}',
        b'{"type":"response.output_text.delta","delta":%b}',
        b'{"type":"error","error":%b}',
    ],
)
def test_any_json_in_a_responses_event_is_taken(wrapped: bytes, texts: list[bytes]) -> None:
    reader, accumulator = UPSTREAMS["responses"].reader(), Accumulator()
    for text in texts:
        for delta in reader.read(sse.event((wrapped % text).replace(b"\r", b"\n"))):
            accumulator.add(delta)
    accumulator.turns()


@given(json_texts(4).map(utf8))
@pytest.mark.parametrize(
    "wrapped", [b"%b", b'{"output":%b}', b'{"output":[%b]}', b'{"status":"failed","error":%b}']
)
def test_any_json_as_a_whole_response_is_taken_or_refused(wrapped: bytes, text: bytes) -> None:
    UPSTREAMS["responses"].whole(wrapped % text)
