"""Each event of a Responses stream is read into deltas, whatever the upstream leaves out."""

import json
from typing import Any

import pytest

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
from addon.formats.neutral.turn import Refusal, Text, Turn, Usage
from addon.formats.responses.reader import ResponsesReader
from addon.formats.wire import sse

type Json = dict[str, Any]

NOT_JSON = StreamError("The upstream sent an event that is not JSON.", code="upstream_malformed")
MESSAGE: Json = {
    "type": "message",
    "id": "msg",
    "role": "assistant",
    "content": [{"type": "output_text", "text": "ab"}],
}
CALL: Json = {"type": "function_call", "id": "fc", "call_id": "c", "name": "f", "arguments": "{}"}
CUSTOM: Json = {
    "type": "custom_tool_call",
    "id": "ctc",
    "call_id": "d",
    "name": "g",
    "input": "raw",
}
THOUGHT: Json = {
    "type": "reasoning",
    "id": "rs",
    "summary": [{"text": "s"}],
    "encrypted_content": "e",
}
SEARCH: Json = {"type": "web_search_call", "id": "ws", "status": "completed"}


def event(kind: str | None, **members: Any) -> bytes:
    return sse.event(json.dumps({"type": kind, **members}).encode(), kind or "")


def added(item: Json, at: int = 0) -> bytes:
    empty = {"content": [], "summary": [], "arguments": "", "input": "", "encrypted_content": "e"}
    begun = item | {key: value for key, value in empty.items() if key in item}
    return event("response.output_item.added", output_index=at, item=begun)


def done(item: Json, at: int = 0) -> bytes:
    return event("response.output_item.done", output_index=at, item=item)


def more(kind: str, text: str, at: int = 0, **members: Any) -> bytes:
    return event(f"response.{kind}.delta", output_index=at, delta=text, **members)


def ended(kind: str = "completed", **response: Any) -> bytes:
    return event(f"response.{kind}", response={"status": kind, **response})


def read(*events: bytes) -> list[Delta]:
    reader = ResponsesReader()
    return [delta for raw in events for delta in reader.read(raw)]


def turn_of_events(*events: bytes) -> Turn:
    accumulator = Accumulator()
    for delta in read(*events):
        accumulator.add(delta)
    return accumulator.turns()[0]


STREAMED = [
    added(THOUGHT),
    more("reasoning_summary_text", "s"),
    done(THOUGHT),
    added(MESSAGE, 1),
    event(
        "response.content_part.added", output_index=1, content_index=0, part={"type": "output_text"}
    ),
    more("output_text", "a", 1),
    more("output_text", "b", 1),
    done(MESSAGE, 1),
    added(CALL, 2),
    more("function_call_arguments", "{}", 2),
    added(CUSTOM, 3),
    more("custom_tool_call_input", "raw", 3),
    done(CALL, 2),
    done(CUSTOM, 3),
    done(SEARCH, 4),
    ended(
        usage={"input_tokens": 1, "output_tokens": 2},
        output=[THOUGHT, MESSAGE, CALL, CUSTOM, SEARCH],
    ),
]


def test_a_stream_as_documented_is_read_step_by_step() -> None:
    assert read(*STREAMED) == [
        ReasoningDelta("", "summary"),
        ReasoningDelta("s", "summary"),
        OpaqueDelta("e", "encrypted_content", id="rs"),
        TextDelta("a"),
        TextDelta("b"),
        CallDelta(0, "c", "f"),
        CallDelta(0, arguments="{}"),
        CallDelta(1, "d", "g", custom=True),
        CallDelta(1, arguments="raw", custom=True),
        ForeignItem("responses", SEARCH),
        Finish("tool_calls"),
        UsageReport(Usage(prompt_tokens=1, completion_tokens=2)),
    ]


@pytest.mark.parametrize(
    "events",
    [
        pytest.param([raw for raw in STREAMED if b".added" not in raw], id="nothing added"),
        pytest.param([raw for raw in STREAMED if b".delta" not in raw], id="no deltas"),
        pytest.param(
            [raw for raw in STREAMED if b"item.done" in raw or b"completed" in raw], id="items only"
        ),
        pytest.param(STREAMED[-1:], id="the end only"),
        pytest.param([*STREAMED[:-1], STREAMED[-2], STREAMED[-1]], id="done twice"),
    ],
)
def test_a_server_that_leaves_events_out_says_the_same(events: list[bytes]) -> None:
    found, expected = turn_of_events(*events), turn_of_events(*STREAMED)
    assert (found.ordered, found.finish_reason) == (expected.ordered, expected.finish_reason)


def test_texts_in_different_places_stay_apart_and_summaries_are_paragraphs() -> None:
    deltas = read(
        more("reasoning_summary_text", "a", summary_index=0),
        event("response.reasoning_summary_part.added", output_index=0, summary_index=0),
        event("response.reasoning_summary_part.added", output_index=0, summary_index=1),
        more("reasoning_summary_text", "b", summary_index=1),
        more("reasoning_text", "c", 1),
        more("output_text", "d", 2),
        more("refusal", "e", 3),
    )
    assert deltas == [
        ReasoningDelta("a", "summary"),
        ReasoningDelta("\n\n", "summary"),
        ReasoningDelta("b", "summary"),
        ReasoningDelta("c", "reasoning_text", part=1),
        TextDelta("d"),
        RefusalDelta("e", part=1),
    ]


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        (ended(), "stop"),
        (ended("incomplete", incomplete_details={"reason": "max_output_tokens"}), "length"),
        (ended("incomplete", incomplete_details={"reason": "content_filter"}), "content_filter"),
    ],
    ids=["completed", "tokens", "filter"],
)
def test_the_end_says_why(raw: bytes, reason: str) -> None:
    reader = ResponsesReader()
    assert (reader.read(raw), reader.done) == ([Finish(reason)], True)


@pytest.mark.parametrize(
    ("raw", "error"),
    [
        pytest.param(
            ended("failed", error={"code": "rate_limit_exceeded", "message": "m"}),
            StreamError("m", 429, "rate_limit_exceeded"),
            id="failed",
        ),
        pytest.param(
            event("error", code="server_error", message="m"),
            StreamError("m", 502, "server_error"),
            id="error event",
        ),
        pytest.param(
            event("error", error={"code": "invalid_encrypted_content", "message": "m"}),
            StreamError("m", 400, "invalid_encrypted_content"),
            id="nested error",
        ),
        pytest.param(event(None, error={"message": "m"}), StreamError("m"), id="typeless"),
        pytest.param(
            event("response.cancelled"),
            StreamError("The upstream reported an error."),
            id="cancelled",
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
        event("response.in_progress"),
        event("keepalive"),
        event(None),
    ],
    ids=repr,
)
def test_what_says_nothing_is_passed_over(raw: bytes) -> None:
    assert read(raw) == []


def test_a_lone_surrogate_is_read() -> None:
    raw = b'data: {"type":"response.output_text.delta","output_index":0,"delta":"\\ud83d"}\n\n'
    assert read(raw) == [TextDelta("\ud83d")]


def test_a_message_that_was_streamed_is_not_said_again_when_it_is_done() -> None:
    item = MESSAGE | {
        "content": [{"type": "output_text", "text": "a"}, {"type": "refusal", "refusal": "no"}]
    }
    found = turn_of_events(
        added(item), more("output_text", "a"), more("refusal", "no"), done(item), ended()
    )
    assert found.parts == (Text("a"), Refusal("no"))


@pytest.mark.parametrize(
    ("status", "arguments"), [("completed", "{}"), ("incomplete", "")], ids=["whole", "cut"]
)
def test_a_whole_call_has_arguments(status: str, arguments: str) -> None:
    call = CALL | {"arguments": "", "status": status}
    reader = ResponsesReader()
    reader.read(added(call))
    assert reader.read(done(call)) == [CallDelta(0, arguments=arguments)]
