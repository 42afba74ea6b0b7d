"""Accounts are made, found, listed, disabled; every change of the kind ends the sessions made before it."""

import pytest

from shared.model import Role, User
from shared.store.accounts import (
    LastAdmin,
    NameTaken,
    create_user,
    find_user,
    find_user_by_name,
    list_users,
    set_disabled,
    set_password,
)
from shared.store.engine import Engine


def add(engine: Engine, username: str, role: Role = "user") -> User:
    return create_user(
        engine, username=username, password_hash="hash", role=role, must_change_password=False, now=1_000
    )


def test_a_made_account_is_found_by_id_and_by_name(engine: Engine) -> None:
    user = add(engine, "Ada", "admin")
    assert user == User(
        id=1, username="Ada", role="admin", disabled=False, epoch=0, must_change_password=False, created_at=1_000
    )
    assert find_user(engine, user.id) == user
    assert find_user_by_name(engine, "ada") == (user, "hash")


def test_a_name_is_given_once_whatever_its_case(engine: Engine) -> None:
    add(engine, "Ada")
    with pytest.raises(NameTaken, match="already an account “ADA”"):
        add(engine, "ADA")


@pytest.mark.parametrize("username", ["a", "李雷", "Žofie Nováková", "نویسه‌ها", "👩‍💻", "x" * 64, "o'neill; --"])
def test_names_of_any_language_are_taken(engine: Engine, username: str) -> None:
    user = add(engine, username)
    assert find_user_by_name(engine, username) == (user, "hash")


@pytest.mark.parametrize(
    ("username", "words"),
    [
        pytest.param("", "1 to 64 characters", id="empty"),
        pytest.param("x" * 65, "1 to 64 characters", id="long"),
        pytest.param(" ada", "begin or end with a blank", id="blank-before"),
        pytest.param("ada\u3000", "begin or end with a blank", id="blank-after"),
        pytest.param("a\x00da", "control characters", id="nul"),
        pytest.param("a\x1b[2Jda", "control characters", id="escape"),
        pytest.param("a\u202eda", "control characters", id="direction-override"),
        pytest.param("a\u2028da", "control characters", id="line-separator"),
        pytest.param("a\ud800da", "control characters", id="surrogate"),
    ],
)
def test_a_name_that_cannot_be_one_is_refused_in_words_and_never_found(
    engine: Engine, username: str, words: str
) -> None:
    with pytest.raises(ValueError, match=words):
        add(engine, username)
    assert find_user_by_name(engine, username) is None


def test_nobody_is_found_who_is_not_there(engine: Engine) -> None:
    assert find_user(engine, 7) is None
    assert find_user_by_name(engine, "ada") is None
    assert not set_password(engine, 7, "hash", must_change_password=False)
    assert not set_disabled(engine, 7, True)


def test_accounts_are_listed_page_by_page(engine: Engine) -> None:
    users = [add(engine, name) for name in "abcde"]
    assert list_users(engine, limit=2) == users[:2]
    assert list_users(engine, after=users[1].id) == users[2:]


def test_a_new_password_ends_the_sessions(engine: Engine) -> None:
    user = add(engine, "ada")
    assert set_password(engine, user.id, "other", must_change_password=True)
    changed, password_hash = find_user_by_name(engine, "ada")
    assert (changed.epoch, changed.must_change_password, password_hash) == (1, True, "other")


def test_disabling_ends_the_sessions_for_good(engine: Engine) -> None:
    user = add(engine, "ada")
    assert set_disabled(engine, user.id, True)
    assert find_user(engine, user.id).disabled
    assert set_disabled(engine, user.id, False)
    assert (find_user(engine, user.id).disabled, find_user(engine, user.id).epoch) == (False, 2)


def test_the_last_admin_cannot_be_disabled(engine: Engine) -> None:
    first, second = add(engine, "ada", "admin"), add(engine, "bob", "admin")
    add(engine, "eve")
    assert set_disabled(engine, first.id, True)
    with pytest.raises(LastAdmin, match="only admin left"):
        set_disabled(engine, second.id, True)
    assert not find_user(engine, second.id).disabled


def test_a_disabled_admin_can_be_disabled_again(engine: Engine) -> None:
    first, _ = add(engine, "ada", "admin"), add(engine, "bob", "admin")
    assert set_disabled(engine, first.id, True)
    assert set_disabled(engine, first.id, True)
