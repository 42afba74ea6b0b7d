"""The judge of lost calls sees each call and its result, in every format."""

import pytest

from tests.clients.calls import results
from tests.support.turns import Json

CHAT: list[Json] = [
    {"role": "assistant", "content": None, "tool_calls": [{"id": "a"}, {"id": "b"}]},
    {"role": "tool", "tool_call_id": "b", "content": "two"},
    {"role": "tool", "tool_call_id": "a", "content": [{"type": "text", "text": "one"}]},
]
MESSAGES: list[Json] = [
    {
        "role": "assistant",
        "content": [{"type": "tool_use", "id": "a"}, {"type": "tool_use", "id": "b"}],
    },
    {
        "role": "user",
        "content": [
            {"type": "tool_result", "tool_use_id": "b", "content": "two"},
            {"type": "tool_result", "tool_use_id": "a", "content": "one"},
        ],
    },
]
ITEMS: list[Json] = [
    {"role": "user", "content": "Hello"},
    {"type": "function_call", "call_id": "a"},
    {"type": "custom_tool_call", "call_id": "b"},
    {"type": "custom_tool_call_output", "call_id": "b", "output": "two"},
    {"type": "function_call_output", "call_id": "a", "output": "one"},
]
REQUESTS: list[tuple[str, list[Json]]] = [
    ("messages", CHAT),
    ("messages", MESSAGES),
    ("input", ITEMS),
]


@pytest.mark.parametrize(("member", "said"), REQUESTS)
def test_results_stand_in_the_order_of_their_calls(member: str, said: list[Json]) -> None:
    assert results({member: said}) == ["one", "two"]


@pytest.mark.parametrize(("member", "said"), REQUESTS)
def test_a_call_without_a_result_is_an_error(member: str, said: list[Json]) -> None:
    with pytest.raises(KeyError):
        results({member: said[:1] if member == "messages" else said[:-1]})
