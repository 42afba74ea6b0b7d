"""Real clients whose turns the gateway has lost: one request is refused and repaired, no client
sees an error, and the model goes on thinking, for this client and for everybody else.
"""

from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import NamedTuple

import pytest

from tests.clients.errand import Amnesia, Errand
from tests.clients.programs import PROGRAMS, Seat
from tests.support.client import Conversation, sdk
from tests.support.gateway import Gateway, upstream_environment
from tests.support.ledger import thinking_disabled
from tests.support.provider import StrictProvider
from tests.support.turns import Json, TurnMaker

CLIENTS = ("cline", "codex", "continue", "qwen-code")
CALL = {"id": "call_1", "type": "function", "function": {"name": "Read", "arguments": "{}"}}
CALLED: list[Json] = [
    {"role": "assistant", "content": "", "tool_calls": [CALL]},
    {"role": "tool", "tool_call_id": "call_1", "content": "hello"},
    {"role": "user", "content": "Go on."},
]
"""A turn that another model made."""


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

    def talk_as_another(self, model: str) -> None:
        """Another user goes on with a conversation that another model began."""
        self.provider.maker = TurnMaker(Random(model))
        with sdk(self.amnesia.gateway.base_url, self.other_key) as client:
            conversation = Conversation(client, model)
            conversation.messages += CALLED
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
    scene.talk_as_another("house-model")
    scene.assert_it_thought()
    assert len(scene.provider.rejections) == 1


def errand_of(client: str, directory: Path, word: str = "goodbye") -> Errand:
    """What the client is to do, in the directory's own folder."""
    (folder := directory / "work").mkdir(parents=True)
    return Errand(folder, Random(f"{client} {word}"), word)
