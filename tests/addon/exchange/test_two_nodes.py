"""Two gateways over one database, and a client that goes from one to the other: a turn whose end it
has seen is known to both.
"""

import asyncio
import json
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from pathlib import Path
from random import Random

import pytest

from addon.exchange.awaited_store import awaited
from addon.exchange.exchange import Exchange
from addon.formats.wire.pace import worked
from addon.recall.memory import Recall
from shared.store import open_engine
from tests.addon.desk import Desk
from tests.addon.recall.chat import Json
from tests.harden.figure import at_scale
from tests.support.postgres import empty_database, wipe
from tests.support.turns import Call, Turn, events

TURNS = at_scale(suite=500, full=10_000)
BUSY_EVERY = 7
"""Another program is writing at the end of one turn among so many."""


class Node(Desk):
    """A gateway; `do` does its work as the gateway does, which may have to wait."""

    def __init__(self, path: Path, url: str) -> None:
        super().__init__(path)
        memory = self.memory
        memory.engine.close()
        memory.engine = awaited(open_engine(url))
        self.is_far = memory.engine.remote
        self._runner = asyncio.Runner()
        memory.recall = Recall(memory.engine, memory.clock, memory_bytes=1 << 20, shared=True)
        self.meter = self.new_meter()
        self.answers = self.new_answers()

    def do[T](self, work: Callable[[], T]) -> T:
        return self._runner.run(worked(work, self.memory.clock.monotonic))

    def close(self) -> None:
        self.memory.engine.close()
        self._runner.close()


@pytest.fixture(params=["sqlite", "postgresql"])
def nodes(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[list[Node]]:
    path = tmp_path / "adapter.db"
    url = f"sqlite:{path}"
    if request.param == "postgresql":
        url = empty_database()
        wipe(url)
    made = [Node(path, url) for _ in range(2)]
    yield made
    for node in made:
        node.close()


def asked(node: Node, messages: list[Json]) -> Exchange:
    return node.do(lambda: node.open(messages, stream=True))


def answered(node: Node, exchange: Exchange, turn: Turn, *, busy: bool) -> Json:
    """The message that the client has when it has seen the end of the answer; `busy`: another
    program writes when that comes.
    """
    answer = exchange.stream({})
    busy = busy and not node.is_far  # others' writes do not hold ours up there
    with node.memory.locked() if busy else nullcontext():
        out = b"".join(answer.feed(event) for event in events(turn, "m", Random(1)))
        assert not (busy and exchange.storing.over)
    while not exchange.storing.over:
        node.memory.engine.flush()
    deltas = [
        json.loads(line[6:])["choices"][0]["delta"]
        for line in out.splitlines()
        if line.startswith(b"data: {") and json.loads(line[6:])["choices"]
    ]
    [call] = [one for delta in deltas for one in delta.get("tool_calls", ()) if "id" in one]
    function = {"name": turn.calls[0].name, "arguments": turn.calls[0].arguments}
    made = {"id": call["id"], "type": "function", "function": function}
    return {"role": "assistant", "content": "", "tool_calls": [made]}


def test_a_turn_that_one_has_finished_is_known_to_the_other_when_its_end_is_seen(
    nodes: list[Node],
) -> None:
    rng, missed = Random(1), 0
    for number in range(TURNS):
        messages: list[Json] = [{"role": "user", "content": "hi"}]
        turn = Turn(
            reasoning=f"thought {number}", calls=(Call("call_1", "Read", '{"path":"a.py"}'),)
        )
        maker = rng.choice(nodes)
        first = asked(maker, messages)
        message = answered(maker, first, turn, busy=number % BUSY_EVERY == 0)
        messages += [
            message,
            {"role": "tool", "tool_call_id": message["tool_calls"][0]["id"], "content": "fine"},
        ]
        other = nodes[1 - nodes.index(maker)]
        second = asked(other, messages)
        sent = json.loads(second.outgoing.body)["messages"][1]
        missed += sent.get("reasoning_content") != turn.reasoning
    assert missed == 0
