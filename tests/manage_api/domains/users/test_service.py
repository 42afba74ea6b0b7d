import pytest

from manage_api.domains.users.service import give_key, open_account, regenerate_key
from shared.model import Limits
from shared.security.keys import digest
from shared.store.accounts import NameTaken, find_user_by_name
from shared.store.engine import Engine
from shared.store.virtual_keys import find_key, list_keys, revoke_key
from tests.manage_api.world import Person


def test_an_account_comes_with_an_inference_key(store: Engine, password_hash: str) -> None:
    user, key = open_account(
        store, username="grace", password_hash=password_hash, role="user", now=1
    )

    found = find_key(store, digest(key))
    assert found
    assert (found[0].scope, found[1]) == ("inference", user)


def test_a_taken_name_leaves_no_key_behind(store: Engine, password_hash: str, ada: Person) -> None:
    with pytest.raises(NameTaken):
        open_account(store, username="ada", password_hash=password_hash, role="user", now=1)

    assert len(list_keys(store)) == 1


def test_a_name_that_is_none_makes_nothing(store: Engine, password_hash: str) -> None:
    with pytest.raises(ValueError, match="username"):
        open_account(store, username="", password_hash=password_hash, role="user", now=1)

    assert not find_user_by_name(store, "")


def test_an_account_has_the_models_and_limits_it_was_given(
    store: Engine, password_hash: str
) -> None:
    limits = Limits(quota_tokens=0)
    user, _ = open_account(
        store,
        username="grace",
        password_hash=password_hash,
        role="user",
        now=1,
        models=("a",),
        limits=limits,
    )

    assert (user.models, user.limits) == (("a",), limits)


def test_another_key_is_what_was_asked_for(store: Engine, root: Person) -> None:
    key, secret = give_key(
        store, user_id=root.user.id, name="laptop", scope="admin", now=1, limits=Limits(rpm=3)
    )

    assert (key.name, key.scope, key.suffix, key.limits) == (
        "laptop",
        "admin",
        secret[-4:],
        Limits(rpm=3),
    )
    assert find_key(store, digest(secret)) == (key, root.user)


def test_a_key_that_was_revoked_meanwhile_does_not_come_back(store: Engine, ada: Person) -> None:
    revoke_key(store, 1, 5)

    assert regenerate_key(store, user_id=ada.user.id, key_id=1, now=6) is None
    assert len(list_keys(store)) == 1
