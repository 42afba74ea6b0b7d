"""Clients that drop all reasoning, over providers that put it in every place there is:
nothing is refused or lost.
"""

import json
from collections.abc import Iterator
from contextlib import ExitStack
from itertools import pairwise
from typing import Any

import pytest

from tests.e2e.test_responses import ResponsesClient
from tests.harden.figure import at_scale
from tests.support.carriers import CARRIERS, CarrierProvider
from tests.support.client import CLIENTS, Conversation, sdk
from tests.support.gateway import Gateway, upstream_table
from tests.support.turns import Json

TURNS = at_scale(15, 30)
KEPT: dict[str, Json] = {
    "minimax": {"reasoning_split": True},
    "cerebras-glm": {"clear_thinking": False},
    "fireworks": {"reasoning_history": "preserved"},
}
FOREIGN: list[Json] = [
    {
        "role": "assistant",
        "content": None,
        "tool_calls": [
            {"id": "call_cold", "type": "function", "function": {"name": "Read", "arguments": "{}"}}
        ],
    },
    {"role": "tool", "tool_call_id": "call_cold", "content": "text"},
]


class Place:
    """A gateway with an upstream for each carrier, and its user's key."""

    def __init__(self, stack: ExitStack, directory: Any) -> None:
        self.providers = {
            name: stack.enter_context(CarrierProvider(carrier, seed=seed))
            for seed, (name, carrier) in enumerate(CARRIERS.items())
        }
        tables = [
            upstream_table(name, provider.base_url, models=[f"{name}-model"], profile=name)
            for name, provider in self.providers.items()
        ]
        self.gateway = stack.enter_context(Gateway(directory, config="\n".join(tables)))
        self.key = self.gateway.new_user("ada")


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    with ExitStack() as stack:
        yield Place(stack, tmp_path_factory.mktemp("carriers"))


@pytest.fixture(params=CARRIERS)
def provider(place: Place, request: pytest.FixtureRequest) -> CarrierProvider:
    found = place.providers[request.param]
    found.reset()
    return found


@pytest.fixture
def talk(
    place: Place, provider: CarrierProvider, request: pytest.FixtureRequest
) -> Iterator[Conversation]:
    name = next(name for name, one in place.providers.items() if one is provider)
    with sdk(place.gateway.base_url, place.key) as client:
        yield Conversation(client, f"{name}-model", habits=CLIENTS["pi"], marker=request.node.name)


def test_a_streamed_conversation_that_drops_everything_is_never_refused(
    talk: Conversation, provider: CarrierProvider
) -> None:
    talk.run(TURNS)
    assert provider.rejections == []
    assert [one.status for one in provider.requests] == [200] * TURNS
    assert_what_came_before_is_the_same(provider)


def test_nor_is_one_that_is_streamed_at_times_and_its_client_never_sees_reasoning_as_content(
    talk: Conversation, provider: CarrierProvider
) -> None:
    for streamed in (*[False] * 6, *[True, False] * 3):
        said = talk.step(streamed=streamed).text
        assert said == provider.ledger.issued[-1].text.lstrip()
    assert provider.rejections == []
    assert_what_came_before_is_the_same(provider)


def test_what_was_sent_once_is_sent_again(talk: Conversation, provider: CarrierProvider) -> None:
    talk.run(6)
    for _ in range(3):
        talk.ask()
    assert len({one.body for one in provider.requests[-3:]}) == 1


def assert_what_came_before_is_the_same(provider: CarrierProvider) -> None:
    """To the byte, in each request."""
    sent = [body["messages"] for body in provider.bodies()]
    assert all(later[: len(earlier)] == earlier for earlier, later in pairwise(sent))


def test_what_a_profile_keeps_is_asked_for(talk: Conversation, provider: CarrierProvider) -> None:
    talk.run(1)
    kept = KEPT.get(talk.model.removesuffix("-model"), {})
    assert {key: found for key, found in provider.bodies()[0].items() if key in kept} == kept


def test_a_conversation_that_began_elsewhere_goes_on_with_one_more_request_at_most(
    talk: Conversation, provider: CarrierProvider
) -> None:
    talk.messages += json.loads(json.dumps(FOREIGN))
    talk.run(5)
    assert len(provider.requests) <= 6
    provider.requests.clear()
    talk.run(5)
    assert [one.status for one in provider.requests] == [200] * 5


@pytest.mark.parametrize("carries", [True, False], ids=["carrying", "dropping"])
def test_a_responses_client_s_conversation_is_never_refused(
    place: Place, provider: CarrierProvider, carries: bool
) -> None:
    name = next(name for name, one in place.providers.items() if one is provider)
    with sdk(place.gateway.base_url, place.key) as client:
        talk = ResponsesClient(client, f"{name}-model", carries=carries)
        for turn in range(10):
            talk.ask(streamed=bool(turn % 2))
    assert provider.rejections == []
    assert len(provider.bodies()) == 10
