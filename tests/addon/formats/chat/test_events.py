"""A stream that nobody asked for says the same as a whole answer."""

import json
from random import Random

import pytest

from addon.formats.chat.events import whole_of
from addon.formats.chat.response import Answer
from addon.formats.neutral.turn import ToolCall
from addon.formats.wire import sse
from tests.support.turns import Json, TurnMaker, completion, events


def body_of(*chunks: object) -> bytes:
    return b"".join(sse.event(json.dumps(chunk).encode()) for chunk in chunks)


def choice(delta: Json, **more: object) -> Json:
    return {"model": "up", "choices": [{"index": 0, "delta": delta, "finish_reason": None} | more]}


END = choice({}, finish_reason="stop")


@pytest.mark.parametrize("seed", range(30))
def test_the_answer_is_the_turn_that_was_streamed(seed: int) -> None:
    rng = Random(seed)
    turn = TurnMaker(rng).make({"tools": [{}]})
    streamed = Answer(whole_of(b"".join(events(turn, "up", rng, usage=True))))
    whole = Answer(completion(turn, "up"))
    assert (streamed.turns, streamed.error) == (whole.turns, None)
    assert streamed.usage is not None


def test_members_that_nobody_knows_come_along() -> None:
    found = json.loads(whole_of(body_of(choice({"content": "a"}, x=1), END | {"usage": {"y": 2}})))
    assert (found["choices"][0]["x"], found["usage"]) == (1, {"y": 2})


def test_details_are_joined_by_their_index() -> None:
    steps = [
        {"reasoning_details": [{"index": 0, "type": "reasoning.text", "text": text, "format": "f"}]}
        for text in ("one ", "two")
    ]
    found = json.loads(whole_of(body_of(*map(choice, steps), END)))
    assert found["choices"][0]["message"]["reasoning_details"] == [
        {"index": 0, "type": "reasoning.text", "text": "one two", "format": "f"}
    ]


def test_calls_are_joined_by_their_index() -> None:
    steps = [
        {"tool_calls": [{"index": 1, "id": "b", "function": {"name": "g", "arguments": "{"}}]},
        {"tool_calls": [{"index": 0, "id": "a", "function": {"name": "f", "arguments": "{}"}}]},
        {"tool_calls": [{"index": 1, "function": {"arguments": "}"}}]},
    ]
    answer = Answer(whole_of(body_of(*map(choice, steps), END)))
    assert answer.turns[0].calls == (ToolCall("b", "g", "{}"), ToolCall("a", "f", "{}"))


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (body_of(choice({"content": "a"})), "upstream_cut"),
        (b": hello\n\n", "upstream_cut"),
        (body_of(choice({"content": "a"})) + b"data: {cut\n\n", "upstream_cut"),
        (body_of(choice({"content": "a"}), {"error": {"message": "m", "code": "c"}}), "c"),
    ],
    ids=["cut", "nothing", "garbled", "error"],
)
def test_a_stream_that_does_not_end_well_is_an_error(body: bytes, code: str) -> None:
    error = Answer(whole_of(body)).error
    assert error is not None
    assert error.code == code
