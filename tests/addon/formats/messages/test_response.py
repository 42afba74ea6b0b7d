"""Whole Messages answers are read into a turn."""

import json
from typing import Any

import pytest

from addon.formats.messages.response import Answer, decode
from addon.formats.neutral.deltas import StreamError
from addon.formats.neutral.turn import Foreign, Part, Reasoning, Text, ToolCall, Usage, turn_of

SEARCH = {"type": "server_tool_use", "id": "s", "name": "web_search", "input": {"query": "q"}}
FAILED = {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}


def answer(*content: Any, **more: Any) -> Answer:
    body = {
        "type": "message",
        "role": "assistant",
        "content": content,
        "stop_reason": "end_turn",
        **more,
    }
    found = decode(json.dumps(body).encode())
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("block", "part"),
    [
        pytest.param({"type": "text", "text": "a", "citations": []}, Text("a"), id="text"),
        pytest.param(
            {"type": "thinking", "thinking": "r", "signature": "s"},
            Reasoning("r", "thinking", "s", "signature"),
            id="thinking",
        ),
        pytest.param(
            {"type": "thinking", "thinking": "r"}, Reasoning("r", "thinking"), id="unsigned"
        ),
        pytest.param(
            {"type": "redacted_thinking", "data": "d"},
            Reasoning("", "thinking", "d", "redacted_thinking"),
            id="redacted",
        ),
        pytest.param(
            {"type": "tool_use", "id": "t", "name": "f", "input": {}},
            ToolCall("t", "f", "{}"),
            id="call",
        ),
        pytest.param(SEARCH, Foreign("messages", SEARCH), id="hosted"),
    ],
)
def test_a_block_is_read_as_what_it_says(block: dict[str, Any], part: Part) -> None:
    assert answer(block).turns == {0: turn_of([part], "stop")}


def test_usage_is_counted() -> None:
    assert answer(usage={"input_tokens": 3, "output_tokens": 2}).usage == Usage(
        prompt_tokens=3, completion_tokens=2
    )


def test_the_stop_sequence_is_kept() -> None:
    found = answer({"type": "text", "text": "a"}, stop_reason="stop_sequence", stop_sequence="END")
    assert found.turns == {0: turn_of([Text("a")], "stop", "END")}


@pytest.mark.parametrize(
    ("body", "error"),
    [
        (FAILED, StreamError("Overloaded", 529, "overloaded_error")),
        ({"error": {"message": "m", "code": 429}}, StreamError("m", 429, "429")),
        ({"base_resp": {"status_code": 1008, "status_msg": "m"}}, StreamError("m", 402, "1008")),
    ],
    ids=str,
)
def test_a_failed_message_is_an_error_and_no_turn(body: dict[str, Any], error: StreamError) -> None:
    found = decode(json.dumps(body).encode())
    assert found is not None
    assert (found.error, found.turns) == (error, {})


def test_a_status_that_reports_no_failure_is_none() -> None:
    assert answer({"type": "text", "text": "a"}, base_resp={"status_code": 0}).error is None


@pytest.mark.parametrize("body", [b"", b"[]", b"<html>", b'{"content":', b'"x"'])
def test_what_is_no_answer_is_none(body: bytes) -> None:
    assert decode(body) is None
