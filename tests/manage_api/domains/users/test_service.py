import pytest

from manage_api.domains.users.service import give_key, open_account
from shared.security.keys import digest
from shared.store.accounts import NameTaken, find_user_by_name
from shared.store.engine import Engine
from shared.store.virtual_keys import find_key, list_keys
from tests.manage_api.world import Person


def test_an_account_comes_with_an_inference_key(store: Engine, password_hash: str) -> None:
    user, key = open_account(store, username="grace", password_hash=password_hash, role="user", now=1)

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


def test_another_key_has_the_name_and_scope_it_was_given(store: Engine, ada: Person) -> None:
    key, secret = give_key(store, user_id=ada.user.id, name="laptop", scope="admin", now=1)

    assert (key.name, key.scope, key.suffix) == ("laptop", "admin", secret[-4:])
    assert find_key(store, digest(secret)) == (key, ada.user)
