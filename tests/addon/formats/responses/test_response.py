"""Whole Responses answers are read into a turn."""

import json
from typing import Any

import pytest

from addon.formats.neutral.deltas import StreamError
from addon.formats.neutral.turn import (
    SUMMARY,
    Foreign,
    Part,
    Reasoning,
    Refusal,
    Text,
    ToolCall,
    Usage,
    turn_of,
)
from addon.formats.responses.response import Answer, decode, finish_of

SAID = {
    "type": "message",
    "id": "msg",
    "role": "assistant",
    "content": [{"type": "output_text", "text": "a"}],
}
SEARCH = {"type": "web_search_call", "id": "ws", "status": "completed"}


def answer(*output: Any, **more: Any) -> Answer:
    found = decode(
        json.dumps({"object": "response", "status": "completed", "output": output, **more}).encode()
    )
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("item", "part"),
    [
        pytest.param(SAID, Text("a"), id="text"),
        pytest.param(
            SAID | {"content": [{"type": "refusal", "refusal": "no"}]}, Refusal("no"), id="refusal"
        ),
        pytest.param(
            SAID
            | {
                "content": [
                    {"type": "output_text", "text": "a"},
                    {"type": "output_text", "text": "b"},
                ]
            },
            Text("ab"),
            id="two parts",
        ),
        pytest.param(
            {
                "type": "reasoning",
                "id": "rs",
                "summary": [{"text": "a"}, {"text": "b"}],
                "encrypted_content": "e",
            },
            Reasoning("a\n\nb", SUMMARY, "e", "encrypted_content", "rs"),
            id="summary",
        ),
        pytest.param(
            {
                "type": "reasoning",
                "id": "rs",
                "summary": [{"text": "s"}],
                "content": [{"text": "a"}, {"text": "b"}],
            },
            Reasoning("ab", "reasoning_text"),
            id="quoted",
        ),
        pytest.param(
            {"type": "function_call", "id": "fc", "call_id": "c", "name": "f", "arguments": "{}"},
            ToolCall("c", "f", "{}"),
            id="function",
        ),
        pytest.param(
            {"type": "custom_tool_call", "id": "ctc", "call_id": "c", "name": "f", "input": "raw"},
            ToolCall("c", "f", "raw", custom=True),
            id="custom",
        ),
        pytest.param(SEARCH, Foreign("responses", SEARCH), id="hosted"),
    ],
)
def test_an_item_is_read_as_what_it_says(item: dict[str, Any], part: Part) -> None:
    finish = "tool_calls" if isinstance(part, ToolCall) else "stop"
    assert answer(item).turns == {0: turn_of([part], finish)}


def test_usage_is_counted() -> None:
    assert answer(SAID, usage={"input_tokens": 3, "output_tokens": 2}).usage == Usage(
        prompt_tokens=3, completion_tokens=2
    )


@pytest.mark.parametrize(
    ("more", "error"),
    [
        (
            {"status": "failed", "error": {"code": "server_error", "message": "m"}},
            StreamError("m", 502, "server_error"),
        ),
        ({"error": {"message": "m", "code": 429}}, StreamError("m", 429, "429")),
        ({"status": "cancelled"}, StreamError("The upstream reported an error.")),
    ],
    ids=str,
)
def test_a_failed_response_is_an_error_and_no_turn(
    more: dict[str, Any], error: StreamError
) -> None:
    found = answer(SAID, **more)
    assert (found.error, found.turns) == (error, {})


@pytest.mark.parametrize("body", [b"", b"[]", b"<html>", b'{"output":', b'"x"'])
def test_what_is_no_answer_is_none(body: bytes) -> None:
    assert decode(body) is None


@pytest.mark.parametrize(
    ("response", "calls", "finish"),
    [
        ({"status": "completed"}, False, "stop"),
        ({"status": "completed"}, True, "tool_calls"),
        (
            {"status": "incomplete", "incomplete_details": {"reason": "max_output_tokens"}},
            True,
            "length",
        ),
        (
            {"status": "incomplete", "incomplete_details": {"reason": "content_filter"}},
            False,
            "content_filter",
        ),
        ({"status": "incomplete"}, False, "length"),
        ({}, False, "stop"),
    ],
    ids=str,
)
def test_why_an_answer_ended_is_said_in_the_words_of_chat(
    response: dict[str, Any], calls: bool, finish: str
) -> None:
    assert finish_of(response, calls=calls) == finish
