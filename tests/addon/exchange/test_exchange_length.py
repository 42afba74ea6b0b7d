"""A conversation that is twice as long takes twice the work, in every format and shape;
work is counted, not timed.
"""

import json
import sys
from collections.abc import Callable
from types import FrameType
from typing import Any

import pytest

from addon.exchange.intake import Intake
from addon.exchange.verdict import Reply
from addon.formats.neutral.problem import Problem
from addon.recall.identity import mint, new_token
from shared.config.schema import Recall, Server
from tests.addon.desk import CURSOR, MODEL, Desk, Refused, open_exchange, upstream, whole
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


def work(intake: Intake, body: bytes) -> int:
    """How many functions are called until the first attempt is ready and accepted."""
    calls = 0

    def count(frame: FrameType, event: str, arg: Any) -> None:
        nonlocal calls
        calls += event in ("call", "c_call")

    sys.setprofile(count)
    try:
        open_exchange(intake, body).accepted()
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
        work(desk.intake(path=path), json.dumps({"model": MODEL} | written(shape(count))).encode())
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
            desk.intake(),
            json.dumps(
                {"model": MODEL, "messages": [user, *[turn, result, likeness] * count]}
            ).encode(),
        )
        for count in (SHORT, LONG)
    )
    assert short > SHORT
    assert long <= MOST * short


# -- bounds ----------------------------------------------------------------------------------------


def refusal(desk: Desk, path: str, body: Json, headers: dict[str, str] | None = None) -> Problem:
    intake = desk.intake(headers, path=path)
    with pytest.raises(Refused) as refused:
        open_exchange(intake, json.dumps({"model": MODEL} | body).encode())
    assert intake.request is None, "it was read"
    return refused.value.problem


ENDPOINTS = [
    *((path, written) for path, written in FORMATS.values()),
    ("/v1/messages/count_tokens", messages),
]


@pytest.mark.parametrize(("path", "written"), ENDPOINTS, ids=[*FORMATS, "count_tokens"])
def test_more_messages_than_are_taken_are_refused_before_they_are_read(
    desk: Desk, path: str, written: Callable[[list[Said]], Json]
) -> None:
    desk.server = Server(max_messages=10)
    problem = refusal(desk, path, written(text_turns(6)))
    assert (problem.status, problem.code) == (413, "request_too_large")
    assert "at most 10 are taken: start a new chat, or raise max_messages." in problem.message
    fitting = json.dumps({"model": MODEL} | written(text_turns(4))).encode()
    intake = desk.intake(path=path)
    intake.open(fitting)
    assert intake.call is not None


def test_cursor_shows_how_long_a_conversation_may_be(desk: Desk) -> None:
    desk.server = Server(max_messages=10)
    problem = refusal(desk, "/v1/chat/completions", chat(text_turns(6)), CURSOR)
    assert (problem.status, "12 messages" in problem.message) == (400, True)


def test_what_a_request_goes_on_from_has_no_more_items_either(desk: Desk) -> None:
    made = ""
    for _ in range(3):
        asked = {
            "model": MODEL,
            "input": "go on",
            **({"previous_response_id": made} if made else {}),
        }
        exchange = open_exchange(desk.intake(path="/v1/responses"), json.dumps(asked).encode())
        made = json.loads(whole(exchange, Turn(reasoning=None, text="done")).body)["id"]
    desk.server = Server(max_messages=5)
    assert (
        refusal(desk, "/v1/responses", {"input": "go on", "previous_response_id": made}).code
        == "conversation_too_long"
    )
    desk.server = Server(max_messages=6)
    open_exchange(
        desk.intake(path="/v1/responses"),
        json.dumps({"model": MODEL, "input": "go on", "previous_response_id": made}).encode(),
    )


MANY = 100_001
PIECES: dict[str, tuple[str, Json]] = {
    "calls": ("/v1/chat/completions", chat([("assistant", "", ["call_0"] * MANY)])),
    "parts": (
        "/v1/chat/completions",
        {"messages": [{"role": "user", "content": [{"type": "input_text"}] * MANY}]},
    ),
    "blocks": (
        "/v1/messages",
        {"messages": [{"role": "user", "content": [{"type": "text", "text": "a"}] * 60_000}] * 2},
    ),
    "results": (
        "/v1/messages",
        {
            "messages": [
                {"role": "user", "content": [{"type": "tool_result", "content": [""] * MANY}]}
            ]
        },
    ),
    "thoughts": (
        "/v1/responses",
        {"input": [{"type": "message", "role": "user", "content": ["a"] * MANY}]},
    ),
}


@pytest.mark.parametrize("kind", PIECES)
def test_a_few_messages_cannot_hold_more_pieces_than_a_long_conversation(
    desk: Desk, kind: str
) -> None:
    problem = refusal(desk, *PIECES[kind])
    most = "240,000" if kind in ("calls", "blocks") else "100,000"  # of the values they are made of
    assert (problem.status, f"at most {most} are taken" in problem.message) == (413, True)


def test_a_message_with_more_members_than_any_has_is_refused_in_words(desk: Desk) -> None:
    said: list[Json] = [{"role": "user", "content": "hi"}]
    desk.converse(
        said, Turn(reasoning="thought", text="done", calls=(Call("call_0", "Read", "{}"),))
    )
    said[1] |= {"reasoning": "trimmed"} | dict.fromkeys(map(str, range(10_000)), 1)
    with pytest.raises(Refused, match="more than 10,000 members"):
        desk.open(said)


@pytest.mark.parametrize("filler", ["[]", "1", '{"a":1}', '"x"'])
def test_a_request_of_more_values_than_any_conversation_has_is_refused_before_it_is_read(
    desk: Desk, filler: str
) -> None:
    values = ",".join([filler] * 240_001)
    asked = f'{{"model":"m","messages":[{{"role":"user","content":"hi"}}],"stop":[{values}]}}'
    reply = desk.intake().open(asked.encode())
    assert isinstance(reply, Reply)
    assert reply.status == 413
    assert b"at most 240,000 are taken" in reply.body


def test_a_long_text_may_have_as_many_signs_as_it_likes(desk: Desk) -> None:
    desk.open([{"role": "user", "content": ",[{" * 200_000}])


def test_a_request_that_names_one_turn_again_and_again_gets_no_more_of_it_than_is_allowed(
    desk: Desk,
) -> None:
    desk.recall = Recall(max_restored_mib=1)
    thought = "t" * 300_000
    said: list[Json] = [{"role": "user", "content": "hi"}]
    desk.converse(said, Turn(reasoning=thought, calls=(Call("call_0", "Read", "{}"),)))
    turn = said[1:]
    exchange = desk.open(said[:1] + turn * 3)
    assert exchange.outgoing.body.count(thought.encode()) == 3
    with pytest.raises(Refused) as refused:
        desk.open(said[:1] + turn * 1000, headers=CURSOR)
    assert (refused.value.problem.status, refused.value.problem.code) == (400, "request_too_large")
    assert "start a new chat, or raise max_restored_mib" in refused.value.problem.message
