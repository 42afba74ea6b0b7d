import json

import pytest
from openai import OpenAI

from tests.support.client import Conversation, Habits, Reply, replay
from tests.support.rawhttp import Received
from tests.support.turns import Json

CALL = {
    "index": 0,
    "id": "call_1",
    "type": "function",
    "function": {"name": "Read", "arguments": '{"b": 1.0, "a": "é"}'},
}


@pytest.mark.parametrize(
    ("habits", "expected"),
    [
        (Habits(), {"content": None}),
        (Habits(no_text="absent"), {}),
        (Habits(no_text="empty list"), {"content": []}),
        (Habits(no_text="string"), {"content": ""}),
        (Habits(no_text="parts"), {"content": [{"type": "text", "text": ""}]}),
        (Habits(reasoning="exact"), {"content": None, "reasoning_content": " why\n"}),
        (Habits(reasoning="trim"), {"content": None, "reasoning_content": "why"}),
    ],
)
def test_a_turn_of_calls_is_replayed_by_habit(habits: Habits, expected: Json) -> None:
    message = replay(Reply(calls=[CALL], reasoning=" why\n"), habits)
    assert message.pop("tool_calls")
    assert message == {"role": "assistant", **expected}


@pytest.mark.parametrize(
    ("habits", "arguments"),
    [
        (Habits(), '{"b": 1.0, "a": "é"}'),
        (Habits(arguments="compact"), '{"b":1.0,"a":"é"}'),
        (Habits(arguments="sorted"), '{"a": "\\u00e9", "b": 1.0}'),
        (Habits(arguments="spaced"), '{\n "b": 1.0,\n "a": "\\u00e9"\n}'),
    ],
)
def test_arguments_are_spelt_by_habit(habits: Habits, arguments: str) -> None:
    [call] = replay(Reply(calls=[CALL]), habits)["tool_calls"]
    assert call["function"]["arguments"] == arguments
    assert "index" not in call


def received(*messages: Json) -> Received:
    body = json.dumps({"messages": messages}).encode()
    return Received(method="POST", target="/", headers=[], body=body, connection=1)


def conversation_of_two() -> Conversation:
    conversation = Conversation(OpenAI(api_key="unused"), "m", marker="one")
    conversation.replies = [Reply(text="a", reasoning="first"), Reply(text="b", reasoning="second")]
    return conversation


@pytest.mark.parametrize(
    ("reasoning", "wrong"),
    [("first", False), ("second", True), ("first ", True), (None, True), ("", True)],
)
def test_anything_but_the_issued_reasoning_is_reported(reasoning: str | None, wrong: bool) -> None:
    request = received(
        {"role": "assistant", "content": "a", "reasoning_content": reasoning},
        {"role": "user", "content": "<conversation one> go on"},
    )
    assert bool(conversation_of_two().crossed([request])) == wrong


def test_a_conversation_that_did_not_reach_the_provider_is_reported() -> None:
    assert conversation_of_two().crossed(
        [received({"role": "user", "content": "<conversation two>"})]
    )
