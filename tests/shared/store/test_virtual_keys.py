"""Virtual keys are made, found with their owner by digest, listed and revoked."""

import pytest

from shared.errors import StoreError
from shared.model import User, VirtualKey
from shared.security.keys import digest
from shared.store.accounts import create_user, find_user, set_disabled
from shared.store.engine import Engine
from shared.store.virtual_keys import create_key, find_key, list_keys, revoke_key


@pytest.fixture
def user(engine: Engine) -> User:
    return create_user(engine, username="ada", password_hash="hash", role="user", must_change_password=False, now=1_000)


def add(engine: Engine, user_id: int, key: str, expires_at: int | None = None) -> VirtualKey:
    return create_key(
        engine,
        user_id=user_id,
        name="laptop",
        scope="inference",
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
    other = create_user(engine, username="bob", password_hash="h", role="user", must_change_password=False, now=1)
    keys = [add(engine, owner.id, f"sk-{at}") for at, owner in enumerate([user, other, user, other])]
    assert list_keys(engine, limit=3) == keys[:3]
    assert list_keys(engine, after=keys[2].id) == keys[3:]
    assert list_keys(engine, user_id=other.id) == [keys[1], keys[3]]
    assert list_keys(engine, user_id=other.id, after=keys[1].id, limit=5) == [keys[3]]


def test_a_key_needs_an_owner(engine: Engine) -> None:
    with pytest.raises(StoreError, match="no account 7"):
        add(engine, 7, "sk-first")
