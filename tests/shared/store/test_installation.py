"""Nodes on one database have the same secret, or don't start."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from shared.security.secrets import SecretError
from shared.store import open_engine
from shared.store.engine import Engine
from shared.store.installation import (
    installation_secret,
    installation_secrets,
    note_secret,
    read_secrets,
)
from tests.support.postgres import empty_database, wipe

OLD, NEW = b"a" * 32, b"b" * 32


@pytest.fixture
def database() -> str:
    wipe(empty_database())
    return empty_database()


@pytest.fixture
def engine(database: str) -> Iterator[Engine]:
    with closing(open_engine(database)) as engine:
        yield engine


@pytest.fixture(autouse=True)
def no_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("SECRET_KEY", "SECRET_KEY_FILE"):
        monkeypatch.delenv(name, raising=False)


def test_a_node_with_another_secret_is_refused(
    engine: Engine, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SECRET_KEY", OLD.hex())
    assert installation_secret(engine, database) == OLD
    monkeypatch.setenv("SECRET_KEY", NEW.hex())
    with pytest.raises(SecretError, match="not the one that the database's other nodes have"):
        installation_secret(engine, database)
    monkeypatch.setenv("SECRET_KEY", f"{NEW.hex()},{OLD.hex()}")
    with pytest.raises(SecretError, match="thinkback rotate-secret"):
        installation_secret(engine, database)
    engine.transact(lambda transaction: note_secret(transaction, NEW), alone=())
    assert installation_secrets(engine, database) == (NEW, (OLD,))


def test_the_secret_itself_is_not_in_the_database(
    engine: Engine, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SECRET_KEY", OLD.hex())
    installation_secret(engine, database)
    [(value,)] = engine.read("SELECT value FROM installation")
    assert len(value) == 16
    assert value not in OLD.hex()


@pytest.mark.parametrize(
    "content",
    [
        OLD,
        OLD.hex().encode() + b"\n",
        b"YWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWE=",
    ],
    ids=["as in secret.key", "hex", "base64"],
)
def test_a_file_may_hold_it(
    content: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "key").write_bytes(content)
    monkeypatch.setenv("SECRET_KEY_FILE", str(tmp_path / "key"))
    assert read_secrets() == [OLD]


@pytest.mark.parametrize(
    ("environ", "words"),
    [
        ({}, "set SECRET_KEY on each of them"),
        ({"SECRET_KEY": "too short"}, r"SECRET_KEY must be 32 bytes in hex"),
        ({"SECRET_KEY": f"{OLD.hex()},x"}, r"SECRET_KEY must be 32 bytes in hex"),
        ({"SECRET_KEY_FILE": "/nowhere"}, r"SECRET_KEY_FILE /nowhere: No such file"),
    ],
    ids=["none", "short", "second", "no file"],
)
def test_a_secret_that_is_none_is_refused_in_words(
    environ: dict[str, str], words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, text in environ.items():
        monkeypatch.setenv(name, text)
    with pytest.raises(SecretError, match=words):
        read_secrets()


def test_beside_a_database_file_it_is_a_file(tmp_path: Path) -> None:
    url = f"sqlite:{tmp_path / 'a.db'}"
    with closing(open_engine(url)) as engine:
        secret = installation_secret(engine, url)
    assert (tmp_path / "secret.key").read_bytes() == secret
