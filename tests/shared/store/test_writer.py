"""The writer thread commits what is queued, in its order and in time, whatever the disk and
other programs do.
"""

import logging
import subprocess
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest
from pysqlite3 import dbapi2

from shared.store import open_engine
from shared.store.engine import Engine, Pending, Statement, Transaction
from shared.store.sqlite import SqliteEngine, connect
from shared.store.write_queue import QUEUE_BYTES, Write, WriteQueue
from shared.store.writer import Failure, Writer
from tests.shared.processes import start
from tests.shared.store.learned import COUNT, ENDPOINTS, learn, refused
from tests.support.gateway import eventually


@pytest.fixture
def database(file: str) -> str:
    """These tests are about SQLite's engine."""
    return file


WRITE_WITHOUT_A_PAUSE = """
import sys, time
from pathlib import Path
from shared.store.sqlite import connect
connection = connect(Path(sys.argv[1]))
sql = "INSERT INTO recall_sent (key, value, used_at) VALUES (randomblob(16), 'x', 1)"
while True:
    connection.execute("BEGIN IMMEDIATE")
    print("begun", flush=True)
    until = time.monotonic() + 0.02
    while time.monotonic() < until:
        connection.execute(sql)
    connection.execute("COMMIT")
"""


def written(pending: Pending | None) -> bool:
    """Whether a write that could not be made at once is over soon."""
    assert pending is not None
    return eventually(lambda: pending.over)


def test_what_comes_first_is_committed_at_once_when_the_database_is_free(engine: Engine) -> None:
    engine.write_later([learn("queued")])
    assert engine.write_first([learn("urgent")]) is None
    assert ("urgent",) in engine.read(ENDPOINTS)


def test_what_comes_first_is_committed_before_all_that_waits(
    engine: Engine, other: dbapi2.Connection
) -> None:
    other.execute("BEGIN IMMEDIATE")
    for number in range(300):
        engine.write_later([learn(str(number))])
    urgent = [engine.write_first([learn(name)]) for name in ("first", "second")]
    assert [pending and pending.over for pending in urgent] == [False, False]
    other.execute("COMMIT")
    assert all(map(written, urgent))
    engine.flush()
    rows = engine.read(ENDPOINTS)
    assert rows[:2] == [("first",), ("second",)]
    assert len(rows) == 302


def test_what_comes_first_waits_for_a_transaction_of_the_same_program(engine: Engine) -> None:
    begun, may_end = threading.Event(), threading.Event()

    def hold(_: Transaction) -> None:
        begun.set()
        may_end.wait(10)

    with ThreadPoolExecutor(1) as threads:
        threads.submit(engine.transact, hold, alone=())
        assert begun.wait(10)
        urgent = engine.write_first([learn("a")])
        may_end.set()
        assert written(urgent)
    assert engine.read(ENDPOINTS) == [("a",)]


def test_a_later_state_is_not_overwritten_by_an_earlier_one_that_waits(
    engine: Engine, other: dbapi2.Connection
) -> None:
    sql = (
        "INSERT INTO learned (endpoint, value, learned_at) VALUES ('a', :value, 1) "
        "ON CONFLICT DO UPDATE SET value = excluded.value"
    )
    other.execute("BEGIN IMMEDIATE")
    engine.write_first([(sql, {"value": "early"})])
    other.execute("COMMIT")
    engine.write_first([(sql, {"value": "late"})])
    engine.flush()
    assert engine.read("SELECT value FROM learned") == [("late",)]


@contextmanager
def killed_at_the_end(process: subprocess.Popen[str]) -> Iterator[None]:
    try:
        yield
    finally:
        process.kill()


def test_what_comes_first_gets_between_the_batches_of_a_busy_program(
    engine: Engine, path: Path
) -> None:
    with start(WRITE_WITHOUT_A_PAUSE, path) as busy, killed_at_the_end(busy):
        assert busy.stdout.readline() == "begun\n"
        urgent = [engine.write_first([learn(str(number))]) for number in range(20)]
        assert eventually(lambda: all(one is None or one.over for one in urgent), 30)
        assert engine.read(COUNT) == [(20,)]


def test_a_queued_group_is_written_whole_or_not_at_all(
    engine: Engine, other: dbapi2.Connection
) -> None:
    other.execute("BEGIN IMMEDIATE")
    engine.write_later([learn("a")])
    engine.write_later([learn("b"), refused()])
    engine.write_later([learn("c")])
    other.execute("COMMIT")
    engine.flush()
    assert engine.read(ENDPOINTS) == [("a",), ("c",)]


@pytest.mark.parametrize(
    "statement",
    [
        pytest.param(refused("hunter2"), id="wrong-type"),
        pytest.param(learn("hunter2\ud800"), id="not-text"),
        pytest.param(
            ("SELECT nonsense FROM learned WHERE value = :v", {"v": "hunter2"}), id="wrong-sql"
        ),
        pytest.param((learn("")[0], {"endpoint": "hunter2"}), id="missing-parameter"),
    ],
)
def test_a_refused_write_is_logged_without_its_values(
    engine: Engine, caplog: pytest.LogCaptureFixture, statement: Statement
) -> None:
    engine.write_later([statement])
    engine.flush()
    assert [record.name for record in caplog.records] == ["thinkback.store"]
    assert "refused" in caplog.text
    assert "hunter2" not in caplog.text


def test_queued_writes_wait_until_another_program_is_done(
    hasty: SqliteEngine, other: dbapi2.Connection, caplog: pytest.LogCaptureFixture
) -> None:
    met_the_lock = threading.Event()
    caplog.handler.addFilter(lambda _: met_the_lock.set() or True)
    other.execute("BEGIN IMMEDIATE")
    hasty.write_later([learn("a")])
    assert met_the_lock.wait(timeout=30)
    other.execute("COMMIT")
    hasty.flush()
    assert hasty.read(COUNT) == [(1,)]
    assert [record.levelno for record in caplog.records] == [logging.ERROR, logging.WARNING]


def test_the_queue_is_bounded_and_says_so_once(
    engine: Engine, other: dbapi2.Connection, caplog: pytest.LogCaptureFixture
) -> None:
    half = "x" * (QUEUE_BYTES // 2)
    other.execute("BEGIN IMMEDIATE")
    for name in "abcd":
        engine.write_later([learn(name, half)])
    other.execute("COMMIT")
    engine.flush()
    assert engine.read(ENDPOINTS) == [("a",), ("b",)]
    assert caplog.text.count("dropped") == 1


def test_the_queue_takes_any_amount_over_time(engine: Engine) -> None:
    for name in "abc":
        engine.write_later([learn(name, "x" * (QUEUE_BYTES // 2))])
        engine.flush()
    assert engine.read(ENDPOINTS) == [("a",), ("b",), ("c",)]


def test_closing_commits_what_is_queued(path: Path) -> None:
    engine = open_engine(f"sqlite:{path}")
    for number in range(1000):
        engine.write_later([learn(str(number))])
    engine.close()
    engine.close()
    assert connect(path).execute(COUNT).fetchone() == (1000,)


def test_closing_gives_up_on_a_database_that_stays_locked(
    hasty: SqliteEngine, other: dbapi2.Connection, caplog: pytest.LogCaptureFixture
) -> None:
    other.execute("BEGIN IMMEDIATE")
    for number in range(1000):
        hasty.write_later([learn(str(number))])
    hasty.close()
    assert "1000 queued writes are lost" in caplog.text


class Clash(Exception):
    """Another program's transaction and this one wait for each other."""


def wrote(*ranks: int, clashes: int = 0) -> list[list[int]]:
    """The batches in which writes of these ranks are committed, the first `clashes` tries failing."""
    queue, committed = WriteQueue(), []
    for rank in ranks:
        queue.put(Write([("INSERT", {})], rank=rank))
    left = clashes

    def commit(writes: Sequence[Write]) -> None:
        nonlocal left
        left -= 1
        if left >= 0:
            raise Clash
        committed.append([write.rank for write in writes])

    queue.close()
    Writer(
        queue,
        commit=commit,
        after_batch=lambda: None,
        judge=lambda error: (Failure.CLASHED, "deadlock"),
        patience_ms=60_000,
    ).join()
    return committed


def test_8_what_is_committed_together_is_in_one_order_for_all_nodes() -> None:
    assert wrote(9, 3, 0, 7) == [[0, 3, 7, 9]]


@pytest.mark.parametrize(("clashes", "batches"), [(1, [[0], [3], [9]]), (3, [[0], [3], [9]])])
def test_8_what_meets_another_nodes_writes_half_way_is_tried_again_one_by_one(
    clashes: int, batches: list[list[int]]
) -> None:
    assert wrote(3, 9, 0, clashes=clashes) == batches
