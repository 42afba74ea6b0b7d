"""What earlier programs remembered is found after the upgrade, and counted."""

from contextlib import closing
from pathlib import Path

import pytest

from shared.store.migrations import migrate
from shared.store.recall import (
    KEY_BYTES,
    SENT_BYTES,
    TURN_BYTES,
    add_keys,
    find_sent,
    find_tokens,
    find_turns,
    keep_sent,
    kept_bytes,
    turns_kept,
)
from shared.store.sqlite import SqliteEngine, connect, prepare_file
from tests.shared.store.earlier import restore

LONG_KEY = b"a key of 16 byte"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A database of the version before, with a turn under two keys, and a choice under one."""
    path = tmp_path / "adapter.db"
    prepare_file(path)
    restore("mirror", path)
    with closing(connect(path)) as connection:
        connection.execute("INSERT INTO recall_keys VALUES (?, 'turn')", (LONG_KEY,))
        connection.execute("INSERT INTO recall_sent VALUES (?, 'omit', 2000)", (LONG_KEY,))
    return path


def test_turns_and_choices_from_before_are_found(path: Path) -> None:
    migrate(path)
    with closing(SqliteEngine(path)) as engine:
        assert find_turns(engine, b"\x01", ["turn"]) == {"turn": (b"{}", 1000)}
        assert find_tokens(engine, [b"\x02", LONG_KEY], 9) == {
            b"\x02": ["turn"],
            LONG_KEY: ["turn"],
        }
        assert find_sent(engine, [b"\x03", LONG_KEY, b"none"]) == {
            b"\x03": ("sent", 1000),
            LONG_KEY: ("omit", 2000),
        }


def test_they_are_counted_as_those_that_are_kept_now(path: Path) -> None:
    migrate(path)
    with closing(SqliteEngine(path)) as engine:
        turn, sent = TURN_BYTES + 2 + 2 * KEY_BYTES, SENT_BYTES + 4
        assert kept_bytes(engine) == turn + 2 * sent
        engine.write_later([*add_keys("turn", []), keep_sent(LONG_KEY, "omit", 3000)])
        engine.flush()
        assert kept_bytes(engine) == turn + 2 * sent
        assert turns_kept(engine, 1000).turns == 1
