"""What must hold of the Messages format's answers, for any turn and any stream."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from addon.formats.neutral.deltas import (
    CallDelta,
    Delta,
    Finish,
    ReasoningDelta,
    StreamError,
    TextDelta,
)
from addon.formats.neutral.protocols import deltas_of
from addon.formats.neutral.request import Request
from addon.formats.neutral.turn import (
    SUMMARY,
    Foreign,
    Part,
    Reasoning,
    Text,
    ToolCall,
    Turn,
    Usage,
    turn_of,
)
from addon.formats.translate import CLIENTS, UPSTREAMS
from addon.formats.wire import sse
from addon.formats.wire.splice import scalar_text, value
from tests.properties.test_formats import SURROGATES, TEXTS, cuts, json_texts, utf8
from tests.properties.test_formats_answers import HEAD, PROBLEM, USAGES, heard, minted, steps
from tests.properties.test_formats_neutral import NAMES, SAID
from tests.support.grammar import own_state, read_messages

OBJECTS = st.dictionaries(st.sampled_from(["path", "n"]), st.one_of(TEXTS, st.integers(0, 9))).map(
    lambda found: scalar_text(found).decode()
)
SEARCH = {
    "type": "server_tool_use",
    "id": "srvtoolu_1",
    "name": "web_search",
    "input": {"query": "q"},
}
PARTS = st.lists(
    st.one_of(
        st.builds(Reasoning, SURROGATES, st.just("thinking")),
        st.builds(
            Reasoning, SURROGATES, st.just("thinking"), st.just("state"), st.just("signature")
        ),
        st.just(Reasoning("", "thinking", "state", "redacted_thinking")),
        st.builds(Text, SAID),
        st.builds(ToolCall, st.just("x"), NAMES, OBJECTS),
        st.just(Foreign("messages", SEARCH)),
    ),
    max_size=6,
)


@st.composite
def answers(draw: st.DrawFn) -> Turn:
    """A turn in which pieces of one kind stand apart, as formats with blocks have it."""
    parts = draw(PARTS)
    held = [
        part
        for at, part in enumerate(parts)
        if not (at and isinstance(part, Text) and _is_text(parts[at - 1]))
    ]
    calls = any(isinstance(part, ToolCall) for part in held)
    if not calls and draw(st.booleans()):
        return turn_of(held, "stop", draw(st.sampled_from(["", "END"])))
    return turn_of(
        held,
        draw(
            st.sampled_from(["length", "content_filter", "tool_calls" if calls else "pause_turn"])
        ),
    )


def _is_text(part: Part) -> bool:
    return isinstance(part, Text)


def asking(**thinking: Any) -> Request:
    body = {"model": "m", "max_tokens": 9, "messages": [], "stream": True}
    return CLIENTS["messages"].decode(
        scalar_text(body | {"thinking": {"type": "adaptive"} | thinking})
    )


def written(deltas: list[Delta], request: Request | None = None, *, failing: bool = False) -> bytes:
    """The stream a client gets, one delta after the other."""
    writer = CLIENTS["messages"].writer(request or asking(), HEAD, minted, own_state)
    told = [writer.write([delta]) for delta in deltas]
    return b"".join([*told, writer.fail(PROBLEM) if failing else writer.end()])


def own_ids(turn: Turn) -> Turn:
    """The turn under the ids that clients get."""
    calls = iter(range(len(turn.calls)))
    parts = [
        ToolCall(f"call_0_{next(calls)}", part.name, part.arguments)
        if isinstance(part, ToolCall)
        else part
        for part in turn.ordered
    ]
    return turn_of(parts, turn.finish_reason, turn.stop_sequence)


@given(answers(), USAGES, st.data())
def test_a_turn_that_goes_out_as_messages_events_comes_back_whole_in_any_cut(
    turn: Turn, usage: Usage | None, data: st.DataObject
) -> None:
    stream = written(steps(turn, usage))
    read_messages(stream)
    turns, counted = heard("messages", data.draw(cuts(stream)))
    assert (turns[0], counted) == (own_ids(turn), usage or Usage())


@given(answers(), USAGES)
def test_a_whole_message_is_its_streams_twin(turn: Turn, usage: Usage | None) -> None:
    whole = CLIENTS["messages"].whole({0: turn}, usage, asking(), HEAD, minted, own_state)
    streamed = read_messages(written(steps(turn, usage)))
    assert value(whole) == streamed
    found = UPSTREAMS["messages"].whole(whole)
    assert found is not None
    assert (found.turns, found.usage) == ({0: own_ids(turn)}, usage or Usage())


@given(answers(), st.integers(0, 20))
def test_a_message_that_fails_anywhere_is_well_formed_and_read_as_a_failure(
    turn: Turn, at: int
) -> None:
    stream = written(list(deltas_of(turn))[:at], failing=True)
    assert read_messages(stream)["error"] == {"type": "api_error", "message": "cut"}
    reader = UPSTREAMS["messages"].reader()
    found = [delta for raw in sse.Events().feed(stream) for delta in reader.read(raw)]
    assert [delta.message for delta in found if isinstance(delta, StreamError)] == ["cut"]


@given(answers(), USAGES)
def test_how_deltas_are_grouped_changes_no_byte(turn: Turn, usage: Usage | None) -> None:
    writer = CLIENTS["messages"].writer(asking(), HEAD, minted, own_state)
    assert writer.write(steps(turn, usage)) + writer.end() == written(steps(turn, usage))


@st.composite
def interleaved(draw: st.DrawFn) -> tuple[list[Delta], list[Any]]:
    """Calls whose pieces come in any order among each other and among words, and what their
    arguments are.
    """
    whole = [
        scalar_text({"n": at, "text": draw(TEXTS)}).decode()
        for at in range(draw(st.integers(1, 3)))
    ]
    pieces = [
        [arguments[:cut], arguments[cut:]]
        for arguments in whole
        for cut in [draw(st.integers(0, 12))]
    ]
    begun: set[int] = set()
    deltas: list[Delta] = []
    for at in draw(st.permutations([at for at in range(len(whole)) for _ in range(3)])):
        if at in begun:
            deltas += [CallDelta(at, arguments=pieces[at].pop(0))] if pieces[at] else []
        else:
            begun.add(at)
            deltas.append(CallDelta(at, f"id{at}", "f"))
        deltas += draw(
            st.sampled_from([[], [TextDelta("a")], [ReasoningDelta("r", "reasoning_content")]])
        )
    order = list(dict.fromkeys(delta.index for delta in deltas if isinstance(delta, CallDelta)))
    return [*deltas, Finish("stop")], [json.loads(whole[at]) for at in order]


@given(interleaved())
def test_calls_that_come_interleaved_are_told_one_after_the_other(
    said: tuple[list[Delta], list[Any]],
) -> None:
    deltas, arguments = said
    message = read_messages(written(deltas))
    assert [
        block["input"] for block in message["content"] if block["type"] == "tool_use"
    ] == arguments
    words = "".join(block["text"] for block in message["content"] if block["type"] == "text")
    assert words == "".join(delta.text for delta in deltas if isinstance(delta, TextDelta))


@given(answers())
def test_thinking_that_was_not_asked_for_is_not_told_and_omitted_text_neither(turn: Turn) -> None:
    hidden = read_messages(written(list(deltas_of(turn)), asking(type="disabled")))
    assert not [block for block in hidden["content"] if "thinking" in block["type"]]
    omitted = read_messages(written(list(deltas_of(turn)), asking(display="omitted")))
    assert not any(block.get("thinking") for block in omitted["content"])
    thoughts = [part for part in turn.ordered if isinstance(part, Reasoning)]
    assert len([block for block in omitted["content"] if "thinking" in block["type"]]) == len(
        thoughts
    )


@given(
    st.lists(
        st.one_of(st.builds(Text, SAID), st.builds(Reasoning, SURROGATES, st.just(SUMMARY))),
        max_size=4,
    )
)
def test_reasoning_of_any_upstream_is_carried_as_a_signature(parts: list[Part]) -> None:
    turn = turn_of(parts, "stop")
    message = value(
        CLIENTS["messages"].whole(
            {0: turn}, None, asking(), HEAD, minted, lambda one: f"sealed {one.field}"
        )
    )
    signatures = [block["signature"] for block in message["content"] if block["type"] == "thinking"]
    assert signatures == [f"sealed {SUMMARY}" for part in parts if isinstance(part, Reasoning)]


@given(st.lists(json_texts(4).map(utf8), max_size=4))
@pytest.mark.parametrize(
    "wrapped",
    [
        b"%b",
        b'{"type":"content_block_start","index":0,"content_block":%b}',
        b'{"type":"content_block_start","index":0,"content_block":{"type":"tool_use","input":%b}}',
        b'{"type":"content_block_delta","index":0,"delta":%b}',
        b'{"type":"content_block_delta","index":%b,"delta":{"type":"text_delta","text":"a"}}',
        b'{"type":"message_delta","delta":{"stop_reason":%b},"usage":%b}',
        b'{"type":"error","error":%b}',
    ],
)
def test_any_json_in_a_messages_event_is_taken(wrapped: bytes, texts: list[bytes]) -> None:
    reader = UPSTREAMS["messages"].reader()
    writer = CLIENTS["messages"].writer(asking(), HEAD, minted, own_state)
    for text in texts:
        said = wrapped.replace(b"%b", text).replace(b"\r", b"\n")
        writer.write(reader.read(sse.event(said)))
    writer.end()


@given(json_texts(4).map(utf8))
@pytest.mark.parametrize(
    "wrapped", [b"%b", b'{"content":%b}', b'{"content":[%b]}', b'{"type":"error","error":%b}']
)
def test_any_json_as_a_whole_message_is_taken_or_refused(wrapped: bytes, text: bytes) -> None:
    UPSTREAMS["messages"].whole(wrapped % text)
