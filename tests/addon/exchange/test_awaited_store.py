"""Work waits for a database across a network; one beside us is read as ever."""

from pathlib import Path

import pytest

from addon.exchange.awaited_store import awaited
from addon.formats.wire.pace import worked
from shared.errors import StoreError
from shared.store.engine import Transaction
from shared.store.recall import find_sent, keep_sent
from tests.support.database import open_database
from tests.support.remote import RemoteEngine


def monotonic() -> float:
    return 0.0


async def test_reads_and_transactions_of_work_are_waited_for(tmp_path: Path) -> None:
    far = RemoteEngine(open_database(tmp_path / "adapter.db"))
    far.serves = True
    engine = awaited(far)

    def refuse(_: Transaction) -> None:
        raise StoreError("refused")

    assert await worked(lambda: engine.read("SELECT 1"), monotonic) == [(1,)]
    one = await worked(
        lambda: engine.transact(lambda work: work.run("SELECT 1"), alone=()), monotonic
    )
    assert one == [(1,)]
    with pytest.raises(StoreError, match="refused"):
        await worked(lambda: engine.transact(refuse, alone=()), monotonic)
    far.close()


async def test_what_work_tries_to_write_is_written_when_that_returns(tmp_path: Path) -> None:
    far = RemoteEngine(open_database(tmp_path / "adapter.db"))
    engine = awaited(far)
    change = [keep_sent(b"place", "omit", 4)]
    assert not engine.try_write(change)
    assert await worked(lambda: engine.try_write(change), monotonic)
    assert find_sent(far.beside, [b"place"]) == {b"place": ("omit", 4)}
    refused = [("INSERT INTO recall_sent (key) VALUES (NULL)", {})]
    with pytest.raises(Exception, match="NOT NULL"):
        await worked(lambda: engine.try_write(refused), monotonic)
    far.close()


def test_what_is_read_at_a_start_is_read_at_once(tmp_path: Path) -> None:
    far = RemoteEngine(open_database(tmp_path / "adapter.db"))
    engine = awaited(far)
    assert engine.read("SELECT 1") == [(1,)]
    assert engine.transact(lambda work: work.run("SELECT 1"), alone=()) == [(1,)]
    assert far.fetched == []
    far.close()


def test_an_engine_beside_us_is_itself(tmp_path: Path) -> None:
    engine = open_database(tmp_path / "adapter.db")
    assert awaited(engine) is engine
    engine.close()
