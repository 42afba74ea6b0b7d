"""Alike conversations whose clients keep what they get, or their ids, or both: each upstream gets
the conversation's own reasoning, once where messages become one turn, and the same again.
"""

from collections.abc import Iterator
from random import Random

import pytest

from shared.config.schema import Upstream
from tests.addon.desk import Desk, upstream
from tests.addon.exchange.answers import KINDS, turn
from tests.addon.exchange.dialogue import PATHS, Dialogue

SEEDS = 90
STEPS = 5
KEYS = ("sk-a-secret", "sk-b-secret", "sk-c-secret")
SAID = ("Done.", "I look.", "All of it is done, and the tests of the three changed files pass now.")


class Talker:
    """One client over one kind of upstream; its thoughts have its mark."""

    def __init__(self, desk: Desk, rng: Random, wire_format: str, kind: str, mark: str) -> None:
        self.desk = desk
        self.rng = rng
        self.kind = kind
        self.mark = mark
        self.keeps = rng.random() < 0.6
        self.replaces = self.keeps and rng.random() < 0.5
        self.splits = not self.replaces and rng.random() < 0.3
        self.talk = Dialogue(desk, wire_format, "The same for all.")
        self.thoughts: list[str] = []

    def step(self, number: int) -> None:
        """The next turn; what goes out before it is judged."""
        exchange = self.talk.open()
        self.judge(exchange.outgoing.body.decode())
        thought = f"thought {self.mark} {number};"
        self.talk.hear(exchange, turn(self.kind, thought, SAID[number % len(SAID)], number))
        self.thoughts.append(thought)
        if not self.keeps:
            self.talk.forget_reasoning()
        if self.replaces:
            self.talk.replace_ids(self.rng.choice(("", "same")))
        if self.splits:
            self.talk.split()
        self.talk.say(f"Go on, step {number}.")

    def judge(self, body: str) -> None:
        """Each thought of the conversation's own is in it, and no other's."""
        found = [thought for thought in self.thoughts if thought in body]
        assert body.count("thought ") == sum(body.count(thought) for thought in found), "another's"
        assert found == self.thoughts, "lost"
        if self.kind in ("responses", "messages"):
            assert all(body.count(thought) == 1 for thought in found), "twice"
        assert self.talk.open().outgoing.body.decode() == body, "not the same again"


def upstream_of(kind: str) -> Upstream:
    if kind in ("responses", "messages"):
        return upstream(api=kind, api_keys=KEYS)
    return upstream(profile=kind, api_keys=KEYS)


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    found = Desk(tmp_path_factory.mktemp("copies") / "adapter.db")
    yield found
    found.memory.engine.close()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("wire_format", PATHS)
def test_each_conversation_has_its_own_reasoning(desk: Desk, wire_format: str, kind: str) -> None:
    desk.upstreams = (upstream_of(kind),)
    for seed in range(-(-SEEDS // (len(KINDS) * len(PATHS)))):
        rng = Random(f"{wire_format} {kind} {seed}")
        marks = [f"{wire_format}-{seed}-{name}" for name in "abc"]
        talkers = [Talker(desk, rng, wire_format, kind, mark) for mark in marks]
        for number in range(STEPS):
            for talker in rng.sample(talkers, len(talkers)):
                talker.step(number)
            if rng.random() < 0.2:
                desk.restart()
