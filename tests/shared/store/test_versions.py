"""A topic's number goes up with what changes it, in the same transaction and for every program."""

from collections.abc import Callable
from contextlib import closing

import pytest
from msgspec.structs import replace

from shared.pricing import Price
from shared.security.tokens import issue_token
from shared.store import open_engine
from shared.store.accounts import find_user, set_mirror, set_password, update_user
from shared.store.bootstrap import ensure_admin, ensure_key
from shared.store.engine import Engine, Transaction
from shared.store.prices import add_price, delete_price
from shared.store.sessions import end_session
from shared.store.settings import change_settings
from shared.store.upstreams import add_upstream, move_upstream, remove_upstream
from shared.store.versions import change_topic, changed
from shared.store.virtual_keys import revoke_key
from tests.shared.store.learned import COUNT, learn
from tests.shared.store.test_upstreams import SECRET, WHOLE

ADMIN, KEY = 1, 1


def log_out(engine: Engine) -> None:
    user = find_user(engine, ADMIN)
    assert user
    end_session(engine, issue_token(user, SECRET, now=1), SECRET, now_ms=1)


CHANGES: dict[str, list[Callable[[Engine], object]]] = {
    "configuration": [
        lambda engine: add_upstream(engine, SECRET, WHOLE, 1),
        lambda engine: move_upstream(engine, 1, 1),
        lambda engine: remove_upstream(engine, 1),
        lambda engine: change_settings(engine, {"audit.mode": "off"}, 1),
        lambda engine: add_price(engine, upstream="", model="m", from_day=1, price=Price(1, 1)),
        lambda engine: delete_price(engine, 1),
    ],
    "accounts": [
        lambda engine: ensure_key(engine, "sk-of-the-environment", now=1),
        lambda engine: set_mirror(engine, ADMIN, "think"),
        lambda engine: set_password(engine, ADMIN, "hash", must_change_password=False),
        lambda engine: update_user(engine, ADMIN, lambda user: replace(user, models=("m",))),
        log_out,
        lambda engine: revoke_key(engine, KEY, 1),
    ],
}


@pytest.mark.parametrize("topic", CHANGES)
def test_whatever_changes_a_topic_is_seen_by_its_number(topic: str, engine: Engine) -> None:
    ensure_admin(engine, password="a long enough one", now=1)
    for change in CHANGES[topic]:
        before = dict(engine.versions())
        change(engine)
        assert engine.versions() == before | {topic: before.get(topic, 0) + 1}


def test_the_first_account_is_a_change(engine: Engine) -> None:
    ensure_admin(engine, password="", now=1)
    ensure_admin(engine, password="", now=1)
    assert engine.versions() == {"accounts": 1}


def test_other_programs_see_it(engine: Engine, database: str) -> None:
    with closing(open_engine(database)) as other:
        assert other.versions() == {}
        engine.try_write([changed("resting")])
        assert other.versions() == engine.versions() == {"resting": 1}


def test_a_change_that_fails_is_none(engine: Engine) -> None:
    def fail(transaction: Transaction) -> None:
        transaction.run(*learn("a"))
        raise ValueError

    with pytest.raises(ValueError, match=r"^$"):
        change_topic(engine, "learned", fail)
    assert (engine.versions(), engine.read(COUNT)) == ({}, [(0,)])
