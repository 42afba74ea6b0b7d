"""Real clients whose turns the gateway has lost: one request is refused and repaired, no client
sees an error, and the model goes on thinking, for this client and for everybody else.
"""

from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import NamedTuple

import pytest

from tests.clients.errand import Amnesia, Errand, TextErrand
from tests.clients.programs import PROGRAMS, Seat
from tests.support.client import Conversation, sdk
from tests.support.gateway import Gateway, upstream_environment
from tests.support.ledger import thinking_disabled
from tests.support.provider import StrictProvider
from tests.support.turns import Json, TurnMaker

CLIENTS = ("aider", "cline", "codex", "continue", "qwen-code")
CARRY_NO_COPY = ("aider", "codex", "continue")
"""Those that can't say themselves what was thought; Codex's copies can't be opened any more."""

CALL = {"id": "call_1", "type": "function", "function": {"name": "Read", "arguments": "{}"}}
CALLED: list[Json] = [
    {"role": "assistant", "content": "", "tool_calls": [CALL]},
    {"role": "tool", "tool_call_id": "call_1", "content": "hello"},
    {"role": "user", "content": "Go on."},
]
"""A turn that another model made, with a call."""

SAID: list[Json] = [
    {"role": "assistant", "content": "It says hello."},
    {"role": "user", "content": "Go on."},
]
"""A turn that another model made, without."""


class Scene(NamedTuple):
    """A gateway that can be made to forget, and its upstream, which demands the reasoning of all
    turns; a user's key and another's.
    """

    amnesia: Amnesia
    provider: StrictProvider
    key: str
    other_key: str

    def talk(self, client: str, model: str, errand: Errand, *, loses: bool = False) -> None:
        """Have the client do the errand to its end, and the gateway forget in between."""
        self.provider.maker = errand
        interlude = self.amnesia.command if loses else ""
        prompts = errand.prompts(interlude)
        if client == "cline":
            prompts = prompts[:1]  # it can be told no more without a terminal
        seat = Seat(errand.folder, self.amnesia.gateway, self.key, model)
        assert errand.done in PROGRAMS[client](seat, prompts)
        assert errand.is_done
        assert self.amnesia.times == 1

    def talk_as_another(self, model: str, begun: list[Json]) -> None:
        """Another user goes on with a conversation that another model began."""
        self.provider.maker = TurnMaker(Random(model))
        with sdk(self.amnesia.gateway.base_url, self.other_key) as client:
            conversation = Conversation(client, model)
            conversation.messages += begun
            conversation.run(3)
        assert all(reply.reasoning is not None for reply in conversation.replies)

    def assert_it_thought(self) -> None:
        """In each answer that the upstream gave since the reset."""
        assert not any(thinking_disabled(body) for body in self.provider.bodies())


@pytest.fixture
def client(request: pytest.FixtureRequest) -> str:
    name = str(request.param)
    request.getfixturevalue("aider" if name == "aider" else "programs")
    return name


@pytest.fixture
def scene(client: str, tmp_path: Path) -> Iterator[Scene]:
    (directory := tmp_path / "gateway").mkdir()
    with (
        StrictProvider(scope="all") as provider,
        Gateway(directory, upstream_environment(provider.base_url)) as gateway,
        Amnesia(gateway) as amnesia,
    ):
        # What the upstream called its calls is lost with the turns, and so are sealed copies.
        provider.ledger.any_ids = True
        amnesia.loses_key = True
        yield Scene(amnesia, provider, gateway.new_user("ada"), gateway.new_user("grace"))


@pytest.mark.parametrize("client", CLIENTS, indirect=True)
def test_a_lost_turn_costs_one_refused_request(client: str, scene: Scene, tmp_path: Path) -> None:
    errand = errand_of(client, tmp_path / "first")
    errand.thoughtless = errand.lost
    scene.talk(client, "house-model", errand, loses=True)
    scene.assert_it_thought()
    scene.talk_as_another("house-model", SAID if client == "aider" else CALLED)
    scene.assert_it_thought()
    assert len(scene.provider.rejections) == 1


@pytest.mark.parametrize("client", CARRY_NO_COPY, indirect=True)
def test_a_conversation_without_thinking_stays_alone(
    client: str, scene: Scene, tmp_path: Path
) -> None:
    """The upstream takes nothing in place of what it thought in a lost turn."""
    errand = errand_of(client, tmp_path / "first")
    scene.talk(client, "deepseek-v4-pro", errand, loses=True)
    refused = [rejection.fault for rejection in scene.provider.rejections]
    assert refused in (["altered"], ["foreign", "altered"])  # aider makes turns up itself
    scene.provider.reset()
    errand = errand_of(client, tmp_path / "second", "farewell")
    scene.talk(client, "deepseek-v4-pro", errand)
    scene.assert_it_thought()
    scene.talk_as_another("deepseek-v4-pro", CALLED + SAID)
    scene.assert_it_thought()
    assert scene.provider.rejections == []


def errand_of(client: str, directory: Path, word: str = "goodbye") -> Errand:
    """What the client is to do, in the directory's own folder."""
    (folder := directory / "work").mkdir(parents=True)
    kind = TextErrand if client == "aider" else Errand
    return kind(folder, Random(f"{client} {word}"), word)
