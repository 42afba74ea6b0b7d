"""Requests and tokens per minute and requests at once, of users and keys, as all nodes count them."""

from collections.abc import Iterator, Sequence
from contextlib import closing
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from addon.admission.limits import Refusal
from addon.admission.quota import Subject
from addon.ledger import limiter as books
from addon.ledger.limiter import Ticket, ticket_for
from shared.model import Limits
from shared.store.engine import Engine, Statement, Transaction
from shared.store.ledger import DEAD_AFTER_MS, Entry, Opening, open_exchange
from shared.store.limits import forget_lost_tickets
from shared.store.nodes import beat
from tests.support.database import open_database

FOR_EVER = 10**12


class Limiter:
    """What a node takes of the limits; times are seconds."""

    def __init__(self, engine: Engine, node: str = "node-1") -> None:
        self.engine = engine
        self.node = node
        self._names = count()
        self.write([beat(node, "1", 0, FOR_EVER)])

    def write(self, statements: Sequence[Statement]) -> None:
        self.engine.transact(lambda work: [work.run(*one) for one in statements], alone=())

    def count(self, subjects: Sequence[Subject], now: float) -> Refusal | None:
        ticket = self._ticket(subjects)
        return self.engine.transact(lambda work: books.count(work, ticket, _ms(now)), alone=())

    def admit(self, subjects: Sequence[Subject], tokens: int, now: float) -> Ticket | Refusal:
        ticket = self._ticket(subjects)

        def work(transaction: Transaction) -> Refusal | None:
            refused = books.check(transaction, ticket, tokens, _ms(now))
            return refused or books.begin(transaction, ticket, _ms(now))

        if refused := self.engine.transact(work, alone=()):
            return refused
        ticket.begun = True
        assert self.add_tokens(ticket, tokens, now) is None
        ticket.waits = True
        return ticket

    def add_tokens(self, ticket: Ticket, tokens: int, now: float) -> Refusal | None:
        def work(transaction: Transaction) -> Refusal | None:
            if refused := books.check(transaction, ticket, tokens, _ms(now)):
                return refused
            books.enter(transaction, ticket, tokens, _ms(now))
            return None

        if refused := self.engine.transact(work, alone=()):
            return refused
        ticket.tokens += tokens
        return None

    def give_back(self, ticket: Ticket, tokens: int) -> None:
        self.write(books.end(ticket, tokens, 0))

    def _ticket(self, subjects: Sequence[Subject]) -> Ticket:
        return ticket_for(subjects, f"{self.node}-{next(self._names)}", self.node)


def _ms(seconds: float) -> int:
    return round(seconds * 1000)


@pytest.fixture
def limiter(tmp_path: Path) -> Iterator[Limiter]:
    with closing(open_database(tmp_path / "adapter.db")) as engine:
        yield Limiter(engine)


def subject(name: str = "user:1", **limits: Any) -> Subject:
    return Subject(name, "your account", Limits(**limits))


def admitted(limiter: Limiter, one: Subject, tokens: int = 0, now: float = 0) -> Ticket:
    ticket = limiter.admit([one], tokens, now)
    assert isinstance(ticket, Ticket)
    return ticket


def refused(limiter: Limiter, *subjects: Subject, tokens: int = 0, now: float = 0) -> Refusal:
    refusal = limiter.admit(subjects, tokens, now)
    assert isinstance(refusal, Refusal)
    return refusal


def test_without_limits_everything_is_let_through(limiter: Limiter) -> None:
    for _ in range(10):
        admitted(limiter, subject(), tokens=10**9)


def test_requests_beyond_those_of_a_minute_wait_for_their_turn(limiter: Limiter) -> None:
    one = subject(rpm=2)
    for _ in range(2):
        admitted(limiter, one)
    refusal = refused(limiter, one)
    assert (refusal.what, refusal.retry_after, refusal.subject) == (
        "requests per minute (2)",
        30,
        one,
    )
    admitted(limiter, one, now=30)


def test_tokens_beyond_those_of_a_minute_wait_for_theirs(limiter: Limiter) -> None:
    one = subject(tpm=600)
    admitted(limiter, one, tokens=600)
    assert refused(limiter, one, tokens=100).retry_after == 10
    admitted(limiter, one, tokens=100, now=10)


def test_a_request_larger_than_a_minutes_tokens_goes_when_all_are_there(limiter: Limiter) -> None:
    one = subject(tpm=600)
    admitted(limiter, one, tokens=6000)
    assert refused(limiter, one, tokens=1, now=500).retry_after == 41


@pytest.mark.parametrize(
    ("used", "wait"), [(700, 20), (100, 0), (500, 0)], ids=["more", "less", "as many"]
)
def test_what_was_used_counts_instead_of_what_was_foreseen(
    limiter: Limiter, used: int, wait: int
) -> None:
    one = subject(tpm=600)
    limiter.give_back(admitted(limiter, one, tokens=500), used)
    after = limiter.admit([one], 100, 0)
    assert (after.retry_after if isinstance(after, Refusal) else 0) == wait


def test_exchanges_at_once_are_counted_until_they_end(limiter: Limiter) -> None:
    one = subject(concurrency=2)
    first = admitted(limiter, one)
    admitted(limiter, one)
    refusal = refused(limiter, one)
    assert (refusal.what, refusal.retry_after) == ("requests at once (2)", 2)
    limiter.give_back(first, 0)
    admitted(limiter, one)


def test_what_has_ended_leaves_nothing_behind(limiter: Limiter) -> None:
    for ticket in [admitted(limiter, subject(f"key:{n}")) for n in range(3)]:
        limiter.give_back(ticket, 0)
    assert limiter.engine.read("SELECT * FROM tickets") == []


def test_a_limit_of_nothing_lets_nothing_through(limiter: Limiter) -> None:
    for limits in ({"rpm": 0}, {"tpm": 0}, {"concurrency": 0}):
        refused(limiter, subject(**limits), tokens=1, now=10**6)


def test_a_key_at_its_limit_costs_its_user_nothing(limiter: Limiter) -> None:
    user, key = subject(rpm=2), subject("key:1", rpm=1)
    assert isinstance(limiter.admit([user, key], 0, 0), Ticket)
    assert refused(limiter, user, key).subject == key
    admitted(limiter, user)


def test_a_raised_limit_holds_at_once(limiter: Limiter) -> None:
    admitted(limiter, subject(rpm=1))
    admitted(limiter, subject(rpm=60), now=1)


def test_a_request_that_is_answered_at_once_counts_for_its_minute_alone(limiter: Limiter) -> None:
    user, key = subject(rpm=2, concurrency=1), subject("key:1", rpm=1, tpm=0)
    running = admitted(limiter, user)
    assert limiter.count([user], 0) is None
    refusal = limiter.count([user, key], 0)
    assert refusal is not None
    assert (refusal.subject, refusal.what, refusal.retry_after) == (
        user,
        "requests per minute (2)",
        30,
    )
    limiter.give_back(running, 0)
    assert limiter.count([user, key], 30) is None


def test_tokens_that_are_known_later_are_taken_then(limiter: Limiter) -> None:
    one = subject(tpm=600, concurrency=2)
    ticket = admitted(limiter, one)
    assert limiter.add_tokens(ticket, 500, 0) is None
    other = admitted(limiter, one)
    refusal = limiter.add_tokens(other, 200, 0)
    assert isinstance(refusal, Refusal)
    assert (refusal.what, refusal.retry_after) == ("tokens per minute (600)", 10)
    limiter.give_back(other, 0)
    limiter.give_back(ticket, 100)
    assert limiter.add_tokens(admitted(limiter, one), 500, 0) is None


def test_a_ticket_is_given_back_once(limiter: Limiter) -> None:
    one = subject(concurrency=1, tpm=600)
    ticket = admitted(limiter, one, tokens=100)
    limiter.give_back(ticket, 600)
    limiter.give_back(ticket, 0)
    admitted(limiter, one)
    assert refused(limiter, one).what == "requests at once (1)"
    assert refused(limiter, subject(tpm=600), tokens=100).retry_after == 10


def test_a_limit_that_is_set_while_exchanges_run_counts_them(limiter: Limiter) -> None:
    entry = Entry(exchange="x1", at=0, user_id=1, key_id=3)
    opening = Opening(node="node-1", entry=entry, reserved_tokens=0, reserved_cost_micros=0)
    limiter.write([open_exchange(opening)])
    for name in ("user:1", "key:3"):
        assert refused(limiter, subject(name, concurrency=1)).what == "requests at once (1)"
        admitted(limiter, subject(name, concurrency=2))


def test_a_clock_that_was_put_back_gives_nothing_and_blocks_for_no_more_than_a_minute(
    limiter: Limiter,
) -> None:
    one = subject(rpm=1)
    admitted(limiter, one, now=60)
    assert refused(limiter, one, now=0).retry_after == 60
    admitted(limiter, one, now=120)
    admitted(limiter, one, now=0)
    assert refused(limiter, one, now=0).retry_after == 60


def test_a_request_that_could_not_be_counted_counts_when_it_ends(limiter: Limiter) -> None:
    one = subject(rpm=1)
    limiter.give_back(ticket_for([one], "t", "node-1"), 0)
    assert refused(limiter, one).what == "requests per minute (1)"


def test_tickets_of_a_dead_node_come_back(limiter: Limiter) -> None:
    one, other = subject(concurrency=1), Limiter(limiter.engine, "node-2")
    admitted(limiter, one)
    limiter.write([beat("node-1", "1", 0, 0)])
    assert refused(other, one, now=(DEAD_AFTER_MS - 1) / 1000).what == "requests at once (1)"
    admitted(other, one, now=DEAD_AFTER_MS / 1000)
    limiter.write([forget_lost_tickets(DEAD_AFTER_MS)])
    assert limiter.engine.read("SELECT node FROM tickets") == [("node-2",)]
