"""Each event of a Messages stream is read into deltas, whatever the upstream leaves out."""

import json
from typing import Any

import pytest

from addon.formats.messages.reader import MessagesReader
from addon.formats.neutral.accumulate import Accumulator
from addon.formats.neutral.deltas import (
    CallDelta,
    Delta,
    Finish,
    ForeignItem,
    OpaqueDelta,
    ReasoningDelta,
    StreamError,
    TextDelta,
    UsageReport,
)
from addon.formats.neutral.turn import Turn, Usage
from addon.formats.wire import sse

type Json = dict[str, Any]

NOT_JSON = StreamError("The upstream sent an event that is not JSON.", code="upstream_malformed")
OVERLOADED = {"type": "overloaded_error", "message": "Overloaded"}


def event(kind: str | None, **members: Any) -> bytes:
    return sse.event(json.dumps({"type": kind, **members}).encode(), kind or "")


def start(block: Json, at: int = 0) -> bytes:
    return event("content_block_start", index=at, content_block=block)


def more(kind: str, at: int = 0, **members: Any) -> bytes:
    return event("content_block_delta", index=at, delta={"type": f"{kind}_delta", **members})


def stop(at: int = 0) -> bytes:
    return event("content_block_stop", index=at)


def read(*events: bytes) -> list[Delta]:
    reader = MessagesReader()
    return [delta for raw in events for delta in reader.read(raw)]


def turn_of_events(*events: bytes) -> Turn:
    accumulator = Accumulator()
    for delta in read(*events):
        accumulator.add(delta)
    return accumulator.turns()[0]


SEARCH: Json = {"type": "server_tool_use", "id": "s", "name": "web_search", "input": {}}
END = event("message_stop")
STREAMED = [
    event(
        "message_start",
        message={"usage": {"input_tokens": 3, "cache_read_input_tokens": 4, "output_tokens": 1}},
    ),
    event("ping"),
    start({"type": "thinking", "thinking": "", "signature": ""}),
    more("thinking", thinking="r"),
    more("signature", signature="si"),
    more("signature", signature="gn"),
    stop(),
    start({"type": "redacted_thinking", "data": "d"}, 1),
    stop(1),
    start({"type": "text", "text": ""}, 2),
    more("text", 2, text="a"),
    more("text", 2, text="b"),
    more("citations", 2, citation={}),
    stop(2),
    start({"type": "tool_use", "id": "t", "name": "f", "input": {}}, 3),
    more("input_json", 3, partial_json=""),
    more("input_json", 3, partial_json='{"x": 1}'),
    stop(3),
    start(SEARCH, 4),
    more("input_json", 4, partial_json='{"query":"q"}'),
    stop(4),
    event(
        "message_delta",
        delta={"stop_reason": "tool_use", "stop_sequence": None},
        usage={"output_tokens": 9},
    ),
    END,
]


def test_a_stream_as_documented_is_read_step_by_step() -> None:
    assert read(*STREAMED) == [
        UsageReport(Usage(prompt_tokens=7, completion_tokens=1, cached_tokens=4)),
        ReasoningDelta("", "thinking"),
        ReasoningDelta("r", "thinking"),
        OpaqueDelta("sign", "signature"),
        ReasoningDelta("", "thinking", part=1),
        OpaqueDelta("d", "redacted_thinking", part=1),
        TextDelta("a"),
        TextDelta("b"),
        CallDelta(0, "t", "f"),
        CallDelta(0, arguments='{"x": 1}'),
        ForeignItem("messages", SEARCH | {"input": {"query": "q"}}),
        Finish("tool_calls"),
        UsageReport(Usage(prompt_tokens=7, completion_tokens=9, cached_tokens=4)),
    ]


@pytest.mark.parametrize("delta", ["", [1], 7])
def test_an_unknown_event_says_nothing_whatever_it_holds(delta: Any) -> None:
    assert read(event("of_the_future", delta=delta)) == []
    assert read(event("content_block_delta", delta=delta)) == [NOT_JSON]


@pytest.mark.parametrize("kind", ["content_block_stop", "message_delta", "ping", "message_start"])
def test_a_server_that_leaves_events_out_says_the_same(kind: str) -> None:
    found = turn_of_events(*(raw for raw in STREAMED if f"event: {kind}\n".encode() not in raw))
    assert (found.ordered, found.finish_reason) == (turn_of_events(*STREAMED).ordered, "tool_calls")


def test_a_server_that_does_not_say_that_blocks_begin_is_understood() -> None:
    found = turn_of_events(more("thinking", thinking="r"), more("text", 1, text="a"), END)
    assert (found.text, found.reasoning and found.reasoning.text, found.finish_reason) == (
        "a",
        "r",
        "stop",
    )


def test_blocks_that_share_a_number_are_two() -> None:
    call = {"type": "tool_use", "id": "t", "name": "f", "input": {}}
    found = turn_of_events(start(call | {"input": {"x": 1}}), start(call | {"id": "u"}), END)
    assert [(one.id, one.arguments) for one in found.calls] == [("t", '{"x":1}'), ("u", "{}")]


@pytest.mark.parametrize(
    ("block", "deltas"),
    [
        pytest.param(
            {"type": "tool_use", "id": "t", "name": "f", "input": {"x": 1}},
            [CallDelta(0, "t", "f"), CallDelta(0, arguments='{"x":1}')],
            id="call",
        ),
        pytest.param(
            {"type": "tool_use", "id": "t", "name": "f"},
            [CallDelta(0, "t", "f"), CallDelta(0, arguments="{}")],
            id="call of nothing",
        ),
        pytest.param({"type": "text", "text": "a"}, [TextDelta("a")], id="text"),
        pytest.param(
            {"type": "thinking", "thinking": "r", "signature": "s"},
            [ReasoningDelta("r", "thinking"), OpaqueDelta("s", "signature")],
            id="thinking",
        ),
        pytest.param({"type": "new"}, [ForeignItem("messages", {"type": "new"})], id="new kind"),
    ],
)
def test_a_block_that_comes_whole_is_read_whole(block: Json, deltas: list[Delta]) -> None:
    assert read(start(block), stop()) == deltas


@pytest.mark.parametrize(
    ("delta", "finish"),
    [
        ({"stop_reason": "end_turn"}, Finish("stop")),
        ({"stop_reason": "max_tokens"}, Finish("length")),
        (
            {"stop_reason": "stop_sequence", "stop_sequence": "END"},
            Finish("stop", stop_sequence="END"),
        ),
        ({"stop_reason": "pause_turn"}, Finish("pause_turn")),
    ],
    ids=str,
)
def test_the_end_says_why_and_once(delta: Json, finish: Finish) -> None:
    reader = MessagesReader()
    assert reader.read(event("message_delta", delta=delta)) == [finish]
    assert reader.read(event("message_delta", delta=delta)) == []
    assert not reader.done
    assert (reader.read(END), reader.done) == ([], True)


def test_counts_at_the_end_replace_those_of_the_beginning() -> None:
    late = event("message_delta", delta={}, usage={"input_tokens": 5, "output_tokens": 2})
    begun = event("message_start", message={"usage": {"input_tokens": 0, "output_tokens": 0}})
    assert read(begun, late) == [UsageReport(Usage(prompt_tokens=5, completion_tokens=2))]


@pytest.mark.parametrize(
    ("raw", "error"),
    [
        pytest.param(
            event("error", error=OVERLOADED),
            StreamError("Overloaded", 529, "overloaded_error"),
            id="error",
        ),
        pytest.param(
            event(None, error={"message": "m", "code": 429}),
            StreamError("m", 429, "429"),
            id="typeless",
        ),
        pytest.param(event("error"), StreamError("The upstream reported an error."), id="wordless"),
        pytest.param(
            event(None, base_resp={"status_code": 1002, "status_msg": "m"}),
            StreamError("m", 429, "1002"),
            id="MiniMax",
        ),
        pytest.param(b"data: {cut\n\n", NOT_JSON, id="cut"),
        pytest.param(b"data: 7\n\n", NOT_JSON, id="a number"),
    ],
)
def test_a_failure_is_an_error(raw: bytes, error: StreamError) -> None:
    assert read(raw) == [error]


@pytest.mark.parametrize(
    "raw",
    [
        b": keep-alive\n\n",
        b"data:\n\n",
        b"data: [DONE]\n\n",
        event("ping"),
        event("new_event"),
        event(None, base_resp={"status_code": 0}),
        event("content_block_delta", index=0),
        more("new", text="a"),
        stop(7),
    ],
    ids=repr,
)
def test_what_says_nothing_is_passed_over(raw: bytes) -> None:
    assert read(raw) == []


def test_a_cut_stream_leaves_its_thinking_unsigned_and_itself_unfinished() -> None:
    found = turn_of_events(*STREAMED[:6])
    assert (found.reasoning and found.reasoning.opaque, found.finish_reason) == ("", "")


def test_a_lone_surrogate_is_read() -> None:
    raw = b'data: {"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"\\ud83d"}}\n\n'
    assert read(raw) == [TextDelta("\ud83d")]
