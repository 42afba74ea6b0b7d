"""Whole answers are read into turns."""

import json
from typing import Any

import pytest

from addon.formats.chat.response import Answer, decode
from addon.formats.neutral.deltas import StreamError
from addon.formats.neutral.turn import Reasoning, ToolCall, Turn, Usage

CALLS = [
    {"id": "a", "type": "function", "function": {"name": "f", "arguments": '{"x": 1}'}},
    {"id": "a", "type": "function", "function": {"name": "g", "arguments": ""}},
]


def answer(*messages: Any, **more: Any) -> Answer:
    choices = [
        {"index": at, "message": one, "finish_reason": "stop"} for at, one in enumerate(messages)
    ]
    found = decode(json.dumps({"id": "1", "model": "m", "choices": choices, **more}).encode())
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("message", "turn"),
    [
        pytest.param({"content": "a"}, Turn(text="a", finish_reason="stop"), id="text"),
        pytest.param(
            {"content": [{"type": "text", "text": "a"}]},
            Turn(text="a", finish_reason="stop"),
            id="parts",
        ),
        pytest.param(
            {"content": "\ud83d"}, Turn(text="\ud83d", finish_reason="stop"), id="lone surrogate"
        ),
        pytest.param({}, Turn(finish_reason="stop"), id="nothing"),
        pytest.param(None, Turn(finish_reason="stop"), id="null"),
        pytest.param(
            {"content": None, "tool_calls": CALLS, "reasoning_content": "r"},
            Turn(
                calls=(ToolCall("a", "f", '{"x": 1}'), ToolCall("a", "g", "{}")),
                reasoning=Reasoning("r", "reasoning_content"),
                finish_reason="stop",
            ),
            id="calls",
        ),
        pytest.param(
            {"function_call": {"name": "f", "arguments": "{}"}},
            Turn(calls=(ToolCall("", "f", "{}"),), finish_reason="stop"),
            id="legacy",
        ),
        pytest.param(
            {"tool_calls": {"id": "a"}}, Turn(finish_reason="stop"), id="calls of another shape"
        ),
    ],
)
def test_a_choice_is_read_as_a_turn(message: object, turn: Turn) -> None:
    assert answer(message).turns == {0: turn}


@pytest.mark.parametrize(
    ("fields", "reasoning"),
    [
        ({"reasoning_content": "r", "reasoning": "r"}, Reasoning("r", "reasoning_content")),
        ({"reasoning_content": "", "reasoning": "r"}, Reasoning("r", "reasoning")),
        ({"reasoning_content": "", "reasoning": ""}, Reasoning("", "reasoning_content")),
        ({"reasoning_content": None, "reasoning_text": "r"}, Reasoning("r", "reasoning_text")),
        ({"reasoning_content": None, "reasoning": {"a": 1}}, None),
        (
            {
                "content": [
                    {"type": "thinking", "thinking": [{"type": "text", "text": "r"}]},
                    {"text": "a"},
                ]
            },
            Reasoning("r", "content[].thinking"),
        ),
    ],
)
def test_reasoning_is_the_first_that_says_something(
    fields: dict[str, Any], reasoning: Reasoning | None
) -> None:
    assert answer(fields).turns[0].reasoning == reasoning


def test_every_choice_is_a_turn_and_usage_is_counted() -> None:
    found = answer(
        {"content": "a"}, {"content": "b"}, usage={"prompt_tokens": 1, "completion_tokens": 2}
    )
    assert [turn.text for turn in found.turns.values()] == ["a", "b"]
    assert found.usage == Usage(prompt_tokens=1, completion_tokens=2)
    assert found.error is None


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"<html>",
        b'{"choices":',
        b'{"choices":{}}',
        b'{"choices":[1,]}',
        b"data: {}\n\n",
        b'{"choices":null}',
    ],
)
def test_what_is_no_answer_is_none(body: bytes) -> None:
    assert decode(body) is None


@pytest.mark.parametrize(
    ("body", "error"),
    [
        pytest.param(
            {"error": {"message": "m", "code": 503}}, StreamError("m", 503, "503"), id="OpenRouter"
        ),
        pytest.param({"error": "m", "code": "x"}, StreamError("m", 502, "x"), id="xAI"),
        pytest.param(
            {"base_resp": {"status_code": 1002, "status_msg": "m"}},
            StreamError("m", 429, "1002"),
            id="MiniMax",
        ),
        pytest.param(
            {"code": 500, "msg": "m", "success": False}, StreamError("m", 500, "500"), id="GLM"
        ),
        pytest.param(
            {"code": 20015, "message": "m", "data": None},
            StreamError("m", 502, "20015"),
            id="SiliconFlow",
        ),
        pytest.param(
            {"object": "error", "message": "m", "code": "x"},
            StreamError("m", 502, "x"),
            id="Mistral",
        ),
        pytest.param(
            {"choices": [{"error": {"message": "m", "code": 429}}]},
            StreamError("m", 429, "429"),
            id="in a choice",
        ),
        pytest.param(
            {"choices": [{"message": {}, "finish_reason": "network_error"}]},
            StreamError("The upstream broke its answer off (network_error).", 502, "network_error"),
            id="finish reason",
        ),
        pytest.param({"choices": [], "code": 1, "message": "m"}, None, id="an answer with a code"),
        pytest.param({"base_resp": {"status_code": 0}, "choices": []}, None, id="success"),
    ],
)
def test_an_error_in_a_success_is_recognised(
    body: dict[str, Any], error: StreamError | None
) -> None:
    found = decode(json.dumps(body).encode())
    assert found is not None
    assert found.error == error
