"""Long conversations with clients that drop reasoning, against providers that insist on it."""

from concurrent.futures import ThreadPoolExecutor
from random import Random

import pytest
from openai import OpenAI

from tests.e2e.estate import Estate
from tests.harden.figure import at_scale
from tests.support.client import CLIENTS, Conversation, Habits, sdk
from tests.support.gateway import Gateway, Served
from tests.support.provider import StrictProvider
from tests.support.turns import AlikeMaker

MODEL = "deepseek-v4-pro"
TURNS = 40
KILLS = at_scale(4, 8)
ALIKE = at_scale(12, TURNS)
"""Turns of each conversation that looks like the others."""

both_ways = pytest.mark.parametrize("streamed", [True, False], ids=["streamed", "plain"])


@both_ways
def test_forty_turns_without_reasoning_are_never_rejected(
    client: OpenAI, provider: StrictProvider, streamed: bool
) -> None:
    conversation = Conversation(client, MODEL, marker=f"forty {streamed}")
    conversation.run(TURNS, streamed=streamed)
    assert not provider.rejections
    assert not conversation.crossed(provider.requests)


def test_a_gateway_killed_every_five_turns_forgets_nothing(fresh: Served[StrictProvider]) -> None:
    gateway, provider = fresh
    with sdk(gateway.base_url, gateway.new_user("ada")) as client:
        conversation = Conversation(client, MODEL)
        for turn in range(5 * KILLS + 5):
            if turn and turn % 5 == 0:
                gateway.restart()
            conversation.step(streamed=turn % 3 != 2)
    assert not provider.rejections
    assert not conversation.crossed(provider.requests)


def test_parallel_conversations_that_look_alike_never_cross(
    gateway: Gateway, provider: StrictProvider, key: str
) -> None:
    provider.maker = AlikeMaker(Random(7))

    def converse(number: int) -> Conversation:
        with sdk(gateway.base_url, key) as client:
            conversation = Conversation(client, MODEL, marker=f"parallel {number}")
            conversation.run(ALIKE, streamed=number % 4 != 3)
            return conversation

    with ThreadPoolExecutor(32) as threads:
        conversations = list(threads.map(converse, range(32)))
    assert not provider.rejections
    assert not [
        wrong for conversation in conversations for wrong in conversation.crossed(provider.requests)
    ]


@pytest.mark.parametrize("habits", CLIENTS.values(), ids=CLIENTS)
def test_every_known_client_s_replay_is_restored(
    client: OpenAI, provider: StrictProvider, habits: Habits
) -> None:
    conversation = Conversation(client, MODEL, marker=f"habits {habits}", habits=habits)
    conversation.run(12)
    assert not provider.rejections
    assert not conversation.crossed(provider.requests)


@both_ways
@pytest.mark.parametrize(
    ("upstream", "model"),
    [
        ("mimo", "mimo-v2.5-pro"),
        ("kimi", "kimi-k2.6"),
        ("siliconflow", "moonshotai/Kimi-K2-Thinking"),
        ("glm", "glm-4.7"),
        ("vllm", "local"),
    ],
)
def test_every_dialect_gets_its_reasoning_back(
    estate: Estate, upstream: str, model: str, streamed: bool
) -> None:
    conversation = Conversation(estate.client, model, marker=f"{upstream} {streamed}")
    conversation.run(12, streamed=streamed)
    assert not estate.providers[upstream].rejections
    assert len(estate.providers[upstream].requests) == 12


def test_a_conversation_without_tools_gets_its_reasoning_back(estate: Estate) -> None:
    conversation = Conversation(estate.client, "mimo-v2.5-pro", marker="talk", tools=False)
    conversation.run(10)
    assert not estate.providers["mimo"].rejections
    assert not conversation.crossed(estate.providers["mimo"].requests)
