"""Two nodes on one database agree with a model of it, whatever they do and wherever one comes into
the other's transactions: quotas hold, every exchange counts once, turns are found at once.
"""

import os
from collections.abc import Callable
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    rule,
    run_state_machine_as_test,
)
from msgspec.structs import replace

from addon.formats.neutral.problem import RequestError
from addon.ledger.meter import Meter, Opened
from shared.errors import Busy
from shared.model import Limits
from shared.store import open_engine
from shared.store.engine import Engine
from shared.store.ledger import DEAD_AFTER_MS, LOST, Entry, balance_of
from shared.store.lookup import Wanted, look_up
from shared.store.recall import add_keys, find_tokens, find_turns, forget_old, keep_turn
from tests.addon.callers import principal, user
from tests.addon.recall.chat import StoppedClock
from tests.shared.store.interleaving import Interrupted
from tests.support.database import place_database
from tests.support.postgres import empty_database, wipe

QUOTA, RESERVED, GUESSED = 700, 150, 100
"""Tokens: of the user, of each exchange, and of one whose node dies."""

NAMESPACE = b"user:7"
NODES = st.sampled_from(["a", "b"])
PICK = st.integers(0, 1000)
POINT = st.integers(0, 9)

EXAMPLES = int(os.environ.get("EXAMPLES", "8"))
"""Stories of each engine; more of them: EXAMPLES=500."""

type Action = Callable[[], None]
"""What a node does; raises Busy when it has to wait for the other."""


class Node:
    """A data plane's books over the database."""

    def __init__(self, database: str, name: str, clock: StoppedClock) -> None:
        self.name = name
        self.engine = Interrupted(open_engine(database), clock=clock)
        self.meter = Meter(self.engine, clock, node=name, version="1")

    def open(self, exchange: str, now: int, quota_tokens: int = QUOTA) -> Opened:
        """An exchange of the user that is to be reserved."""
        caller = principal(user(limits=Limits(quota_tokens=quota_tokens)))
        entry = Entry(
            exchange=exchange,
            at=now,
            user_id=7,
            upstream="up",
            upstream_model="m",
            model="m",
            conversation="c",
            status=200,
        )
        known = look_up(self.engine, Wanted())
        ticket = self.meter.admit(caller)
        return self.meter.open(caller, entry, ticket, known, size=400, max_tokens=50)


class TwoNodes(RuleBasedStateMachine):
    """Each rule is one node's action, into which the other may come with one of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.clock = StoppedClock()
        database = self.place()
        self.nodes = {name: Node(database, name, self.clock) for name in "ab"}
        self.number = 0
        self.open: dict[str, tuple[Node, Opened]] = {}
        self.lost: dict[str, tuple[Node, Opened]] = {}
        """Settled by the other node; its own has not told yet."""

        self.settled: dict[str, tuple[str, int]] = {}
        """Error class and tokens."""

        self.turns: dict[str, int] = {}
        """When each was last used."""

    def place(self) -> str:
        """Make a database without rows; its URL."""
        raise NotImplementedError

    @rule(
        first=NODES,
        what=st.integers(0, 3),
        pick=PICK,
        also=st.integers(0, 3),
        picks=PICK,
        point=POINT,
    )
    def act(self, first: str, what: int, pick: int, also: int, picks: int, point: int) -> None:
        """One node's action, and another's before some statement of its."""
        one, other = (self.nodes[name] for name in (first, "ab".replace(first, "")))
        mine, its = self.action(one, what, pick), self.action(other, also, picks)
        one.engine.interrupt(point, its)
        again(mine)
        again(one.engine.end)
        one.engine.interrupt(0, None)

    @rule(sleeper=NODES)
    def sleep(self, sleeper: str) -> None:
        """One node shows nothing for so long that the other settles what it runs."""
        self.clock.ms += DEAD_AFTER_MS
        awake = self.nodes["ab".replace(sleeper, "")]
        awake.meter.each_second()
        its = [exchange for exchange, (node, _) in self.open.items() if node.name == sleeper]
        for exchange in its:
            self.lost[exchange] = self.open.pop(exchange)
            self.settled[exchange] = (LOST, GUESSED)

    @rule()
    def live(self) -> None:
        """Both nodes show that they live."""
        self.clock.ms += DEAD_AFTER_MS // 4
        for node in self.nodes.values():
            node.meter.each_second()

    @rule(name=NODES, age=st.integers(0, 2))
    def forget(self, name: str, age: int) -> None:
        since = self.clock.ms - age * DEAD_AFTER_MS // 4
        statements = forget_old(unused_since=since, max_bytes=1 << 30)
        self.nodes[name].engine.write_later(statements, alone=("tending",))
        self.turns = {token: used for token, used in self.turns.items() if used >= since}

    @invariant()
    def agrees(self) -> None:
        """Each node sees what the model says."""
        for node in self.nodes.values():
            node.engine.flush()
        for node in self.nodes.values():
            self.see(node.engine)

    def see(self, engine: Engine) -> None:
        rows = engine.read("SELECT exchange, error_class, prompt_tokens FROM ledger")
        assert {exchange: (error, tokens) for exchange, error, tokens in rows} == self.settled
        spent = sum(tokens for _, tokens in self.settled.values())
        balance = balance_of(engine, "user:7", "lifetime", self.clock.ms)
        assert (balance.tokens, balance.reserved_tokens) == (spent, RESERVED * len(self.open))
        assert spent + balance.reserved_tokens <= QUOTA
        lost = sum(error == LOST for error, _ in self.settled.values())
        for table in ("usage_daily", "conversations"):
            [sums] = engine.read(
                "SELECT coalesce(sum(requests), 0), coalesce(sum(prompt_tokens), 0), "
                f"coalesce(sum(estimated), 0) FROM {table}"
            )
            assert sums == (len(self.settled), spent, lost)
        assert {x for (x,) in engine.read("SELECT exchange FROM open_exchanges")} == set(self.open)
        assert find_turns(engine, NAMESPACE, [*self.turns]).keys() == self.turns.keys()
        keys = [token.encode() for token in self.turns]
        assert find_tokens(engine, keys, 2) == {key: [key.decode()] for key in keys}

    def action(self, node: Node, what: int, pick: int) -> Action:
        """Something that the node can do."""
        mine = [exchange for exchange, (of, _) in self.open.items() if of is node]
        late = [exchange for exchange, (of, _) in self.lost.items() if of is node]
        if what == 1 and mine:
            return partial(self.end, self.open.pop(mine[pick % len(mine)]), pick % GUESSED)
        if what == 2 and late:
            return partial(self.end, self.lost.pop(late[pick % len(late)]), pick % GUESSED)
        self.number += 1
        if what == 3:
            return partial(self.keep, node, f"turn {self.number:04}")
        return partial(self.begin_exchange, node, node.open(f"x{self.number}", self.clock.ms))

    def begin_exchange(self, node: Node, opened: Opened) -> None:
        try:
            node.meter.reserve(opened)
        except RequestError:
            self.end((node, opened), 0)
            return
        if not opened.reserved:
            raise Busy
        self.open[opened.entry.exchange] = (node, opened)

    def end(self, exchange: tuple[Node, Opened], tokens: int) -> None:
        node, opened = exchange
        entry = replace(opened.entry, prompt_tokens=tokens, cost_micros=None)
        node.meter.settle(entry, opened, None)
        self.settled[entry.exchange] = ("", tokens)

    def keep(self, node: Node, token: str) -> None:
        now = self.clock.ms
        turn = keep_turn(
            token=token, namespace=NAMESPACE, complete=True, length=4, body=b"body", now=now
        )
        if not node.engine.try_write([turn, *add_keys(token, [token.encode()])]):
            raise Busy
        self.turns[token] = now

    def teardown(self) -> None:
        for node in self.nodes.values():
            node.engine.close()


def again(action: Action) -> None:
    """Do it as soon as the other lets it."""
    for _ in range(10_000):
        try:
            return action()
        except Busy:
            pass
    raise AssertionError("one node waits for the other for ever")


class OnSqlite(TwoNodes):
    """With a file between them."""

    def place(self) -> str:
        self.folder = TemporaryDirectory()
        path = Path(self.folder.name) / "adapter.db"
        place_database(path)
        return f"sqlite:{path}"

    def teardown(self) -> None:
        super().teardown()
        self.folder.cleanup()


class OnPostgres(TwoNodes):
    """With a server between them."""

    def place(self) -> str:
        wipe(empty_database())
        return empty_database()


@pytest.mark.parametrize("machine", [OnSqlite, OnPostgres])
def test_two_nodes_agree_with_the_model(machine: type[TwoNodes]) -> None:
    few = settings(
        max_examples=EXAMPLES,
        stateful_step_count=25,
        deadline=None,
    )
    run_state_machine_as_test(machine, settings=few)
