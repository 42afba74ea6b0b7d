"""A conversation that is twice as long takes twice the work, in every format and shape;
work is counted, not timed.
"""

import json
import sys
from collections.abc import Callable
from types import FrameType
from typing import Any

import pytest

from addon.exchange.exchange import Exchange
from addon.recall.identity import mint, new_token
from tests.addon.desk import MODEL, Desk, upstream
from tests.addon.recall.chat import ID_KEY, Json
from tests.support.turns import Call, Turn

SHORT, LONG = 250, 500
MOST = 2.2
"""How many times the work of a conversation half as long; a little more than twice, as
lists grow in steps.
"""

type Said = tuple[str, str, list[str]]
"""Role, text, and ids of calls or of the call that a result answers."""


def tool_turns(count: int) -> list[Said]:
    turns: list[Said] = [("user", "hi", [])]
    for at in range(count):
        turns += [("assistant", "", [f"call_{at}"]), ("tool", "done", [f"call_{at}"])]
    return turns


def same_turns(count: int) -> list[Said]:
    """One turn again and again, once with an id of ours and once without any."""
    ours = mint(new_token(b"sixteen bytes or more"), 0, ID_KEY)
    turn: list[Said] = [
        ("assistant", "done " * 20, [ours]),
        ("tool", "fine", [ours]),
        ("assistant", "done " * 20, []),
    ]
    return [("user", "hi", []), *turn * count]


def text_turns(count: int) -> list[Said]:
    return [
        turn
        for at in range(count)
        for turn in (("user", f"go {at}", []), ("assistant", f"done {at} " * 9, []))
    ]


def parallel_calls(count: int) -> list[Said]:
    ids = [f"call_{at}" for at in range(count)]
    return [("user", "hi", []), ("assistant", "", ids), *(("tool", "done", [one]) for one in ids)]


def chat(turns: list[Said]) -> Json:
    return {"messages": [_chat_message(*turn) for turn in turns]}


def _chat_message(role: str, text: str, ids: list[str]) -> Json:
    if role == "tool":
        return {"role": role, "content": text, "tool_call_id": ids[0]}
    calls = [
        {"id": one, "type": "function", "function": {"name": "Read", "arguments": "{}"}}
        for one in ids
    ]
    return {"role": role, "content": text, **({"tool_calls": calls} if calls else {})}


def hybrid(turns: list[Said]) -> Json:
    """As Cursor sends it to the chat path: one part of another format makes all of it be read."""
    messages = chat(turns)["messages"]
    return {
        "messages": [
            {"role": "user", "content": [{"type": "input_text", "text": "context"}]},
            *messages,
        ]
    }


def messages(turns: list[Said]) -> Json:
    return {"messages": [_blocks(*turn) for turn in turns], "max_tokens": 100}


def _blocks(role: str, text: str, ids: list[str]) -> Json:
    if role == "tool":
        return {
            "role": "user",
            "content": [{"type": "tool_result", "tool_use_id": ids[0], "content": text}],
        }
    calls = [{"type": "tool_use", "id": one, "name": "Read", "input": {}} for one in ids]
    return {"role": role, "content": [*([{"type": "text", "text": text}] if text else []), *calls]}


def responses(turns: list[Said]) -> Json:
    return {"input": [item for turn in turns for item in _items(*turn)]}


def _items(role: str, text: str, ids: list[str]) -> list[Json]:
    if role == "tool":
        return [{"type": "function_call_output", "call_id": ids[0], "output": text}]
    said = [{"type": "message", "role": role, "content": text}] if text else []
    return [
        *said,
        *(
            {"type": "function_call", "call_id": one, "name": "Read", "arguments": "{}"}
            for one in ids
        ),
    ]


FORMATS: dict[str, tuple[str, Callable[[list[Said]], Json]]] = {
    "chat": ("/v1/chat/completions", chat),
    "hybrid": ("/v1/chat/completions", hybrid),
    "messages": ("/v1/messages", messages),
    "responses": ("/v1/responses", responses),
}
SHAPES = (tool_turns, same_turns, text_turns, parallel_calls)


def work(exchange: Exchange, body: bytes) -> int:
    """How many functions are called until the first attempt is ready and accepted."""
    calls = 0

    def count(frame: FrameType, event: str, arg: Any) -> None:
        nonlocal calls
        calls += event in ("call", "c_call")

    sys.setprofile(count)
    try:
        exchange.open(body)
        exchange.accepted()
    finally:
        sys.setprofile(None)
    return calls


@pytest.mark.parametrize("api", ["chat", "messages", "responses"])
@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: shape.__name__)
@pytest.mark.parametrize("client", FORMATS)
def test_twice_the_conversation_takes_twice_the_work(
    desk: Desk, client: str, shape: Callable[[int], list[Said]], api: Any
) -> None:
    desk.upstreams = (upstream(api=api),)
    path, written = FORMATS[client]
    short, long = (
        work(
            desk.exchange(path=path), json.dumps({"model": MODEL} | written(shape(count))).encode()
        )
        for count in (SHORT, LONG)
    )
    assert short > SHORT
    assert long <= MOST * short


def test_a_remembered_turn_that_is_replayed_again_and_again_is_compared_with_its_neighbours_only(
    desk: Desk,
) -> None:
    said: list[Json] = [{"role": "user", "content": "hi"}]
    desk.converse(
        said, Turn(reasoning="thought", text="done " * 20, calls=(Call("call_0", "Read", "{}"),))
    )
    user, turn, result = said
    likeness = {"role": "assistant", "content": turn["content"]}
    short, long = (
        work(
            desk.exchange(),
            json.dumps(
                {"model": MODEL, "messages": [user, *[turn, result, likeness] * count]}
            ).encode(),
        )
        for count in (SHORT, LONG)
    )
    assert short > SHORT
    assert long <= MOST * short
