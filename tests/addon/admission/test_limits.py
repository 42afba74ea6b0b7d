"""Requests and tokens per minute and exchanges at once, of users and keys."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from addon.admission.limits import Limiter, Refusal, Ticket
from addon.admission.quota import Subject
from shared.model import Limits


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


def test_without_limits_everything_is_let_through() -> None:
    limiter = Limiter()
    for _ in range(1000):
        admitted(limiter, subject(), tokens=10**9)


def test_requests_beyond_those_of_a_minute_wait_for_their_turn() -> None:
    limiter, one = Limiter(), subject(rpm=2)
    for _ in range(2):
        admitted(limiter, one)
    refusal = refused(limiter, one)
    assert (refusal.what, refusal.retry_after, refusal.subject) == (
        "requests per minute (2)",
        30,
        one,
    )
    admitted(limiter, one, now=30)


def test_tokens_beyond_those_of_a_minute_wait_for_theirs() -> None:
    limiter, one = Limiter(), subject(tpm=600)
    admitted(limiter, one, tokens=600)
    assert refused(limiter, one, tokens=100).retry_after == 10
    admitted(limiter, one, tokens=100, now=10)


def test_a_request_larger_than_a_minutes_tokens_goes_when_all_are_there() -> None:
    limiter, one = Limiter(), subject(tpm=600)
    admitted(limiter, one, tokens=6000)
    assert refused(limiter, one, tokens=1, now=500).retry_after == 41


@pytest.mark.parametrize(
    ("used", "wait"), [(700, 20), (100, 0), (500, 0)], ids=["more", "less", "as many"]
)
def test_what_was_used_counts_instead_of_what_was_foreseen(used: int, wait: int) -> None:
    limiter, one = Limiter(), subject(tpm=600)
    limiter.give_back(admitted(limiter, one, tokens=500), used)
    after = limiter.admit([one], 100, 0)
    assert (after.retry_after if isinstance(after, Refusal) else 0) == wait


def test_exchanges_at_once_are_counted_until_they_end() -> None:
    limiter, one = Limiter(), subject(concurrency=2)
    first = admitted(limiter, one)
    admitted(limiter, one)
    refusal = refused(limiter, one)
    assert (refusal.what, refusal.retry_after) == ("requests at once (2)", 2)
    limiter.give_back(first, 0)
    admitted(limiter, one)


def test_what_has_ended_leaves_nothing_behind() -> None:
    limiter = Limiter()
    for ticket in [admitted(limiter, subject(f"key:{n}")) for n in range(3)]:
        limiter.give_back(ticket, 0)
    assert not limiter._running


def test_a_limit_of_nothing_lets_nothing_through() -> None:
    for limits in ({"rpm": 0}, {"tpm": 0}, {"concurrency": 0}):
        refused(Limiter(), subject(**limits), tokens=1, now=10**6)


def test_a_key_at_its_limit_costs_its_user_nothing() -> None:
    limiter, user, key = Limiter(), subject(rpm=2), subject("key:1", rpm=1)
    assert isinstance(limiter.admit([user, key], 0, 0), Ticket)
    assert refused(limiter, user, key).subject == key
    admitted(limiter, user)


def test_a_limit_that_is_set_while_exchanges_run_counts_them() -> None:
    limiter = Limiter()
    running = admitted(limiter, subject())
    refused(limiter, subject(concurrency=1))
    limiter.give_back(running, 0)
    admitted(limiter, subject(concurrency=1))


def test_a_raised_limit_holds_at_once() -> None:
    limiter = Limiter()
    admitted(limiter, subject(rpm=1))
    admitted(limiter, subject(rpm=60), now=1)


def test_a_request_that_is_answered_at_once_counts_for_its_minute_alone() -> None:
    limiter, user, key = Limiter(), subject(rpm=2, concurrency=1), subject("key:1", rpm=1, tpm=0)
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


def test_tokens_that_are_known_later_are_taken_then() -> None:
    limiter, one = Limiter(), subject(tpm=600, concurrency=2)
    ticket = admitted(limiter, one)
    assert limiter.add_tokens(ticket, 500, 0) is None
    other = admitted(limiter, one)
    refusal = limiter.add_tokens(other, 200, 0)
    assert isinstance(refusal, Refusal)
    assert (refusal.what, refusal.retry_after) == ("tokens per minute (600)", 10)
    limiter.give_back(other, 0)
    limiter.give_back(ticket, 100)
    assert limiter.add_tokens(admitted(limiter, one), 500, 0) is None


def test_a_ticket_is_given_back_once() -> None:
    limiter, one = Limiter(), subject(concurrency=1, tpm=600)
    ticket = admitted(limiter, one, tokens=100)
    limiter.give_back(ticket, 600)
    limiter.give_back(ticket, 0)
    admitted(limiter, one)
    assert refused(limiter, one).what == "requests at once (1)"
    assert refused(limiter, subject(tpm=600), tokens=100).retry_after == 10


@given(st.lists(st.tuples(st.floats(0, 30), st.integers(1, 300)), max_size=60))
def test_no_minute_has_more_than_twice_its_tokens(requests: list[tuple[float, int]]) -> None:
    limiter, one, now, taken = Limiter(), subject(tpm=600), 0.0, []
    for pause, tokens in requests:
        now += pause
        if isinstance(limiter.admit([one], tokens, now), Ticket):
            taken.append((now, tokens))
    for start, _ in taken:
        assert sum(tokens for at, tokens in taken if start <= at < start + 60) <= 1200


@pytest.mark.parametrize("limits", [{"rpm": 1}, {"tpm": 1}])
def test_a_limit_that_was_lifted_counts_anew(limits: dict[str, int]) -> None:
    limiter = Limiter()
    admitted(limiter, subject(**limits), tokens=1)
    refused(limiter, subject(**limits), tokens=1)
    admitted(limiter, subject())
    admitted(limiter, subject(**limits), tokens=1)
