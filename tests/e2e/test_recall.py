"""What the gateway remembers, when, and for whom."""

import contextlib
import re

import openai
import pytest
from openai import OpenAI

from tests.e2e.estate import Estate
from tests.support.client import Conversation, Reply, sdk
from tests.support.faults import held
from tests.support.gateway import Gateway
from tests.support.provider import Answer, StrictProvider
from tests.support.rawhttp import Gate
from tests.support.turns import FIELD, Call, Turn

MODEL = "deepseek-v4-pro"


def call_turn(name: str) -> Turn:
    return Turn(
        reasoning=f"thought of {name}", calls=(Call(f"call_{name}", "Read", '{"path": "a.py"}'),)
    )


def test_principals_never_share_reasoning(
    client: OpenAI, gateway: Gateway, provider: StrictProvider, other_key: str
) -> None:
    provider.script(Answer(turn=call_turn("secret")))
    mine = Conversation(client, MODEL)
    mine.step()
    with sdk(gateway.base_url, other_key) as other_client:
        theirs = Conversation(other_client, MODEL)
        theirs.messages = mine.messages
        with contextlib.suppress(openai.BadRequestError):
            theirs.ask()
    assert len(provider.requests) > 1
    assert not [request for request in provider.requests if b"thought of secret" in request.body]


@pytest.mark.parametrize("before", [-2, -1], ids=["after finish_reason", "after usage"])
@pytest.mark.parametrize("kind", ["calls", "text"])
def test_a_follow_up_overtakes_the_end_of_the_stream(
    client: OpenAI, gateway: Gateway, provider: StrictProvider, key: str, kind: str, before: int
) -> None:
    gate, name = Gate(), f"early {kind} {before}"
    turn = (
        call_turn(name)
        if kind == "calls"
        else Turn(reasoning=f"thought of {name}", text=f"I say {name}.")
    )
    provider.script(Answer(turn=turn, fault=held(gate, before=before)))
    conversation = Conversation(client, MODEL, marker=name)
    with conversation.open() as stream, sdk(gateway.base_url, key) as elsewhere:
        reply = Reply()
        while not reply.finish_reason:
            reply.add(next(stream))
        conversation.keep(reply)
        conversation.client = elsewhere
        conversation.step()
        gate.open()
    assert not provider.rejections
    assert not conversation.crossed(provider.requests)


def test_a_follow_up_right_after_the_last_event_finds_the_turn(
    gateway: Gateway, provider: StrictProvider, key: str
) -> None:
    with sdk(gateway.base_url, key) as one, sdk(gateway.base_url, key) as two:
        conversation = Conversation(one, MODEL, marker="alternating")
        for turn in range(30):
            conversation.client = (one, two)[turn % 2]
            conversation.step()
    assert not provider.rejections
    assert not conversation.crossed(provider.requests)


def test_a_stopped_stream_is_found_by_the_text_that_was_seen(
    client: OpenAI, provider: StrictProvider
) -> None:
    gate, text = Gate(), "This is a long answer that nobody waits for. " * 3
    provider.script(
        Answer(turn=Turn(reasoning="thought of a stop", text=text), fault=held(gate, before=-4))
    )
    conversation = Conversation(client, MODEL, prompt="Say much.", marker="stopped")
    with conversation.open() as stream:
        reply = Reply()
        while len(reply.text) < 40:
            reply.add(next(stream))
        assert gate.reached.wait(30)
    assert gate.left.wait(30)
    conversation.keep(reply)
    conversation.step()
    assert not provider.rejections
    assert not conversation.crossed(provider.requests)


@pytest.mark.parametrize(
    "reasoning", ["", "half \ud83e pair", " \n padded \n "], ids=["empty", "surrogate", "padded"]
)
@pytest.mark.parametrize("streamed", [True, False], ids=["streamed", "plain"])
def test_odd_reasoning_comes_back_as_it_was(
    client: OpenAI, provider: StrictProvider, reasoning: str, streamed: bool
) -> None:
    turn = Turn(reasoning=reasoning, calls=(Call("call_odd", "Read", '{"path": "odd.py"}'),))
    provider.script(Answer(turn=turn))
    conversation = Conversation(client, MODEL, marker=f"odd {reasoning!r} {streamed}")
    conversation.run(2, streamed=streamed)
    assert not provider.rejections
    assert provider.bodies()[-1]["messages"][3][FIELD] == reasoning


def test_the_reasoning_of_a_look_alike_is_never_borrowed(
    client: OpenAI, provider: StrictProvider
) -> None:
    twins = [
        Conversation(client, MODEL, prompt="Same?", marker=f"twin {name}")
        for name in ("one", "two")
    ]
    for twin in twins:
        provider.script(Answer(turn=Turn(reasoning=f"thought of {twin.marker}", text="Same.")))
        twin.step()
    with contextlib.suppress(openai.BadRequestError):
        twins[0].ask()
    assert len(provider.requests) > 2
    assert not [
        request
        for request in provider.requests
        if b"thought of <conversation twin two>" in request.body
    ]


def test_a_turn_without_reasoning_is_not_taken_for_a_lost_one(
    client: OpenAI, provider: StrictProvider
) -> None:
    provider.script(Answer(turn=Turn(reasoning=None, calls=(Call("call_none", "Read", "{}"),))))
    Conversation(client, MODEL, marker="none").run(2)
    assert [request.status for request in provider.requests] == [200, 200]


def test_turns_of_another_model_get_no_invented_reasoning(
    client: OpenAI, provider: StrictProvider
) -> None:
    conversation = Conversation(client, MODEL, marker="foreign")
    conversation.messages[3:3] = [
        {"role": "assistant", "content": "I was said by somebody else."},
        {"role": "user", "content": "Now you."},
    ]
    conversation.step()
    assert provider.bodies()[-1]["messages"][3].get(FIELD, "") == ""


def test_reasoning_is_restored_after_the_history_was_compacted(
    client: OpenAI, provider: StrictProvider
) -> None:
    provider.script(*(Answer(turn=call_turn(f"compacted {n}")) for n in range(3)))
    conversation = Conversation(client, MODEL, marker="compacted")
    conversation.run(3)
    conversation.messages[:7] = [{"role": "user", "content": "<summary>Much was done.</summary>"}]
    conversation.ask()
    assert not provider.rejections
    assert [
        message.get(FIELD)
        for message in provider.bodies()[-1]["messages"]
        if message["role"] == "assistant"
    ] == ["thought of compacted 2"]


def test_forks_of_a_conversation_keep_their_common_turns(
    client: OpenAI, provider: StrictProvider
) -> None:
    trunk = Conversation(client, MODEL, marker="trunk")
    trunk.run(4)
    for _ in range(2):
        fork = Conversation(client, MODEL, marker="trunk")
        fork.messages, fork.replies = list(trunk.messages), list(trunk.replies)
        fork.run(4)
    assert not provider.rejections


def test_the_client_sees_minted_ids_and_the_provider_its_own(
    client: OpenAI, provider: StrictProvider
) -> None:
    provider.script(Answer(turn=call_turn("minted")))
    conversation = Conversation(client, MODEL, marker="minted")
    conversation.run(2)
    seen = conversation.replies[0].calls[0]["id"]
    assert re.fullmatch("call_[0-9A-Za-z]{26}", seen)
    messages = provider.bodies()[-1]["messages"]
    assert (messages[3]["tool_calls"][0]["id"], messages[4]["tool_call_id"]) == (
        "call_minted",
        "call_minted",
    )


def test_a_cold_history_is_repaired_by_turning_thinking_off(estate: Estate) -> None:
    conversation = Conversation(estate.client, "deepseek-v4-stern", marker="cold")
    call = {"id": "call_cold", "type": "function", "function": {"name": "Read", "arguments": "{}"}}
    conversation.messages += [
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "call_cold", "content": "text"},
    ]
    assert conversation.ask().finish_reason
    upstream = estate.providers["stern"]
    assert [request.status for request in upstream.requests] == [400, 200]
    assert upstream.bodies()[0]["thinking"] == {"type": "disabled"}
