"""Real coding agents over upstreams that refuse lost reasoning: they finish, and nothing is
refused.
"""

from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import NamedTuple

import pytest

from tests.clients.agents import AGENTS
from tests.clients.errand import Amnesia, Errand, carried
from tests.clients.programs import Agent, Seat
from tests.e2e.trio import ANTHROPIC, AZURE
from tests.support.gateway import Gateway, upstream_environment, upstream_table
from tests.support.messenger import StrictMessenger
from tests.support.provider import StrictProvider
from tests.support.responder import StrictResponder

UPSTREAMS = {"responses": (StrictResponder, AZURE), "messages": (StrictMessenger, ANTHROPIC)}
REWRITE = {"from_pattern": ".", "to_template": "claude-opus-4-8", "effort": "high"}


class Elsewhere(NamedTuple):
    """A gateway, its only upstream, which does not speak Chat Completions, and a user's key."""

    gateway: Gateway
    upstream: StrictResponder | StrictMessenger
    key: str


class Forgetful(NamedTuple):
    """A gateway that can be made to forget, its provider, and a user's key."""

    amnesia: Amnesia
    provider: StrictProvider
    key: str


@pytest.fixture(params=AGENTS)
def agent(request: pytest.FixtureRequest) -> Agent:
    if request.param.startswith("openai-agents"):
        pytest.importorskip(
            "agents", reason="openai-agents can't be installed beside mitmproxy on this Python"
        )
    else:
        request.getfixturevalue("programs")
    return AGENTS[request.param]


@pytest.fixture
def errand(request: pytest.FixtureRequest, tmp_path: Path) -> Errand:
    (folder := tmp_path / "work").mkdir()
    return Errand(folder, Random(request.node.name))


def test_an_agent_does_its_errand(
    agent: Agent, errand: Errand, gateway: Gateway, provider: StrictProvider, key: str
) -> None:
    provider.maker = errand
    assert agent(Seat(errand.folder, gateway, key), [errand.prompt]).strip() == errand.done
    assert_all_was_restored(provider, errand)


@pytest.fixture(scope="module", params=UPSTREAMS)
def elsewhere(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Elsewhere]:
    kind, settings = UPSTREAMS[request.param]
    with kind() as upstream:
        config = upstream_table(
            "elsewhere", upstream.base_url, model_rewrites=[REWRITE], **settings
        )
        with Gateway(tmp_path_factory.mktemp("elsewhere"), config=config) as gateway:
            yield Elsewhere(gateway, upstream, gateway.new_user("ada"))


def test_an_agent_does_its_errand_over_the_other_formats(
    agent: Agent, errand: Errand, elsewhere: Elsewhere
) -> None:
    gateway, upstream, key = elsewhere
    upstream.maker = errand
    before = len(upstream.bodies)
    assert agent(Seat(errand.folder, gateway, key), [errand.prompt]).strip() == errand.done
    assert errand.is_done
    assert upstream.rejections == []
    assert len(upstream.bodies) - before == len(errand.turns)


@pytest.fixture(scope="module")
def forgetful(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Forgetful]:
    with (
        StrictProvider() as provider,
        Gateway(
            tmp_path_factory.mktemp("forgetful"), upstream_environment(provider.base_url)
        ) as gateway,
        Amnesia(gateway) as amnesia,
    ):
        # The upstream's own ids are in the table only: without it calls go by those that
        # the client has.
        provider.ledger.any_ids = True
        yield Forgetful(amnesia, provider, gateway.new_user("ada"))


@pytest.mark.parametrize("agent", ["openai-agents", "codex, gpt", "claude-code"], indirect=True)
def test_an_agent_that_carries_its_reasoning_needs_no_table(
    agent: Agent, errand: Errand, forgetful: Forgetful
) -> None:
    amnesia, provider, key = forgetful
    provider.reset()
    provider.maker = errand
    errand.interludes = dict.fromkeys((1, 3), amnesia.command)
    before = amnesia.times
    seat = Seat(errand.folder, amnesia.gateway, key)
    assert agent(seat, [errand.prompt]).strip() == errand.done
    assert amnesia.times == before + 2
    assert_all_was_restored(provider, errand)


def assert_all_was_restored(provider: StrictProvider, errand: Errand) -> None:
    issued = [turn.reasoning for turn in errand.turns]
    assert errand.is_done
    assert provider.rejections == []
    assert carried(provider.bodies()) == [issued[:before] for before in range(len(issued))]
