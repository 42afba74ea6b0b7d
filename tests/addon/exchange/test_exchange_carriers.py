"""Exchanges with upstreams that have places of their own for reasoning: what they get, and
what is learnt of them.
"""

import json
from random import Random

import pytest

from addon.exchange.exchange import Exchange
from addon.exchange.verdict import Again
from tests.addon.desk import Desk, body, error, open_exchange, reply_of, upstream
from tests.addon.recall.chat import Json
from tests.support.carriers import CARRIERS
from tests.support.dialects import missing_reasoning
from tests.support.turns import Call, Turn, completion, events

SAID = Turn(reasoning="thought", text="I look.", calls=(Call("call_own", "Read", '{"path": "a"}'),))
ASKED: list[Json] = [{"role": "user", "content": "hi"}]
COPIED: list[Json] = [
    *ASKED,
    {"role": "assistant", "content": "Said elsewhere.", "reasoning_content": "its own"},
    {"role": "user", "content": "go on"},
]


def sent(exchange: Exchange) -> Json:
    found: Json = json.loads(exchange.outgoing.body)
    return found


def turn_of(exchange: Exchange) -> Json:
    """The first assistant message that goes out."""
    return next(message for message in sent(exchange)["messages"] if message["role"] == "assistant")


def answered(exchange: Exchange, carrier: str, account: str = "one") -> Json:
    """The upstream answers whole; the message that the client gets."""
    message = CARRIERS[carrier].message(SAID, account)
    reply = reply_of(
        exchange.whole(200, {}, completion(SAID, exchange.candidate.model, message=message))
    )
    found: Json = json.loads(reply.body)["choices"][0]["message"]
    return found


def history(answer: Json) -> list[Json]:
    """The conversation as a client replays it that drops all reasoning."""
    kept = {"role": "assistant", "content": answer["content"]}
    calls = [
        {key: call[key] for key in ("id", "type", "function")} for call in answer["tool_calls"]
    ]
    return [
        *ASKED,
        kept | {"tool_calls": calls},
        {"role": "tool", "tool_call_id": calls[0]["id"], "content": "fine"},
    ]


# -- what a client gets ----------------------------------------------------------------------------


@pytest.mark.parametrize("carrier", ["minimax", "mistral"])
@pytest.mark.parametrize("streamed", [True, False], ids=["streamed", "whole"])
def test_a_chat_client_gets_the_thinking_beside_the_text(
    desk: Desk, carrier: str, streamed: bool
) -> None:
    desk.upstreams = (upstream(profile=carrier),)
    exchange = desk.open(ASKED, stream=streamed)
    if streamed:
        answer = exchange.stream({})
        deltas = [*CARRIERS[carrier].deltas(SAID, "one", Random(1))]
        told = b"".join(
            answer.feed(raw) for raw in events(SAID, "m", Random(1), deltas=deltas)
        ).split(b"\n\n")
        chunks = [
            json.loads(line[6:])["choices"][0]["delta"]
            for line in told
            if line.startswith(b"data: {")
        ]
        message = {
            key: "".join(one.get(key) or "" for one in chunks)
            for key in ("content", "reasoning_content")
        }
    else:
        message = answered(exchange, carrier)
    assert (message["content"], message["reasoning_content"].strip()) == ("I look.", "thought")


# -- what an upstream gets -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("profile", "given", "kept"),
    [
        ("glm", {}, {"thinking": {"type": "enabled", "clear_thinking": False}}),
        (
            "glm",
            {"thinking": {"type": "disabled"}},
            {"thinking": {"type": "disabled", "clear_thinking": False}},
        ),
        ("kimi-keep", {}, {"thinking": {"type": "enabled", "keep": "all"}}),
        ("qwen", {}, {"preserve_thinking": True}),
        ("qwen", {"preserve_thinking": False}, {"preserve_thinking": False}),
        ("fireworks", {}, {"reasoning_history": "preserved"}),
    ],
)
@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/responses"])
def test_what_a_profile_keeps_is_asked_for_unless_the_client_asks_otherwise(
    desk: Desk, profile: str, given: Json, kept: Json, path: str
) -> None:
    desk.upstreams = (upstream(profile=profile),)
    asked = body(ASKED, **given)
    if path.endswith("responses"):
        given, kept = {}, kept if not given else {}
        asked = json.dumps({"model": "m", "input": "hi"}).encode()
    exchange = open_exchange(desk.intake(path=path), asked)
    assert {name: sent(exchange)[name] for name in kept} == kept


def test_a_model_that_another_host_serves_gets_no_members_of_its_vendor(desk: Desk) -> None:
    assert "thinking" not in sent(desk.open(ASKED, model="glm-5"))


@pytest.mark.parametrize("carrier", ["openrouter", "gemini"])
def test_the_account_that_has_the_state_is_asked_first(desk: Desk, carrier: str) -> None:
    desk.upstreams = (upstream(profile=carrier, api_keys=("sk-a-secret", "sk-b-secret")),)
    exchange = desk.open(ASKED)
    messages = history(answered(exchange, carrier))
    first, restored = exchange.candidate.key, turn_of(desk.open(messages))
    for _ in range(4):
        exchange = desk.open(messages)
        assert (exchange.candidate.key, turn_of(exchange)) == (first, restored)
    exchange.unreachable("timeout")
    assert exchange.candidate.key != first
    assert turn_of(exchange) != restored


# -- what an upstream refuses ----------------------------------------------------------------------


@pytest.mark.parametrize("carrier", ["openrouter", "gemini"])
def test_refused_state_is_left_out_once_and_for_all(desk: Desk, carrier: str) -> None:
    desk.upstreams = (upstream(profile=carrier),)
    messages = history(answered(desk.open(ASKED), carrier))
    exchange = desk.open(messages)
    restored = turn_of(exchange)
    assert exchange.refused(400, {}, CARRIERS[carrier].refuse("altered", 1)) == Again()
    bare = exchange.outgoing.body
    answered(exchange, carrier)
    assert turn_of(exchange) != restored
    desk.restart()
    assert desk.open(messages).outgoing.body == bare


def test_what_is_refused_without_state_is_told(desk: Desk) -> None:
    desk.upstreams = (upstream(profile="openrouter"),)
    assert desk.open(ASKED).refused(400, {}, CARRIERS["openrouter"].refuse("altered", 1)) != Again()


@pytest.mark.parametrize(
    "complaint", ["messages.1.assistant.reasoning_content: Extra inputs are not permitted"]
)
def test_an_upstream_that_knows_no_such_member_gets_none_from_then_on(
    desk: Desk, complaint: str
) -> None:
    exchange = desk.open(COPIED, model="m")
    assert turn_of(exchange)["reasoning_content"] == "its own"
    assert exchange.refused(400, {}, error(complaint)) == Again()
    assert "reasoning_content" not in turn_of(exchange)
    answered(exchange, "fireworks")
    desk.restart()
    assert "reasoning_content" not in turn_of(desk.open(COPIED, model="m"))


def test_a_signature_that_is_missing_is_stood_in_for_before_anybody_asks(desk: Desk) -> None:
    desk.upstreams = (upstream(profile="gemini"),)
    cold = history(
        {
            "content": None,
            "tool_calls": [{"id": "x", "type": "function", "function": {"name": "Read"}}],
        }
    )
    found = turn_of(desk.open(cold))["tool_calls"][0]["extra_content"]
    assert found == {"google": {"thought_signature": "skip_thought_signature_validator"}}


def test_a_conversation_is_shortened_where_nothing_milder_is_left(desk: Desk) -> None:
    desk.upstreams = (upstream(profile="kimi-thinking"),)
    cold = history(
        {
            "content": None,
            "tool_calls": [{"id": "x", "type": "function", "function": {"name": "Read"}}],
        }
    )
    messages = [{"role": "system", "content": "s"}, *cold, {"role": "user", "content": "go on"}]
    refused = missing_reasoning("kimi", 2)
    exchange = desk.open(messages)
    assert exchange.refused(400, {}, refused) == Again()
    assert turn_of(exchange)["reasoning_content"] == " "
    assert exchange.refused(400, {}, refused) == Again()
    assert [message["role"] for message in sent(exchange)["messages"]] == ["system", "user"]


@pytest.mark.parametrize(
    ("members", "expected"),
    [
        ({"reasoning": "a copy"}, "a copy"),
        ({"reasoning_details": [{"type": "reasoning.text", "text": "x"}]}, ""),
    ],
)
def test_a_copy_under_another_name_goes_under_the_one_that_the_upstream_reads(
    desk: Desk, members: Json, expected: str
) -> None:
    desk.upstreams = (upstream(profile="deepseek-v4"),)
    elsewhere = {"role": "assistant", "content": "Elsewhere.", **members}
    exchange = desk.open([*ASKED, elsewhere, {"role": "user", "content": "go on"}])
    [turn] = [message for message in sent(exchange)["messages"] if message["role"] == "assistant"]
    assert turn["reasoning_content"] == expected


def test_minimax_s_turns_go_back_whole_though_it_gives_all_the_same_id(desk: Desk) -> None:
    desk.upstreams = (upstream(base_url="https://api.minimax.io/v1"),)
    messages = list(ASKED)
    for at in range(3):
        details = [
            {
                "type": "reasoning.text",
                "id": "reasoning-text-1",
                "index": 0,
                "text": f"thought {at}",
            }
        ]
        message = {"role": "assistant", "content": f"answer {at}", "reasoning_details": details}
        choices = [{"index": 0, "message": message, "finish_reason": "stop"}]
        answer = json.dumps({"choices": choices}).encode()
        assert desk.open(messages).whole(200, {}, answer) != Again()
        messages += [
            {"role": "assistant", "content": f"answer {at}"},
            {"role": "user", "content": "go on"},
        ]
    back = [one for one in sent(desk.open(messages))["messages"] if one["role"] == "assistant"]
    assert [one["reasoning_details"][0]["text"] for one in back] == [
        "thought 0",
        "thought 1",
        "thought 2",
    ]
