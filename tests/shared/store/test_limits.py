"""What requests hold of limits per minute is a row that all data planes see, until it has refilled."""

from collections.abc import Callable

import pytest
from msgspec.structs import replace

from shared.model import Limits
from shared.store.accounts import create_user, update_user
from shared.store.engine import Engine, Statement
from shared.store.limits import Held, Rate, charge, forget_full, held_in
from shared.store.virtual_keys import update_key
from tests.support.keys import create_key

SECOND = 1_000_000


def write(engine: Engine, statement: Statement) -> None:
    engine.transact(lambda work: work.run(*statement), alone=())


def held(engine: Engine, subject: str = "user:1", now: int = 0) -> Held:
    return engine.transact(lambda work: held_in(work, subject, now), alone=())


def test_what_is_taken_comes_back_evenly(engine: Engine) -> None:
    write(engine, charge("user:1", "requests", 3 * SECOND, 0))
    write(engine, charge("user:1", "requests", 2 * SECOND, 1000))
    assert [held(engine, now=now).requests for now in (1000, 3000, 5000, 9000)] == [
        4 * SECOND,
        2 * SECOND,
        0,
        0,
    ]
    assert held(engine, "user:2") == Held()


@pytest.mark.parametrize("rate", ["requests", "tokens"])
def test_what_is_given_back_is_there_at_once_and_never_more_than_all(
    engine: Engine, rate: Rate
) -> None:
    write(engine, charge("user:1", rate, 3 * SECOND, 0))
    write(engine, charge("user:1", rate, -5 * SECOND, 1000))
    assert held(engine, now=1000) == Held()
    write(engine, charge("user:1", rate, SECOND, 1000))
    assert getattr(held(engine, now=1000), rate) == SECOND


def test_full_buckets_leave_no_rows(engine: Engine) -> None:
    write(engine, charge("user:1", "requests", SECOND, 0))
    write(engine, charge("user:2", "requests", 2 * SECOND, 0))
    write(engine, forget_full(1000))
    assert engine.read("SELECT subject FROM rates") == [("user:2",)]


def lift_for_user(engine: Engine, limits: Limits) -> None:
    update_user(engine, 1, lambda user: replace(user, limits=limits))


def lift_for_key(engine: Engine, limits: Limits) -> None:
    update_key(engine, 1, lambda key: replace(key, limits=limits))


@pytest.mark.parametrize(
    ("subject", "change"), [("user:1", lift_for_user), ("key:1", lift_for_key)], ids=["user", "key"]
)
@pytest.mark.parametrize(
    ("limits", "left"),
    [(Limits(tpm=1), Held(0, SECOND)), (Limits(rpm=1), Held(SECOND, 0)), (Limits(), Held())],
    ids=["rpm", "tpm", "both"],
)
def test_a_limit_that_was_lifted_counts_anew(
    engine: Engine,
    subject: str,
    change: Callable[[Engine, Limits], None],
    limits: Limits,
    left: Held,
) -> None:
    create_user(
        engine, username="ada", password_hash="x", role="admin", must_change_password=False, now=0
    )
    named = {"name": "laptop", "digest": "0" * 64, "suffix": "abcd"}
    create_key(engine, user_id=1, scope="inference", now=0, **named)
    for rate in ("requests", "tokens"):
        write(engine, charge(subject, rate, SECOND, 0))
    change(engine, limits)
    assert held(engine, subject) == left
