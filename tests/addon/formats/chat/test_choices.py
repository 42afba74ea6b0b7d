"""Several choices of one index are one turn; those of different indexes stay apart."""

import json

from addon.formats.chat.choices import as_step, joined
from tests.support.turns import Json


def choices_of(*choices: Json) -> list[Json]:
    return [json.loads(text) for text in joined([json.dumps(one).encode() for one in choices])]


def test_a_text_and_calls_of_one_index_are_one_turn() -> None:
    text = {"index": 0, "finish_reason": "stop", "message": {"content": "a", "tool_calls": None}}
    first = {"index": 0, "message": {"content": None, "tool_calls": [{"id": "1"}]}, "x": 1}
    second = {
        "index": 0,
        "finish_reason": "tool_calls",
        "message": {"content": "b", "tool_calls": [{"id": "2"}], "reasoning_content": "r"},
    }
    assert choices_of(text, first, second) == [
        {
            "index": 0,
            "finish_reason": "tool_calls",
            "message": {
                "content": "ab",
                "tool_calls": [{"id": "1"}, {"id": "2"}],
                "reasoning_content": "r",
            },
            "x": 1,
        }
    ]


def test_answers_to_choose_from_stay_apart() -> None:
    several = [{"index": at, "message": {"content": str(at)}} for at in range(3)]
    assert choices_of(*several) == several
    unnumbered: list[Json] = [{"message": {"content": "a"}}, {"message": {"content": "b"}}]
    assert choices_of(*unnumbered) == unnumbered
    assert choices_of() == []


def test_choices_of_other_shapes_are_kept() -> None:
    odd: list[Json] = [{"index": 0, "message": "x"}, {"index": 0, "message": {"content": "y"}}]
    assert choices_of(*odd) == [{"index": 0, "message": "x"}]
    assert joined([b"7", b"[]"]) == [b"7", b"[]"]


def test_a_choice_as_a_step_says_all_of_its_message() -> None:
    choice = b'{"index":1,"message":{"content":"a","tool_calls":[{"id":"x"},7]},"x":1.0}'
    step = b'{"index":1,"x":1.0,"delta":{"content":"a","tool_calls":[{"id":"x","index":0},{"index":1}]}}'
    assert as_step(choice) == step
    assert as_step(b"7") == as_step(b'{"message":null}') == b'{"delta":{}}'
