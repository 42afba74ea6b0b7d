"""What is no conversation is refused with the place of what is wrong."""

from typing import Any

import pytest

from addon.formats.neutral.problem import RequestError
from addon.formats.tolerant.malformed import refuse_malformed


@pytest.mark.parametrize(
    ("item", "place"),
    [
        (None, ""),
        ("hello", ""),
        ([], ""),
        ({"role": "assistant", "tool_calls": "f"}, ".tool_calls"),
        ({"role": "assistant", "tool_calls": [None]}, ".tool_calls[0]"),
        ({"role": "assistant", "content": True}, ".content"),
        ({"role": "user", "content": [7]}, ".content[0]"),
        (
            {"role": "user", "content": [{"type": "tool_result", "content": [{}, 7]}]},
            ".content[0].content[1]",
        ),
    ],
    ids=str,
)
def test_the_place_is_told(item: Any, place: str) -> None:
    with pytest.raises(RequestError) as error:
        refuse_malformed([{"role": "user", "content": "hi"}, item], "input")
    problem = error.value.problem
    assert (problem.status, problem.code) == (400, "malformed_message")
    assert problem.param == f"input[1]{place}"
    assert f"'input[1]{place}'" in problem.message


@pytest.mark.parametrize(
    "item",
    [
        {"role": "user", "content": ["a", {"type": "text", "text": "b"}]},
        {"role": "user", "content": {"type": "text", "text": "b"}},
        {"role": "assistant", "content": None, "tool_calls": None},
        {"type": "reasoning", "summary": []},
        {"role": "user", "content": 7},
    ],
    ids=str,
)
def test_what_is_read_or_refused_elsewhere_is_let_through(item: Any) -> None:
    refuse_malformed([item], "messages")
