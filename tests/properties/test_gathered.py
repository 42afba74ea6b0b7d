"""Over a table across a network a conversation is resolved as beside it, and asks at most twice: once
for what the messages name, once for the turns that this leads to. Only a turn that the one after it
may tell, which has no id itself, is asked for then.
"""

import asyncio
from collections import Counter
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from random import Random

import pytest

from addon.exchange.awaited_store import awaited
from addon.formats.wire.pace import worked
from addon.recall.memory import Recall
from tests.addon.recall.chat import Chat, Memory
from tests.harden.figure import at_scale
from tests.properties.test_recall import HAPPENINGS, STEPS, Client
from tests.support.database import open_database
from tests.support.remote import RemoteEngine

RUNS = at_scale(suite=4, full=120)
ROUNDS = 2
UNKNOWN = ("missing", "client")
BY_ITSELF = ("id", "anchor", "stop", "result", "words", "text")
"""The rules that need no turn beside it."""


class FarMemory(Memory):
    """The recall of one process over a table across a network, and of one beside it; neither holds
    more than a turn.
    """

    def __init__(self, path: Path) -> None:
        super().__init__(path, memory_bytes=1)
        self.near = Recall(self.engine, self.clock, memory_bytes=1, shared=True)
        self.far = RemoteEngine(open_database(path, self.clock))
        self.far.serves = True
        self.counts: Counter[int] = Counter()
        """Requests by the rounds that they took."""

        self.recall = Recall(awaited(self.far), self.clock, memory_bytes=1)


class FarChat(Chat):
    """A conversation that is resolved twice, and counts what it asks."""

    memory: FarMemory

    def prepare(self) -> None:
        memory, far = self.memory, self.memory.recall
        memory.far.flush()
        memory.far.fetched.clear()
        memory.recall = memory.near
        super().prepare()
        near, memory.recall = (self.sent, self.restoration), far
        asyncio.run(worked(super().prepare, memory.clock.monotonic))
        assert (self.sent, self.restoration) == near
        assert self.restoration is not None
        rules = [one.rule for one in self.restoration.diagnoses]
        links = sum(
            before not in BY_ITSELF and after not in ("id", *UNKNOWN)
            for before, after in pairwise(rules)
        )
        assert len(memory.far.fetched) <= ROUNDS + links
        memory.counts[len(memory.far.fetched)] += 1


class FarClient(Client):
    def __init__(self, memory: FarMemory, rng: Random, principal: str, profile: str) -> None:
        super().__init__(memory, rng, principal, profile)
        self.chat = FarChat(memory, principal=principal, profile=profile)


@pytest.fixture(scope="module")
def memory(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FarMemory]:
    found = FarMemory(tmp_path_factory.mktemp("far") / "adapter.db")
    yield found
    found.far.close()
    found.engine.close()


@pytest.mark.parametrize("seed", range(RUNS))
def test_two_rounds_are_enough_and_find_what_is_found_beside_the_table(
    memory: FarMemory, seed: int
) -> None:
    rng = Random(seed)
    clients = [FarClient(memory, rng, f"user:{seed}", "deepseek-v4") for _ in range(3)]
    for number in range(STEPS):
        client = rng.choice(clients)
        happening = rng.choices([*HAPPENINGS, Client.fork, None], [8, 5, 7, 8, 8, 64])[0]
        if happening is Client.fork:
            clients.append(client.fork())  # type: ignore[arg-type]
        elif happening is not None:
            happening(client)
        client.answer(number)


def test_hardly_any_request_takes_a_third_round(memory: FarMemory) -> None:
    more = sum(count for rounds, count in memory.counts.items() if rounds > ROUNDS)
    assert more <= memory.counts.total() / 20
