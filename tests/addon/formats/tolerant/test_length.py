"""How long a request is, is counted before it is read, in whatever format it comes."""

import json
from typing import Any

import pytest

from addon.formats.neutral.problem import RequestError
from addon.formats.tolerant.length import MOST_BESIDE, refuse_long

USER = {"role": "user", "content": "a, b, c, d"}
CALL = {"type": "function_call", "call_id": "c", "name": "Read", "arguments": "{}"}


def refusal(body: bytes, most: int = 3) -> str:
    with pytest.raises(RequestError) as refused:
        refuse_long(body, most)
    assert (refused.value.problem.status, refused.value.problem.code) == (413, "request_too_large")
    return refused.value.problem.message


@pytest.mark.parametrize(
    ("members", "what"),
    [
        ({"messages": [USER] * 4}, "4 messages"),
        ({"messages": [*[USER] * 3, 1]}, "4 messages"),
        ({"messages": [*[USER] * 3, {"role": "user", "content": "half \ud83e"}]}, "4 messages"),
        ({"input": [USER, CALL, CALL, CALL]}, "4 messages"),
        ({"messages": [USER] * 2, "input": [USER] * 2}, "4 messages"),
        ({"messages": [USER], "tools": [{}] * 4}, "4 tools"),
        ({"messages": [USER], "tools": [{}] * 3, "functions": [{}] * 2}, "5 tools"),
    ],
    ids=["messages", "no object", "lone surrogate", "items", "both", "tools", "functions"],
)
def test_what_is_too_long_is_refused_in_words(members: dict[str, Any], what: str) -> None:
    body = json.dumps({"model": "m", **members}).encode()
    assert (
        refusal(body)
        == f"The request has {what}, and at most 3 are taken: start a new chat, or raise max_messages."
    )


def test_a_text_of_json_with_the_same_name_twice_is_counted_whole() -> None:
    assert "4 messages" in refusal(b'{"messages":[{},{}],"messages":[{},{}]}')


@pytest.mark.parametrize(
    "body",
    [
        json.dumps({"messages": [USER] * 3, "input": "hi, there", "tools": [{}] * 3}).encode(),
        json.dumps({"messages": "a,b,c,d,e", "stop": ["a", "b", "c", "d", "e"]}).encode(),
        b"{ , ,",
    ],
    ids=["as many as may be", "other arrays", "no JSON"],
)
def test_what_is_short_passes(body: bytes) -> None:
    refuse_long(body, 3)


@pytest.mark.parametrize(
    "body",
    [b"{ , , , , ,", b'{"messages":[,,,,,]}', b'{"messages":[{},{},{},{}]', b"[{},{},{},{}]"],
)
def test_what_cannot_be_counted_is_refused_as_it_would_be_later(body: bytes) -> None:
    with pytest.raises(RequestError) as error:
        refuse_long(body, 3)
    assert (error.value.problem.status, error.value.problem.code) == (400, "invalid_json")


def test_a_member_beside_the_conversation_has_far_fewer_values() -> None:
    few, many = [1] * MOST_BESIDE, [1] * (MOST_BESIDE + 2)
    conversation = {"messages": [{"role": "user", "content": few}] * 2, "tools": [{"a": few}]}
    refuse_long(json.dumps({**conversation, "metadata": "," * (MOST_BESIDE + 2)}).encode(), 3)
    message = refusal(json.dumps({**conversation, "metadata": {"a": many}}).encode())
    assert "at most 20,000 are taken: make 'metadata' smaller." in message
