"""The first start makes one admin with one key, and tells about it once."""

from pathlib import Path

import pytest

from shared.security.keys import digest
from shared.security.passwords import check_password, hash_password
from shared.store.accounts import create_user, find_user_by_name, list_users
from shared.store.bootstrap import ensure_admin, ensure_key
from shared.store.engine import Engine
from shared.store.virtual_keys import find_key, revoke_key
from tests.shared.processes import run_together
from tests.shared.store.plans import only_sqlite


def test_a_fresh_database_gets_an_admin_with_a_random_password_and_a_key(engine: Engine) -> None:
    first = ensure_admin(engine, password="", now=1_000)
    user, password_hash = find_user_by_name(engine, "admin")
    key, owner = find_key(engine, digest(first.api_key))
    assert check_password(first.password, password_hash)
    assert (user.role, user.must_change_password, user.created_at) == ("admin", False, 1_000)
    assert (key.name, key.scope, owner) == ("first", "inference", user)


@only_sqlite
@pytest.mark.parametrize(
    ("password", "must_change"),
    [("admin", True), ("Password", True), ("123456", True), ("correct horse", False)],
)
def test_a_given_password_is_not_told_and_only_a_well_known_one_must_change(
    engine: Engine, password: str, must_change: bool
) -> None:
    first = ensure_admin(engine, password=password, now=1_000)
    user, password_hash = find_user_by_name(engine, "admin")
    assert first.password is None
    assert check_password(password, password_hash)
    assert user.must_change_password is must_change


@only_sqlite
def test_a_database_with_an_account_gets_none(engine: Engine) -> None:
    assert ensure_admin(engine, password="correct horse", now=1_000)
    assert ensure_admin(engine, password="", now=2_000) is None
    assert [user.username for user in list_users(engine)] == ["admin"]


@only_sqlite
def test_a_password_that_cannot_be_one_is_refused_and_nothing_made(engine: Engine) -> None:
    with pytest.raises(ValueError, match="too long"):
        ensure_admin(engine, password="x" * 73, now=1_000)
    assert list_users(engine) == []


@only_sqlite
@pytest.mark.parametrize(
    ("password", "must_change"), [("changeme", True), ("password", False), ("", False)]
)
def test_an_account_that_has_the_well_known_password_already_must_change_it(
    engine: Engine, password: str, must_change: bool
) -> None:
    create_user(
        engine,
        username="admin",
        password_hash=hash_password("changeme"),
        role="admin",
        must_change_password=False,
        now=1,
    )

    assert ensure_admin(engine, password=password, now=2) is None
    assert find_user_by_name(engine, "admin")[0].must_change_password is must_change


def test_of_programs_that_start_at_once_one_makes_the_admin(path: Path) -> None:
    code = """
import sys
from shared.store import open_engine
from shared.store.bootstrap import ensure_admin, ensure_key
engine = open_engine(sys.argv[1])
begin()
print(ensure_admin(engine, password="", now=1) is not None)
engine.close()
"""
    assert sorted(run_together(3, code, f"sqlite:{path}")) == ["False\n", "False\n", "True\n"]


def test_the_environments_key_is_the_first_admins_and_replaces_an_earlier_one(
    engine: Engine,
) -> None:
    ensure_admin(engine, password="correct horse", now=1)
    for key in ("first-token", "first-token", "second-token"):
        ensure_key(engine, key, now=2)

    found = [find_key(engine, digest(key)) for key in ("first-token", "second-token")]
    assert [(owner.username, key.scope, key.revoked_at) for key, owner in found] == [
        ("admin", "inference", 2),
        ("admin", "inference", None),
    ]


@only_sqlite
def test_a_key_of_the_environment_that_was_revoked_stays_so(engine: Engine) -> None:
    ensure_admin(engine, password="correct horse", now=1)
    ensure_key(engine, "the-token", now=2)
    key, _ = find_key(engine, digest("the-token"))
    revoke_key(engine, key.id, 3)
    ensure_key(engine, "the-token", now=4)

    key, _ = find_key(engine, digest("the-token"))
    assert key.revoked_at == 3
