"""Real coding agents over upstreams that refuse lost reasoning: they finish, nothing is refused,
and no call is lost.
"""

import os
import re
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import cache, partial
from pathlib import Path
from random import Random
from typing import NamedTuple

import pytest

from tests.clients.agents import AGENTS
from tests.clients.delegation import Delegation
from tests.clients.errand import Amnesia, Errand, TextErrand, carried
from tests.clients.programs import PROGRAMS, Agent, Seat
from tests.e2e.trio import ANTHROPIC, AZURE
from tests.support.gateway import Gateway, upstream_environment, upstream_table
from tests.support.messenger import StrictMessenger
from tests.support.provider import StrictProvider
from tests.support.responder import StrictResponder

UPSTREAMS = {"responses": (StrictResponder, AZURE), "messages": (StrictMessenger, ANTHROPIC)}
REWRITE = {"from_pattern": ".", "to_template": "claude-opus-4-8", "effort": "high"}
EVERYONE = PROGRAMS | AGENTS
FORMATS = ("chat", *UPSTREAMS)
SITTINGS = {
    "claude-code": "chat",
    "codex": "chat",
    "codex, gpt": "messages",
    "continue": "messages",
    "openai-agents": "chat",
    "opencode": "messages",
    "pi": "responses",
    "pi, messages": "responses",
    "pi, responses": "chat",
}
"""The formats of the upstreams that these are tried over when there is no time for all pairs:
test_lost_turns.py starts the others, too.
"""

PAIRS = [
    (name, form)
    for form in FORMATS
    for name in EVERYONE
    if os.environ.get("HARDEN") or SITTINGS.get(name) == form
]
ERRANDS = [
    (name, form)
    for form in FORMATS
    for name in AGENTS
    if os.environ.get("HARDEN") or SITTINGS.get(name) != form
]
"""Whoever does an errand in two sittings does it in one, too."""

REFUSED = re.compile(r"^\S+ \S+ [45]\d\d .*", re.MULTILINE)
"""A line of the gateway's log about a request that was refused."""


class Place(NamedTuple):
    """A gateway, its only upstream, and a user's key."""

    gateway: Gateway
    upstream: StrictProvider | StrictResponder | StrictMessenger
    key: str


class Forgetful(NamedTuple):
    """A gateway that can be made to forget, its provider, and a user's key."""

    amnesia: Amnesia
    provider: StrictProvider
    key: str


@pytest.fixture
def agent(request: pytest.FixtureRequest) -> Agent:
    name = str(request.param)
    if name.startswith("openai-agents"):
        pytest.importorskip(
            "agents", reason="openai-agents can't be installed beside mitmproxy on this Python"
        )
    else:
        request.getfixturevalue("aider" if name.startswith("aider") else "programs")
    return EVERYONE[name]


@pytest.fixture
def errand(request: pytest.FixtureRequest, tmp_path: Path) -> Errand:
    (folder := tmp_path / "work").mkdir()
    kind = TextErrand if "aider" in request.node.name else Errand
    return kind(folder, Random(request.node.name))


@pytest.mark.parametrize("agent", [name for name, form in ERRANDS if form == "chat"], indirect=True)
def test_an_agent_does_its_errand(
    agent: Agent, errand: Errand, gateway: Gateway, provider: StrictProvider, key: str
) -> None:
    provider.maker = errand
    assert agent(Seat(errand.folder, gateway, key), [errand.prompt]).strip() == errand.done
    assert_all_was_restored(provider, errand)


@pytest.fixture(scope="module")
def places(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str], Place]]:
    """Starts what stands in the place of a format, once."""
    with ExitStack() as stack:
        yield cache(partial(_start, stack, tmp_path_factory))


def _start(stack: ExitStack, directories: pytest.TempPathFactory, form: str) -> Place:
    kind, settings = UPSTREAMS[form]
    upstream = stack.enter_context(kind())
    config = upstream_table("elsewhere", upstream.base_url, model_rewrites=[REWRITE], **settings)
    gateway = stack.enter_context(Gateway(directories.mktemp("elsewhere"), config=config))
    return Place(gateway, upstream, gateway.new_user("ada"))


@pytest.fixture
def place(request: pytest.FixtureRequest, places: Callable[[str], Place]) -> Place:
    if request.param in UPSTREAMS:
        return places(request.param)
    return Place(*map(request.getfixturevalue, ("gateway", "provider", "key")))


@pytest.mark.parametrize(
    ("agent", "place"), [pair for pair in ERRANDS if pair[1] in UPSTREAMS], indirect=True
)
def test_an_agent_does_its_errand_over_the_other_formats(
    agent: Agent, errand: Errand, place: Place
) -> None:
    gateway, upstream, key = place
    assert not isinstance(upstream, StrictProvider)
    upstream.maker = errand
    before = len(upstream.bodies)
    assert agent(Seat(errand.folder, gateway, key), [errand.prompt]).strip() == errand.done
    assert errand.is_done
    assert upstream.rejections == []
    assert len(upstream.bodies) - before == len(errand.turns)


@pytest.mark.parametrize(("agent", "place"), PAIRS, indirect=True)
def test_an_agent_goes_on_with_its_errand_in_a_second_sitting(
    agent: Agent, place: Place, errand: Errand
) -> None:
    gateway, upstream, key = place
    upstream.maker = errand
    rejected, logged = len(upstream.rejections), len(gateway.log)
    assert errand.done in agent(Seat(errand.folder, gateway, key), errand.prompts())
    assert errand.is_done
    assert errand.lost_calls == []
    assert upstream.rejections[rejected:] == []
    assert REFUSED.findall(gateway.log[logged:]) == []


@pytest.mark.parametrize("agent", ["codex", "codex, gpt", "claude-code"], indirect=True)
def test_an_agent_finds_tools_and_sends_a_second_agent(
    agent: Agent, gateway: Gateway, provider: StrictProvider, key: str, tmp_path: Path
) -> None:
    """The upstream knows neither Codex's namespaces nor its search, nor references to tools."""
    provider.maker = delegation = Delegation(tmp_path, Random("delegation"))
    logged = len(gateway.log)
    assert delegation.done in agent(Seat(tmp_path, gateway, key), [delegation.prompt])
    assert delegation.has_looked
    assert delegation.has_report
    assert provider.rejections == []
    assert REFUSED.findall(gateway.log[logged:]) == []


@pytest.mark.parametrize("agent", ["codex", "claude-code"], indirect=True)
def test_an_agent_goes_on_after_its_conversation_was_compacted(
    agent: Agent, errand: Errand, gateway: Gateway, provider: StrictProvider, key: str
) -> None:
    """Codex does that itself after a thought that fills its context, Claude Code when told to."""
    provider.maker, logged = errand, len(gateway.log)
    prompt, follow_up = errand.prompts()
    prompts = [prompt, "/compact", follow_up]
    if agent is AGENTS["codex"]:
        errand.ponders = 2
        prompts.remove("/compact")
    assert errand.done in agent(Seat(errand.folder, gateway, key), prompts)
    assert errand.compactions == 1
    assert errand.is_done
    assert provider.rejections == []
    assert REFUSED.findall(gateway.log[logged:]) == []


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
