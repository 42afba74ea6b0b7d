"""Accounts are made, found, listed, changed, deleted; a change that matters ends the
sessions made before it.
"""

from concurrent.futures import ThreadPoolExecutor

import pytest
from msgspec.structs import replace

from shared.model import Limits, Role, User
from shared.store.accounts import (
    LastAdmin,
    NameTaken,
    admins_to_change_password,
    create_user,
    delete_user,
    find_user,
    find_user_by_name,
    insert_user,
    list_users,
    replace_hash,
    require_new_password,
    search_users,
    set_disabled,
    set_mirror,
    set_password,
    update_user,
)
from shared.store.engine import Engine
from shared.store.ledger import Balance, Entry, settle
from shared.store.virtual_keys import list_keys
from tests.shared.store.plans import Explained, only_sqlite
from tests.support.keys import create_key

NOW = 1_800_000_000_000
MONTH_MS = 31 * 86_400_000
LIMITS = Limits(quota_tokens=1, quota_cost_micros=2, period="month", rpm=3, tpm=4, concurrency=5)


def add(engine: Engine, username: str, role: Role = "user") -> User:
    return create_user(
        engine,
        username=username,
        password_hash="hash",
        role=role,
        must_change_password=False,
        now=1_000,
    )


def test_a_made_account_is_found_by_id_and_by_name(engine: Engine) -> None:
    user = add(engine, "Ada", "admin")
    assert user == User(
        id=1,
        username="Ada",
        role="admin",
        disabled=False,
        epoch=0,
        must_change_password=False,
        created_at=1_000,
    )
    assert find_user(engine, user.id) == user
    assert find_user_by_name(engine, "ada") == (user, "hash")


def test_a_name_is_given_once_whatever_its_case(engine: Engine) -> None:
    add(engine, "Ada")
    with pytest.raises(NameTaken, match="already an account “ADA”"):
        add(engine, "ADA")


@only_sqlite
def test_an_account_is_looked_up_by_an_index_of_names_in_lower_case(engine: Engine) -> None:
    explained = Explained(engine)
    assert find_user_by_name(explained, "Žofie") is None
    assert explained.steps == ["SEARCH users USING INDEX users_username (<expr>=?)"]


def test_another_password_is_required_as_long_as_it_was_not_changed(engine: Engine) -> None:
    ada, grace = add(engine, "ada"), add(engine, "grace")

    require_new_password(engine, ada.id, "hash")
    require_new_password(engine, grace.id, "an earlier hash")

    assert find_user(engine, ada.id) == replace(ada, must_change_password=True)
    assert find_user(engine, grace.id) == grace


def test_the_admins_who_have_to_change_their_password_are_those_who_can_sign_in(
    engine: Engine,
) -> None:
    users = [add(engine, "root", "admin"), add(engine, "ada"), add(engine, "gone", "admin")]
    add(engine, "other", "admin")
    set_disabled(engine, users[2].id, True)
    for user in users:
        require_new_password(engine, user.id, "hash")

    assert admins_to_change_password(engine) == ["root"]


@pytest.mark.parametrize(
    "username", ["a", "李雷", "Žofie Nováková", "نویسه‌ها", "👩‍💻", "x" * 64, "o'neill; --"]
)
def test_names_of_any_language_are_taken(engine: Engine, username: str) -> None:
    user = add(engine, username)
    assert find_user_by_name(engine, username) == (user, "hash")


@pytest.mark.parametrize(
    ("username", "words"),
    [
        pytest.param("", "1 to 64 characters", id="empty"),
        pytest.param("x" * 65, "1 to 64 characters", id="long"),
        pytest.param(" ada", "begin or end with a space", id="blank-before"),
        pytest.param("ada\u3000", "begin or end with a space", id="blank-after"),
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
    assert not update_user(engine, 7, lambda user: user)


def test_accounts_are_listed_page_by_page(engine: Engine) -> None:
    users = [add(engine, name) for name in "abcde"]
    assert list_users(engine, limit=2) == users[:2]
    assert list_users(engine, after=users[1].id) == users[2:]


def test_how_reasoning_is_shown_is_changed_and_ends_no_session(engine: Engine) -> None:
    user = add(engine, "ada")
    assert set_mirror(engine, user.id, "details")
    assert find_user(engine, user.id) == replace(user, mirror="details")
    assert not set_mirror(engine, 99, "off")


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


def demote(engine: Engine, user_id: int) -> object:
    return update_user(engine, user_id, lambda user: replace(user, role="user"))


def disable(engine: Engine, user_id: int) -> object:
    return set_disabled(engine, user_id, True)


@pytest.mark.parametrize("remove", [demote, disable, delete_user])
def test_nobody_removes_the_last_admin_who_can_sign_in(engine: Engine, remove) -> None:
    first, second = add(engine, "ada", "admin"), add(engine, "bob", "admin")
    add(engine, "eve")
    assert set_disabled(engine, first.id, True)
    with pytest.raises(LastAdmin, match="the only admin"):
        remove(engine, second.id)
    assert find_user(engine, second.id) == second


@pytest.mark.parametrize("remove", [demote, disable, delete_user])
def test_one_of_two_admins_can_be_removed(engine: Engine, remove) -> None:
    first, _ = add(engine, "ada", "admin"), add(engine, "bob", "admin")
    assert remove(engine, first.id)
    assert find_user(engine, first.id) != first


def test_of_admins_who_remove_each_other_at_once_one_stays(engine: Engine) -> None:
    admins = [add(engine, f"admin{number}", "admin").id for number in range(8)]

    def remove(user_id: int) -> bool:
        try:
            return bool(demote(engine, user_id))
        except LastAdmin:
            return False

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(remove, admins)) == 7
    assert [user.role for user in list_users(engine)].count("admin") == 1


def test_models_and_limits_are_kept_with_the_account(engine: Engine) -> None:
    made = engine.transact(
        lambda transaction: insert_user(
            transaction,
            username="ada",
            password_hash="-",
            role="user",
            must_change_password=False,
            now=1,
            models=("deepseek-*", "模型"),
            limits=LIMITS,
        ),
        alone=(),
    )
    assert (made.models, made.limits) == (("deepseek-*", "模型"), LIMITS)
    assert find_user(engine, made.id) == made


def test_other_models_and_limits_let_the_sessions_go_on(engine: Engine) -> None:
    user = add(engine, "ada")
    changed = update_user(
        engine, user.id, lambda found: replace(found, models=("a",), limits=LIMITS)
    )
    assert changed == replace(user, models=("a",), limits=LIMITS)
    assert find_user(engine, user.id) == changed


@pytest.mark.parametrize("role", ["user", "admin"])
def test_another_role_ends_the_sessions(engine: Engine, role: Role) -> None:
    add(engine, "root", "admin")
    user = add(engine, "ada", "admin" if role == "user" else "user")
    changed = update_user(engine, user.id, lambda found: replace(found, role=role))
    assert changed == replace(user, role=role, epoch=1)
    assert find_user(engine, user.id) == changed


def test_a_deleted_account_leaves_no_key_and_no_spending_but_its_ledger(engine: Engine) -> None:
    user, other = add(engine, "ada"), add(engine, "bob")
    for each in (user, other):
        key = create_key(
            engine,
            user_id=each.id,
            name="k",
            scope="inference",
            digest=f"{each.id:064}",
            suffix="",
            now=1,
        )
        engine.try_write(
            settle(
                Entry(exchange=each.username, at=1, user_id=each.id, key_id=key.id, prompt_tokens=5)
            )
        )
    assert delete_user(engine, user.id)
    assert not delete_user(engine, user.id)
    assert find_user(engine, user.id) is None
    assert [key.user_id for key in list_keys(engine)] == [other.id]
    assert engine.read("SELECT DISTINCT subject FROM spending ORDER BY 1") == [
        ("key:2",),
        ("user:2",),
    ]
    assert engine.read("SELECT count(*) FROM ledger") == [(2,)]


def test_an_id_is_never_given_again(engine: Engine) -> None:
    gone = add(engine, "ada")
    delete_user(engine, gone.id)
    assert add(engine, "ada").id > gone.id


@pytest.mark.parametrize(
    ("text", "found"),
    [
        pytest.param("", ["100%", "Ada_L", "adam", "李雷"], id="everybody"),
        pytest.param("ADA", ["Ada_L", "adam"], id="any-case"),
        pytest.param("雷", ["李雷"], id="chinese"),
        pytest.param("%", ["100%"], id="percent-is-a-character"),
        pytest.param("_", ["Ada_L"], id="underscore-is-a-character"),
        pytest.param("\\", [], id="backslash-is-a-character"),
        pytest.param("' OR 1=1 --", [], id="quote-is-a-character"),
    ],
)
def test_accounts_are_found_by_a_part_of_the_name(
    engine: Engine, text: str, found: list[str]
) -> None:
    for name in ("100%", "Ada_L", "adam", "李雷"):
        add(engine, name)
    assert [user.username for user, _ in search_users(engine, now_ms=NOW, text=text)] == found


def test_a_search_is_answered_page_by_page(engine: Engine) -> None:
    users = [add(engine, name) for name in ("a1", "b", "a2", "a3")]
    first = search_users(engine, now_ms=NOW, text="a", limit=2)
    assert [user for user, _ in first] == [users[0], users[2]]
    assert [user for user, _ in search_users(engine, now_ms=NOW, text="a", after=users[2].id)] == [
        users[3]
    ]


def test_a_search_says_what_was_spent_in_the_present_window_only(engine: Engine) -> None:
    user = add(engine, "ada")
    update_user(engine, user.id, lambda found: replace(found, limits=Limits(period="month")))
    engine.try_write(
        settle(
            Entry(
                exchange="1",
                at=NOW,
                user_id=user.id,
                prompt_tokens=5,
                completion_tokens=2,
                cost_micros=3,
            )
        )
    )
    [(_, now)] = search_users(engine, now_ms=NOW)
    [(_, later)] = search_users(engine, now_ms=NOW + MONTH_MS)
    assert (now, later) == (Balance(tokens=7, cost_micros=3), Balance())


def test_the_same_password_gets_another_hash_and_the_sessions_go_on(engine: Engine) -> None:
    user = add(engine, "ada")
    replace_hash(engine, user.id, old="hash", new="stronger")
    assert find_user_by_name(engine, "ada") == (user, "stronger")


def test_a_password_that_was_changed_meanwhile_keeps_its_hash(engine: Engine) -> None:
    user = add(engine, "ada")
    replace_hash(engine, user.id, old="another", new="stronger")
    assert find_user_by_name(engine, "ada") == (user, "hash")


def test_a_disabled_admin_can_be_disabled_again(engine: Engine) -> None:
    first, _ = add(engine, "ada", "admin"), add(engine, "bob", "admin")
    assert set_disabled(engine, first.id, True)
    assert set_disabled(engine, first.id, True)
