"""The PostgreSQL engine keeps the promises of the engine protocol, beside other programs and
while the database is gone.
"""

import asyncio
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

import psycopg
import pytest

from shared.clock import SystemClock
from shared.errors import Busy, StoreError
from shared.store import open_engine
from shared.store.engine import Engine, Transaction
from shared.store.postgres import PostgresEngine
from shared.store.postgres_connections import Connections
from shared.store.versions import changed
from tests.shared.store.learned import COUNT, learn
from tests.support.gateway import eventually
from tests.support.postgres import empty_database, wipe

ENDPOINTS = "SELECT endpoint FROM learned ORDER BY endpoint"


@pytest.fixture
def database() -> str:
    wipe(empty_database())
    return empty_database()


@pytest.fixture
def other(database: str) -> Iterator[Engine]:
    """The engine of another program."""
    with closing(open_engine(database)) as other:
        yield other


@pytest.fixture
def server(database: str) -> Iterator[psycopg.Connection]:
    """A connection as its administrator has it."""
    url = database.replace("/thinkback?", "/postgres?")
    with psycopg.connect(url, autocommit=True) as connection:
        yield connection


def test_try_write_commits_all_or_nothing_and_raises_what_is_wrong(engine: Engine) -> None:
    assert engine.try_write([learn("a")])
    with pytest.raises(psycopg.IntegrityError):
        engine.try_write([learn("b"), learn("a")])
    assert engine.read(ENDPOINTS) == [("a",)]


def test_queued_writes_are_committed_in_order_and_a_bad_one_is_dropped_alone(
    engine: Engine, caplog: pytest.LogCaptureFixture
) -> None:
    for name in ("a", "b", "a", "c"):
        engine.write_later([learn(name)], alone=(f"exchange:{name}",))
    engine.flush()
    assert engine.read(ENDPOINTS) == [("a",), ("b",), ("c",)]
    assert [record.message for record in caplog.records] == [
        "A queued write was refused and dropped (UniqueViolation)."
    ]


def test_what_others_wait_for_is_committed_by_the_writer(engine: Engine, other: Engine) -> None:
    pending = engine.write_first([learn("a")])
    assert pending is not None
    assert eventually(lambda: pending.over)
    assert other.read(COUNT) == [(1,)]


def test_work_in_a_batch_knows_what_it_finds(engine: Engine) -> None:
    def copy(transaction: Transaction) -> None:
        for (name,) in transaction.run(ENDPOINTS):
            transaction.run(*learn(f"{name} again"))

    engine.write_later([learn("a"), copy, learn("b")], alone=("x",))
    engine.flush()
    assert engine.read(ENDPOINTS) == [("a",), ("a again",), ("b",)]


def test_a_transaction_whose_work_raises_leaves_nothing(engine: Engine) -> None:
    def work(transaction: Transaction) -> None:
        transaction.run(*learn("a"))
        raise KeyError("a")

    with pytest.raises(KeyError):
        engine.transact(work, alone=("x",))
    assert engine.read(COUNT) == [(0,)]


def test_a_failure_that_work_keeps_to_itself_is_told(engine: Engine) -> None:
    def work(transaction: Transaction) -> None:
        transaction.run(*learn("a"))
        with pytest.raises(psycopg.Error):
            transaction.run("SELECT 1 / 0")

    with pytest.raises(StoreError, match="nothing of its transaction was written"):
        engine.transact(work, alone=())
    assert engine.read(COUNT) == [(0,)]


def test_one_name_is_held_by_one_transaction_and_the_next_sees_what_it_did(
    engine: Engine, other: Engine
) -> None:
    def add(program: Engine) -> None:
        program.transact(work, alone=("user:7", "key:3"))

    def work(transaction: Transaction) -> None:
        [(count,)] = transaction.run(COUNT)
        transaction.run(*learn(str(count)))

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(add, [engine, other] * 20))
    assert engine.read(COUNT) == [(40,)]


def test_who_does_not_want_to_wait_for_a_name_is_told_so(engine: Engine, other: Engine) -> None:
    def work(transaction: Transaction) -> None:
        with pytest.raises(Busy, match="try again"):
            other.transact(lambda _: None, alone=("o'neill",), wait=False)
        other.transact(lambda _: None, alone=("another",), wait=False)

    engine.transact(work, alone=("o'neill",))
    other.transact(lambda _: None, alone=("o'neill",), wait=False)


def test_batches_that_meet_in_other_order_lose_nothing(engine: Engine, other: Engine) -> None:
    sql = "UPDATE learned SET learned_at = learned_at + 1 WHERE endpoint = :name"
    engine.try_write([learn("a"), learn("b")])
    for names in ["ab", "ba"] * 20:
        program = engine if names == "ab" else other
        program.write_later([(sql, {"name": name}) for name in names])
    for program in (engine, other):
        program.flush()
    assert engine.read("SELECT learned_at FROM learned") == [(41,), (41,)]


async def test_a_loop_goes_on_while_a_look_up_waits(engine: Engine, other: Engine) -> None:
    ready, done = threading.Event(), threading.Event()

    def hold(transaction: Transaction) -> None:
        transaction.run("LOCK TABLE learned IN ACCESS EXCLUSIVE MODE")
        ready.set()
        done.wait(10)

    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(asyncio.to_thread(other.transact, hold, alone=()))
        await asyncio.to_thread(ready.wait, 10)
        waiting = tasks.create_task(engine.fetch(COUNT))
        assert await engine.fetch("SELECT :a + 1", {"a": 32767}) == [(32768,)]
        assert not waiting.done()
        done.set()
        assert await waiting == [(0,)]


async def test_on_a_loop_nothing_is_written_that_it_would_wait_for(engine: Engine) -> None:
    assert not engine.try_write([learn("a")])
    await engine.commit([learn("a")], alone=("exchange:a",))
    assert await engine.fetch(ENDPOINTS) == [("a",)]
    with pytest.raises(StoreError, match="can't be written"):
        await engine.commit([learn("a")])


async def test_a_transaction_is_waited_for_beside_the_loop(engine: Engine, other: Engine) -> None:
    ready, done = threading.Event(), threading.Event()

    def hold(_: Transaction) -> None:
        ready.set()
        done.wait(10)

    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(asyncio.to_thread(other.transact, hold, alone=("user:1",)))
        await asyncio.to_thread(ready.wait, 10)
        with pytest.raises(Busy):
            await engine.transacted(lambda _: None, alone=("user:1",), patience_ms=20)
        done.set()
        assert await engine.transacted(lambda _: 7, alone=("user:1",), patience_ms=5_000) == 7


def test_a_statement_that_takes_too_long_is_cut_off_in_words(engine: Engine) -> None:
    with pytest.raises(Busy, match="try again"):
        engine.read("SELECT pg_sleep(20)")
    assert engine.read("SELECT 1") == [(1,)]


def test_values_come_back_as_they_went_in_but_for_nul(engine: Engine) -> None:
    row = engine.read(
        "SELECT :text, :bytes, :number + :number, sum(n), :nothing FROM (VALUES (1), (2)) AS t (n)",
        {"text": "a\0ж", "bytes": b"\0\xff", "number": 20_000, "nothing": None},
    )
    assert row == [("a␀ж", b"\0\xff", 40_000, 3, None)]
    assert type(row[0][3]) is int


def test_a_lost_connection_is_replaced(engine: Engine, server: psycopg.Connection) -> None:
    for _ in range(3):
        assert engine.read("SELECT 1") == [(1,)]
        end_connections(server)
    engine.write_later([learn("a")])
    engine.flush()
    assert engine.read(ENDPOINTS) == [("a",)]


def test_writes_wait_while_the_database_is_gone(
    engine: Engine, server: psycopg.Connection, caplog: pytest.LogCaptureFixture
) -> None:
    server.execute("ALTER DATABASE thinkback ALLOW_CONNECTIONS false")
    end_connections(server)
    with pytest.raises(StoreError, match="can't be reached now"):
        engine.read("SELECT 1")
    pending = engine.write_first([learn("a")])
    assert pending is not None
    assert eventually(lambda: pending.over)  # nobody has to wait for it
    server.execute("ALTER DATABASE thinkback ALLOW_CONNECTIONS true")
    engine.flush()
    assert eventually(lambda: engine.try_write([learn("b")]))
    assert engine.read(ENDPOINTS) == [("a",), ("b",)]
    assert [record.levelname for record in caplog.records] == ["ERROR", "WARNING"]


def test_a_database_that_is_lost_is_known_to_be_until_it_is_back(
    engine: Engine, server: psycopg.Connection, caplog: pytest.LogCaptureFixture
) -> None:
    engine.versions()
    assert not engine.lost
    server.execute("ALTER DATABASE thinkback ALLOW_CONNECTIONS false")
    end_connections(server)
    assert eventually(lambda: engine.lost)
    server.execute("ALTER DATABASE thinkback ALLOW_CONNECTIONS true")
    assert eventually(lambda: not engine.lost)
    assert [record.levelname for record in caplog.records] == ["ERROR", "WARNING"]


def end_connections(server: psycopg.Connection) -> None:
    """End all connections to the database, and see them gone."""
    others = "FROM pg_stat_activity WHERE datname = 'thinkback'"
    server.execute(f"SELECT pg_terminate_backend(pid, 5000) {others}")
    assert eventually(lambda: server.execute(f"SELECT count(*) {others}").fetchone() == (0,))


def test_the_time_is_the_databases(database: str, server: psycopg.Connection) -> None:
    class Late(SystemClock):
        def now_ms(self) -> int:
            return super().now_ms() - 40_000

    with closing(PostgresEngine(Connections(database), clock=Late())) as engine:
        engine.versions()
        now = "SELECT floor(extract(epoch FROM clock_timestamp()) * 1000)::bigint"
        [(before,)], told, [(after,)] = (
            server.execute(now).fetchall(),
            engine.now_ms(),
            server.execute(now).fetchall(),
        )
    assert before - 1_000 <= told <= after + 1_000


async def test_a_loop_is_told_soon_what_other_programs_have_changed(
    engine: Engine, other: Engine
) -> None:
    assert engine.versions() == {}
    await other.commit([changed("learned")])
    async with asyncio.timeout(30):
        while engine.version() == 0:  # noqa: ASYNC110 - a thread looks
            await asyncio.sleep(0.01)
    assert engine.versions() == {"learned": 1}


def test_behind_a_pooler_nothing_is_left_in_a_session(database: str) -> None:
    with closing(open_engine(f"{database}&pgbouncer=true")) as engine:
        for _ in range(20):
            engine.read(ENDPOINTS)
        assert engine.read("SELECT count(*) FROM pg_prepared_statements") == [(0,)]
        assert engine.read("SHOW statement_timeout") == [("0",)]


def test_a_closed_database_takes_no_writes(engine: Engine) -> None:
    engine.close()
    with pytest.raises(StoreError, match="closed"):
        engine.write_later([learn("a")])
