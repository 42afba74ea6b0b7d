"""Accounts are found by what columns hold, and only where that is certain."""

from contextlib import closing
from pathlib import Path

import pytest
from pysqlite3 import dbapi2

from manage_api.command.adapter_accounts import find_accounts
from shared.errors import ThinkbackError
from shared.security.passwords import hash_password

HASH = hash_password("correct horse battery")
USERS = "CREATE TABLE users (id INTEGER PRIMARY KEY, username TEXT, pw TEXT, note TEXT);"
ADA = f"INSERT INTO users VALUES (1, 'ada', '{HASH}', 'x'), (2, 'bob', '{HASH}', 'x');"
KEYS = "CREATE TABLE keys (owner INTEGER {}, secret TEXT);"
KEY = "INSERT INTO keys VALUES (1, 'sk-0123456789abcdefghij');"


def database(directory: Path, *statements: str) -> Path:
    file = directory / "other.db"
    with closing(dbapi2.connect(file)) as opened, opened:
        opened.executescript("".join(statements))
    return file


def test_names_hashes_and_keys_that_refer_to_them_are_found(tmp_path: Path) -> None:
    keys = KEYS.format("REFERENCES users (id)")
    ada, bob = find_accounts(database(tmp_path, USERS, ADA, keys, KEY))

    assert (ada.name, ada.password_hash, ada.keys) == ("ada", HASH, ("sk-0123456789abcdefghij",))
    assert ada.found_in == "users.username, users.pw"
    assert (bob.name, bob.keys) == ("bob", ())


def test_a_key_whose_owner_is_not_declared_is_nobodys(tmp_path: Path) -> None:
    found = find_accounts(database(tmp_path, USERS, ADA, KEYS.format(""), KEY))

    assert [account.keys for account in found] == [(), ()]


@pytest.mark.parametrize(
    "statements",
    [
        (),
        (USERS,),
        (USERS, "INSERT INTO users VALUES (1, 'ada', 'clear text', 'x');"),
        (USERS, f"INSERT INTO users VALUES (1, 'ada', '{HASH}', '{HASH}');"),
        (USERS, ADA, f"INSERT INTO users VALUES (3, 'ada', '{HASH}', 'x');"),
        (USERS, ADA, "UPDATE users SET pw = '$2b$31$' || substr(pw, 8);"),
    ],
    ids=["empty", "no rows", "no hash", "two hashes", "one name twice", "a hash that costs days"],
)
def test_nothing_is_guessed(tmp_path: Path, statements: tuple[str, ...]) -> None:
    with pytest.raises(ThinkbackError, match="so its accounts are not known"):
        find_accounts(database(tmp_path, *statements))
