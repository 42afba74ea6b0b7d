"""Virtual keys are made, found with their owner by digest, listed, changed, renewed and revoked."""

import pytest
from msgspec.structs import replace

from shared.errors import StoreError
from shared.model import Limits, User, VirtualKey
from shared.security.keys import digest
from shared.store.accounts import create_user, find_user, set_disabled, update_user
from shared.store.engine import Engine
from shared.store.ledger import Balance, Entry, settle
from shared.store.virtual_keys import (
    AdminsOnly,
    find_key,
    find_key_by_id,
    insert_key,
    list_keys,
    oldest_key,
    renew_key,
    revoke_key,
    search_keys,
    update_key,
)
from tests.support.keys import create_key

NOW = 1_800_000_000_000
DAY_MS = 86_400_000
LIMITS = Limits(quota_tokens=1, quota_cost_micros=2, period="day", rpm=3, tpm=4, concurrency=5)


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


def add(
    engine: Engine, user_id: int, key: str, expires_at: int | None = None, scope="inference"
) -> VirtualKey:
    return create_key(
        engine,
        user_id=user_id,
        name="laptop",
        scope=scope,
        digest=digest(key),
        suffix=key[-4:],
        now=2_000,
        expires_at=expires_at,
    )


def test_a_key_is_found_with_its_owner(engine: Engine, user: User) -> None:
    add(engine, user.id, "sk-first")
    key = add(engine, user.id, "sk-second", expires_at=9_000)
    assert key == VirtualKey(
        id=2,
        user_id=user.id,
        name="laptop",
        suffix="cond",
        scope="inference",
        created_at=2_000,
        expires_at=9_000,
        revoked_at=None,
    )
    assert find_key(engine, digest("sk-second")) == (key, user)


def test_an_unknown_key_is_not_found(engine: Engine, user: User) -> None:
    add(engine, user.id, "sk-first")
    assert find_key(engine, digest("sk-other")) is None
    assert find_key(engine, "' OR 1=1 --") is None


def test_revoked_keys_and_disabled_owners_are_found_as_such(engine: Engine, user: User) -> None:
    key = add(engine, user.id, "sk-first")
    assert revoke_key(engine, key.id, 5_000)
    set_disabled(engine, user.id, True)
    found, owner = find_key(engine, digest("sk-first"))
    assert found.revoked_at == 5_000
    assert owner == find_user(engine, user.id)
    assert owner.disabled


def test_a_key_is_revoked_once(engine: Engine, user: User) -> None:
    key = add(engine, user.id, "sk-first")
    assert revoke_key(engine, key.id, 5_000)
    assert not revoke_key(engine, key.id, 6_000)
    assert not revoke_key(engine, 99, 6_000)
    assert list_keys(engine)[0].revoked_at == 5_000


def test_keys_are_listed_page_by_page_for_one_or_all(engine: Engine, user: User) -> None:
    other = create_user(
        engine, username="bob", password_hash="h", role="user", must_change_password=False, now=1
    )
    keys = [
        add(engine, owner.id, f"sk-{at}") for at, owner in enumerate([user, other, user, other])
    ]
    assert list_keys(engine, limit=3) == keys[:3]
    assert list_keys(engine, after=keys[2].id) == keys[3:]
    assert list_keys(engine, user_id=other.id) == [keys[1], keys[3]]
    assert list_keys(engine, user_id=other.id, after=keys[1].id, limit=5) == [keys[3]]


def test_a_key_needs_an_owner(engine: Engine) -> None:
    with pytest.raises(StoreError, match="no account 7"):
        add(engine, 7, "sk-first")


def test_only_an_admin_gets_a_key_with_the_scope_admin(engine: Engine, user: User) -> None:
    with pytest.raises(AdminsOnly, match="Only an admin"):
        add(engine, user.id, "sk-first", scope="admin")
    update_user(engine, user.id, lambda found: replace(found, role="admin"))
    assert add(engine, user.id, "sk-second", scope="admin").scope == "admin"


def test_models_and_limits_of_key_and_owner_are_found_with_it(engine: Engine, user: User) -> None:
    owner = update_user(
        engine, user.id, lambda found: replace(found, models=("a",), limits=Limits(rpm=9))
    )
    key = engine.transact(
        lambda transaction: insert_key(
            transaction,
            user_id=user.id,
            name="k",
            scope="inference",
            digest=digest("sk-first"),
            suffix="irst",
            now=1,
            models=("deepseek-*",),
            limits=LIMITS,
        ),
        alone=(),
    )
    assert (key.models, key.limits) == (("deepseek-*",), LIMITS)
    assert find_key(engine, digest("sk-first")) == (key, owner)
    assert find_key_by_id(engine, key.id) == key


def test_name_expiry_models_and_limits_of_a_key_change_and_nothing_else(
    engine: Engine, user: User
) -> None:
    key = add(engine, user.id, "sk-first")
    wanted = {"name": "desk", "expires_at": 9_000, "models": ("a",), "limits": LIMITS}
    changed = update_key(engine, key.id, lambda found: replace(found, **wanted))
    assert changed == replace(key, **wanted)
    assert find_key_by_id(engine, key.id) == changed


def test_a_revoked_key_does_not_change(engine: Engine, user: User) -> None:
    key = add(engine, user.id, "sk-first")
    revoke_key(engine, key.id, 5_000)
    assert update_key(engine, key.id, lambda found: replace(found, name="desk")) is None
    assert update_key(engine, 99, lambda found: found) is None
    assert find_key_by_id(engine, key.id).name == "laptop"


def test_a_renewed_key_is_the_same_under_another_secret(engine: Engine, user: User) -> None:
    key = add(engine, user.id, "sk-first")
    assert engine.transact(
        lambda work: renew_key(work, key.id, digest=digest("sk-new"), suffix="-new"), alone=()
    )
    assert find_key(engine, digest("sk-first")) is None
    assert find_key(engine, digest("sk-new")) == (replace(key, suffix="-new"), user)


def test_a_revoked_key_is_not_renewed(engine: Engine, user: User) -> None:
    key = add(engine, user.id, "sk-first")
    revoke_key(engine, key.id, 5_000)
    assert not engine.transact(
        lambda work: renew_key(work, key.id, digest=digest("sk-new"), suffix="-new"), alone=()
    )
    assert find_key(engine, digest("sk-new")) is None


def test_the_oldest_key_is_one_that_can_be_used(engine: Engine, user: User) -> None:
    update_user(engine, user.id, lambda found: replace(found, role="admin"))
    revoked, _, _ = (
        add(engine, user.id, "1"),
        add(engine, user.id, "2", 5_000),
        add(engine, user.id, "3", scope="admin"),
    )
    revoke_key(engine, revoked.id, 1)
    usable = [add(engine, user.id, "4", expires_at=5_001), add(engine, user.id, "5")]
    assert engine.transact(lambda work: oldest_key(work, user.id, 5_000), alone=()) == usable[0].id
    assert engine.transact(lambda work: oldest_key(work, user.id + 1, 5_000), alone=()) is None


@pytest.mark.parametrize(
    ("text", "found"),
    [("LAP", [1, 2]), ("Bob", [2]), ("-0", [1]), ("%", []), ("", [1, 2])],
    ids=["name", "owner", "suffix", "percent-is-a-character", "all"],
)
def test_keys_are_found_by_name_owner_and_suffix(
    engine: Engine, user: User, text: str, found: list[int]
) -> None:
    other = create_user(
        engine, username="bob", password_hash="h", role="user", must_change_password=False, now=1
    )
    for at, owner in enumerate((user, other)):
        add(engine, owner.id, f"sk-{at}")
    assert [(key.id, owner) for key, owner, _ in search_keys(engine, now_ms=NOW, text=text)] == [
        (each, ["ada", "bob"][each - 1]) for each in found
    ]


def test_a_search_says_what_a_key_has_spent_in_the_present_window_only(
    engine: Engine, user: User
) -> None:
    key = add(engine, user.id, "sk-first")
    update_key(engine, key.id, lambda found: replace(found, limits=LIMITS))
    entry = Entry(
        exchange="1", at=NOW, user_id=user.id, key_id=key.id, completion_tokens=4, cost_micros=3
    )
    engine.try_write(settle(entry))
    [(_, _, today)] = search_keys(engine, now_ms=NOW, user_id=user.id)
    [(_, _, tomorrow)] = search_keys(engine, now_ms=NOW + DAY_MS)
    assert (today, tomorrow) == (Balance(tokens=4, cost_micros=3), Balance())
