"""A session lasts until its time, its logout or a change of the account ends it, for every
program at once.
"""

import pytest
from msgspec.structs import replace

from shared.model import User
from shared.security.tokens import issue_call_token, issue_token, read_token
from shared.store import open_engine
from shared.store.accounts import create_user, delete_user, set_disabled, set_password, update_user
from shared.store.engine import Engine
from shared.store.sessions import end_session, session_user, token_caller
from tests.support.keys import create_key

SECRET = bytes(range(32))
NOW = 1_800_000_000_000
LIFETIME_MS = 43_200_000


@pytest.fixture
def user(engine: Engine) -> User:
    return create_user(
        engine,
        username="ada",
        password_hash="hash",
        role="user",
        must_change_password=False,
        now=1_000,
    )


def session(user: User) -> str:
    return issue_token(user, SECRET, now=NOW // 1000)


def test_a_session_is_the_users_until_its_time_is_over(engine: Engine, user: User) -> None:
    token = session(user)
    assert session_user(engine, token, SECRET, now_ms=NOW + LIFETIME_MS - 1) == user
    assert session_user(engine, token, SECRET, now_ms=NOW + LIFETIME_MS) is None


def call_token(user: User, session_token: str, key_id: int | None = None) -> str:
    claims = read_token(session_token, SECRET, now=NOW // 1000)
    return issue_call_token(user, SECRET, now=NOW // 1000, key_id=key_id, session=claims)


def test_a_call_token_asks_models_and_is_no_session(engine: Engine, user: User) -> None:
    token = session(user)
    called = call_token(user, token)
    assert token_caller(engine, token, SECRET, now_ms=NOW) == (user, None)
    assert token_caller(engine, called, SECRET, now_ms=NOW) == (user, None)
    assert session_user(engine, called, SECRET, now_ms=NOW) is None
    end_session(engine, called, SECRET, now_ms=NOW)
    assert session_user(engine, token, SECRET, now_ms=NOW) == user


def test_a_call_token_ends_with_its_session(engine: Engine, user: User) -> None:
    token = session(user)
    called = call_token(user, token)
    end_session(engine, token, SECRET, now_ms=NOW)
    assert token_caller(engine, called, SECRET, now_ms=NOW) is None


def test_a_call_token_carries_a_key_of_its_own_user_only(engine: Engine, user: User) -> None:
    other = create_user(
        engine, username="eve", password_hash="-", role="user", must_change_password=False, now=1
    )
    key = create_key(
        engine, user_id=user.id, name="k", scope="inference", digest="d" * 64, suffix="abcd", now=1
    )
    own, anothers = (call_token(each, session(each), key.id) for each in (user, other))
    assert token_caller(engine, own, SECRET, now_ms=NOW) == (user, key)
    assert token_caller(engine, anothers, SECRET, now_ms=NOW) is None
    assert token_caller(engine, call_token(user, session(user), 99), SECRET, now_ms=NOW) is None


@pytest.mark.parametrize("token", ["", "a.b.c", "sk-abc"])
def test_what_is_no_token_is_nobodys_session(engine: Engine, user: User, token: str) -> None:
    assert session_user(engine, token, SECRET, now_ms=NOW) is None
    end_session(engine, token, SECRET, now_ms=NOW)
    assert engine.read("SELECT * FROM ended_sessions") == []


def test_an_ended_session_is_over_for_the_other_program_too(
    engine: Engine, user: User, database: str
) -> None:
    token, other = session(user), open_engine(database)
    before = session_user(other, token, SECRET, now_ms=NOW)
    end_session(engine, token, SECRET, now_ms=NOW)
    assert (before, session_user(other, token, SECRET, now_ms=NOW)) == (user, None)
    other.close()


def test_ending_a_session_leaves_the_others(engine: Engine, user: User) -> None:
    ended, other = session(user), session(user)
    for _ in range(2):
        end_session(engine, ended, SECRET, now_ms=NOW)
    assert session_user(engine, other, SECRET, now_ms=NOW) == user


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(
            lambda engine, user: set_password(engine, user.id, "-", must_change_password=False),
            id="password",
        ),
        pytest.param(
            lambda engine, user: update_user(engine, user.id, lambda u: replace(u, role="admin")),
            id="role",
        ),
        pytest.param(lambda engine, user: set_disabled(engine, user.id, True), id="disabled"),
        pytest.param(lambda engine, user: delete_user(engine, user.id), id="deleted"),
    ],
)
def test_a_change_of_the_account_ends_its_sessions(engine: Engine, user: User, change) -> None:
    token = session(user)
    assert change(engine, user)
    assert session_user(engine, token, SECRET, now_ms=NOW) is None


def test_a_disabled_account_has_no_session_however_new_its_token(
    engine: Engine, user: User
) -> None:
    set_disabled(engine, user.id, True)
    assert session_user(engine, session(replace(user, epoch=1)), SECRET, now_ms=NOW) is None


def test_what_was_ended_is_forgotten_when_its_time_is_over(engine: Engine, user: User) -> None:
    end_session(engine, session(user), SECRET, now_ms=NOW)
    later = NOW + LIFETIME_MS
    end_session(engine, issue_token(user, SECRET, now=later // 1000), SECRET, now_ms=later)
    assert engine.read("SELECT expires_at FROM ended_sessions") == [(later + LIFETIME_MS,)]
