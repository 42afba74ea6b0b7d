"""The stand-in knows what it issued, and demands it as DeepSeek does."""

import json
from typing import Any

import pytest

from manage_api.domains.doctor.stand_in import Refused, judge, next_turn, pieces

TOOLS = [{"type": "function", "function": {"name": "Read"}}]
USER = {"role": "user", "content": "Go."}


def body(*messages: dict[str, Any], **more: Any) -> bytes:
    return json.dumps({"model": "m", "messages": messages} | more).encode()


def replayed(token: str, at: int) -> dict[str, Any]:
    """A turn as a client that drops nothing replays it."""
    turn = next_turn(["restored"] * at, token, tools=True)
    return {"role": "assistant", "reasoning_content": turn.reasoning}


def test_turns_that_come_back_as_they_were_issued_are_restored() -> None:
    states, tools = judge(body(USER, replayed("t", 0), USER, replayed("t", 1), tools=TOOLS), "t")

    assert (states, tools) == (["restored", "restored"], True)


@pytest.mark.parametrize(
    "turn",
    [{"role": "assistant"}, {"role": "assistant", "reasoning_content": "made up"}],
    ids=["missing", "wrong"],
)
def test_with_tools_every_turn_is_demanded(turn: dict[str, Any]) -> None:
    with pytest.raises(Refused, match="must be passed back"):
        judge(body(USER, replayed("t", 0), turn, tools=TOOLS), "t")


def test_what_another_conversation_was_issued_is_wrong() -> None:
    assert judge(body(replayed("another", 0)), "t")[0] == ["wrong"]


def test_without_tools_or_without_thinking_nothing_is_demanded() -> None:
    turn = {"role": "assistant", "content": "Hi."}

    assert judge(body(turn), "t")[0] == ["missing"]
    off = {"type": "disabled"}
    assert judge(body(turn, tools=TOOLS, thinking=off), "t")[0] == ["missing"]


@pytest.mark.parametrize("content", [b"", b"[]", b'{"messages":[{"role":1}]}'])
def test_what_is_no_request_is_refused(content: bytes) -> None:
    with pytest.raises(Refused, match="can't be read"):
        judge(content, "t")


def test_it_calls_a_tool_twice_and_then_reports() -> None:
    turns = [next_turn(["restored"] * at, "t", tools=True) for at in range(3)]

    assert [turn.call is not None for turn in turns] == [True, True, False]
    assert json.loads(turns[2].text) == {"turns": ["restored", "restored"]}
    assert json.loads(next_turn(["missing"], "t", tools=False).text) == {"turns": ["missing"]}


def test_a_stream_has_all_of_a_turn() -> None:
    turn = next_turn([], "t", tools=True)
    events = [event.decode() for event in pieces(turn, "m")]
    assert events.pop() == "data: [DONE]\n\n"
    chunks = [json.loads(event.removeprefix("data: ")) for event in events]
    deltas = [choice["delta"] for chunk in chunks for choice in chunk["choices"]]

    assert "".join(delta.get("reasoning_content", "") for delta in deltas) == turn.reasoning
    assert [delta["tool_calls"] for delta in deltas if "tool_calls" in delta] == [[turn.call]]
    assert chunks[-1]["usage"]["total_tokens"] == 2
