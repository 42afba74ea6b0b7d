"""The SQLite engine keeps the promises of the engine protocol, beside other programs and
when the disk does not.
"""

import asyncio
import os
import signal
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest
from pysqlite3 import dbapi2

from shared.errors import Busy, StoreError
from shared.store import open_engine
from shared.store.engine import Engine, Transaction
from shared.store.sqlite import SqliteEngine, connect, database_path, prepare_file
from tests.shared.processes import run_together, start
from tests.shared.store.learned import COUNT, ENDPOINTS, learn, refused
from tests.support.database import full_disk
from tests.support.gateway import eventually


@pytest.fixture
def database(file: str) -> str:
    """These tests are about SQLite's engine."""
    return file


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        pytest.param("sqlite:data/adapter.db?mode=rwc", "{cwd}/data/adapter.db", id="the-default"),
        pytest.param("sqlite:adapter.db", "{cwd}/adapter.db", id="relative"),
        pytest.param("sqlite://adapter.db", "{cwd}/adapter.db", id="relative-with-slashes"),
        pytest.param("sqlite:/srv/a.db", "/srv/a.db", id="absolute"),
        pytest.param("sqlite:///srv/a.db", "/srv/a.db", id="absolute-with-slashes"),
        pytest.param("sqlite:////srv/a.db", "/srv/a.db", id="absolute-as-sqlalchemy-writes-it"),
        pytest.param("sqlite:///srv/a%20b.db", "/srv/a b.db", id="percent"),
    ],
)
def test_a_url_names_a_file(
    url: str, expected: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert database_path(url) == Path(expected.format(cwd=tmp_path))


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("sqlite::memory:", "two programs share it"),
        ("sqlite://:memory:", "two programs share it"),
        ("sqlite:a.db?mode=memory", "two programs share it"),
        ("sqlite:a.db?mode=ro", "only mode=rwc"),
        ("sqlite:a.db?cache=shared", "only mode=rwc"),
        ("sqlite:", "names no file"),
        ("sqlite:///", "names no file"),
        ("postgresql://localhost/x", "must look like sqlite:"),
        ("data/adapter.db", "must look like sqlite:"),
    ],
)
def test_a_url_that_cannot_work_is_refused_in_words(url: str, words: str) -> None:
    with pytest.raises(StoreError, match=words):
        database_path(url)


def test_the_database_is_its_owners_only(engine: Engine, path: Path) -> None:
    assert engine.try_write([learn("a")])
    assert path.parent.stat().st_mode & 0o777 == 0o700
    assert {file.name: file.stat().st_mode & 0o777 for file in path.parent.iterdir()} == {
        "adapter.db": 0o600,
        "adapter.db-wal": 0o600,
        "adapter.db-shm": 0o600,
    }


def test_a_file_everybody_could_read_is_closed_to_them(path: Path) -> None:
    path.parent.mkdir()
    path.touch(0o664)
    path.chmod(0o664)
    prepare_file(path)
    assert path.stat().st_mode & 0o777 == 0o660


def test_a_fresh_file_can_be_opened_many_times_at_once(tmp_path: Path) -> None:
    everybody = threading.Barrier(4)

    def open_and_close(path: Path) -> None:
        everybody.wait()
        connect(path).close()

    with ThreadPoolExecutor(4) as pool:
        for number in range(100):  # the clash is rare
            path = tmp_path / f"{number}.db"
            prepare_file(path)
            list(pool.map(open_and_close, [path] * 4))


def test_a_file_that_stays_locked_is_not_opened(path: Path) -> None:
    prepare_file(path)
    with closing(dbapi2.connect(str(path), isolation_level=None)) as old:
        old.execute("BEGIN EXCLUSIVE")
        with pytest.raises(dbapi2.OperationalError, match="locked"):
            connect(path, patience_ms=50)


def test_what_is_written_now_is_read_at_once(engine: Engine) -> None:
    assert engine.try_write([learn("a"), learn("b")])
    assert engine.read(ENDPOINTS) == [("a",), ("b",)]


@pytest.mark.parametrize(
    ("sql", "row"),
    [
        ("SELECT 'x:a', :b, :a, :b", ("x:a", 2, 1, 2)),
        ('SELECT :a + 1 AS "as:b"', (2,)),
        ("SELECT ':it''s'||:a", (":it's1",)),
        ("SELECT 3", (3,)),
    ],
    ids=["one name twice", "one name", "in a text", "none"],
)
def test_what_is_named_in_a_statement_is_bound_to_it(
    engine: Engine, sql: str, row: tuple[object, ...]
) -> None:
    assert engine.read(sql, {"a": 1, "b": 2, "c": 3}) == [row]


def test_try_write_gives_up_at_once_while_another_program_writes(
    engine: Engine, other: dbapi2.Connection
) -> None:
    other.execute("BEGIN IMMEDIATE")
    assert not engine.try_write([learn("a")])
    other.execute("COMMIT")
    assert engine.try_write([learn("a")])


def test_try_write_raises_what_is_wrong_and_leaves_nothing(engine: Engine) -> None:
    with pytest.raises(dbapi2.IntegrityError):
        engine.try_write([learn("a"), refused()])
    assert engine.try_write([learn("b")])
    assert engine.read(ENDPOINTS) == [("b",)]


def test_try_write_does_not_wait_for_a_transaction_of_the_same_program(engine: Engine) -> None:
    assert engine.transact(lambda _: engine.try_write([learn("a")]), alone=()) is False


def test_no_write_overtakes_an_earlier_one(engine: Engine) -> None:
    for number in range(2000):
        if number % 3 == 0 or not engine.try_write([learn(str(number))]):
            engine.write_later([learn(str(number))])
    engine.flush()
    assert engine.read(ENDPOINTS) == [(str(number),) for number in range(2000)]


def test_what_may_come_first_does_not_wait_for_what_is_queued(
    engine: Engine, other: dbapi2.Connection
) -> None:
    other.execute("BEGIN IMMEDIATE")
    engine.write_later([learn("queued")])
    assert not engine.try_write([learn("urgent")], overtake=True)
    other.execute("COMMIT")
    assert eventually(lambda: engine.try_write([learn("urgent")], overtake=True))


def test_a_closed_database_takes_no_writes(engine: Engine) -> None:
    engine.close()
    with pytest.raises(StoreError, match="closed"):
        engine.write_later([learn("a")])


def test_a_transaction_returns_what_its_work_returns(engine: Engine) -> None:
    sql, params = learn("a")
    rows = engine.transact(
        lambda transaction: transaction.run(sql + " RETURNING endpoint", params), alone=()
    )
    assert rows == [("a",)]
    assert engine.read(COUNT) == [(1,)]


def test_a_transaction_whose_work_raises_leaves_nothing(engine: Engine) -> None:
    def work(transaction: Transaction) -> None:
        transaction.run(*learn("a"))
        raise KeyError("a")

    with pytest.raises(KeyError):
        engine.transact(work, alone=())
    assert engine.read(COUNT) == [(0,)]


def test_transactions_of_many_threads_follow_one_another(engine: Engine) -> None:
    def add(_: int) -> None:
        engine.transact(work, alone=())

    def work(transaction: Transaction) -> None:
        ((count,),) = transaction.run(COUNT)
        transaction.run(*learn(str(count)))

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(add, range(400)))
    assert engine.read(COUNT) == [(400,)]


def test_a_transaction_on_a_database_that_stays_locked_is_refused(
    hasty: SqliteEngine, other: dbapi2.Connection
) -> None:
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(StoreError, match="try again"):
        hasty.transact(lambda transaction: transaction.run(*learn("a")), alone=())


def test_a_transaction_inside_a_transaction_is_refused(hasty: SqliteEngine) -> None:
    with pytest.raises(StoreError, match="busy with another write"):
        hasty.transact(
            lambda _: hasty.transact(lambda work: work.run(*learn("a")), alone=()), alone=()
        )


def test_the_version_changes_when_another_program_writes(
    engine: Engine, other: dbapi2.Connection
) -> None:
    before = engine.version()
    assert engine.version() == before
    other.execute(*learn("a"))
    assert engine.version() != before


def test_an_engine_is_read_on_its_own_thread_only(engine: Engine) -> None:
    with (
        ThreadPoolExecutor(1) as pool,
        pytest.raises(RuntimeError, match="the thread that opened it"),
    ):
        pool.submit(engine.read, COUNT).result()


def test_the_log_is_moved_into_the_database_without_the_loops_help(path: Path) -> None:
    engine = open_engine(f"sqlite:{path}")
    with closing(connect(path)) as other:  # keeps the last close from doing it
        for number in range(4000):
            if not engine.try_write([learn(str(number))], overtake=True):
                engine.write_later([learn(str(number))])
        engine.close()
        # A log that was moved as a whole begins anew.
        _, pages, moved = other.execute("PRAGMA wal_checkpoint(NOOP)").fetchone()
    assert pages - moved < 3000


def test_the_log_begins_anew_although_writes_never_pause(path: Path) -> None:
    with closing(open_engine(f"sqlite:{path}")) as engine:
        for number in range(20_000):
            engine.transact(
                lambda work, row=learn(str(number), "x" * 2000): work.run(*row), alone=()
            )
        assert Path(f"{path}-wal").stat().st_size < 130_000_000  # half of what was written


def test_the_log_is_flushed_to_the_disk_once_for_all_that_was_committed(
    engine: Engine, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    flushed: list[str] = []

    def flush(descriptor: int) -> None:
        flushed.append(Path(f"/proc/self/fd/{descriptor}").readlink().name)
        os.fsync(descriptor)

    monkeypatch.setattr(os, "fdatasync", flush)
    for number in range(3):
        engine.transact(lambda work, number=number: work.run(*learn(str(number))), alone=())
    sync(engine)
    assert flushed == [f"{path.name}-wal"]
    sync(engine)
    assert len(flushed) == 1
    engine.write_later([learn("later")])
    engine.flush()
    sync(engine)
    assert len(flushed) == 2


def sync(engine: Engine) -> None:
    engine.sync_soon()
    engine.flush()
    engine.write_later([])  # is taken once all is done that follows the write before
    engine.flush()


WRITE_A_LOT = """
import sys
from shared.store import open_engine
engine = open_engine(sys.argv[1])
sql = "INSERT INTO recall_sent (key, value, used_at) VALUES (randomblob(16), :value, 1)"

def read_and_write(transaction):
    transaction.run("SELECT count(*) FROM recall_sent")
    transaction.run(sql, {"value": "transact"})

begin()
for number in range(300):
    later = number % 2 or not engine.try_write([(sql, {"value": "now"})])
    if later:
        engine.write_later([(sql, {"value": "later"})])
    engine.transact(read_and_write, alone=())
engine.close()
"""


def test_two_programs_write_at_once_and_lose_nothing(path: Path) -> None:
    run_together(2, WRITE_A_LOT, f"sqlite:{path}")
    connection = connect(path)
    assert connection.execute("SELECT count(*) FROM recall_sent").fetchone() == (1200,)
    assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)


WRITE_FOREVER = """
import itertools, sys
from shared.store import open_engine
engine = open_engine(sys.argv[1])
sql = "INSERT INTO learned (endpoint, value, learned_at) VALUES (:endpoint, :value, 1)"
for number in itertools.count():
    statement = (sql, {"endpoint": str(number), "value": "x" * 20_000})
    if not engine.try_write([statement]):
        engine.write_later([statement])
        engine.flush()
    print(number, flush=True)
"""


def test_a_killed_program_loses_nothing_it_acknowledged(path: Path) -> None:
    process = start(WRITE_FOREVER, f"sqlite:{path}")
    for _ in range(500):
        acknowledged = int(process.stdout.readline())
    process.send_signal(signal.SIGKILL)
    rest, _ = process.communicate()
    acknowledged = max([acknowledged, *map(int, rest.split("\n")[:-1])])
    connection = connect(path)
    assert connection.execute(COUNT).fetchone()[0] > acknowledged
    assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)


TRY_ON_A_FULL_DISK = """
import resource, sys
from shared.store import open_engine

engine = open_engine(sys.argv[1])
hard = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, hard))
sql = "INSERT INTO learned (endpoint, value, learned_at) VALUES ('a', :value, 1)"
print(engine.try_write([(sql, {"value": "x" * 2_000_000})]))
engine.close()
"""

FILL_THE_DISK = """
import logging, resource, sys
from shared.store import open_engine

class Recorded(logging.Handler):
    def emit(self, record):
        print(record.levelname, flush=True)
        if record.levelname == "ERROR":
            resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))

engine = open_engine(sys.argv[1])
logging.getLogger("thinkback.store").addHandler(Recorded())
hard = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, hard))
sql = "INSERT INTO learned (endpoint, value, learned_at) VALUES (:endpoint, :value, 1)"
for number in range(100):
    engine.write_later([(sql, {"endpoint": str(number), "value": "x" * 20_000})])
engine.flush()
print(engine.read("SELECT count(*) FROM learned"))
engine.close()
"""


def test_try_write_gives_up_at_once_when_the_disk_is_full(path: Path) -> None:
    process = start(TRY_ON_A_FULL_DISK, f"sqlite:{path}")
    out, err = process.communicate(timeout=60)
    assert out == "False\n", err


def test_queued_writes_survive_a_full_disk(path: Path) -> None:
    process = start(FILL_THE_DISK, f"sqlite:{path}")
    out, err = process.communicate(timeout=60)
    assert out == "ERROR\nWARNING\n[(100,)]\n", err


@pytest.fixture
def damaged(path: Path) -> Iterator[SqliteEngine]:
    """An engine over a file in which one table's pages are destroyed."""
    with closing(open_engine(f"sqlite:{path}")) as engine:
        [(page,)] = engine.read("SELECT rootpage FROM sqlite_master WHERE name = 'learned'")
        [(size,)] = engine.read("PRAGMA page_size")
    with path.open("r+b") as file:
        file.seek((page - 1) * size)
        file.write(b"\xff" * size)
    with closing(SqliteEngine(path)) as engine:
        yield engine


def test_a_damaged_file_refuses_a_transaction_in_words(damaged: SqliteEngine) -> None:
    with pytest.raises(StoreError, match="can't be written"):
        damaged.transact(lambda work: work.run(*learn("a")), wait=False, alone=())


def test_a_damaged_file_is_told_to_whoever_reads_it(damaged: SqliteEngine) -> None:
    with pytest.raises(StoreError, match=r"can't be read now .*malformed.*thinkback restore"):
        damaged.read("SELECT * FROM learned")


def test_a_damaged_table_costs_only_its_own_writes(
    damaged: SqliteEngine, caplog: pytest.LogCaptureFixture
) -> None:
    assert not damaged.try_write([learn("a")])
    damaged.write_later([learn("a")])
    damaged.write_later(
        [("INSERT INTO settings (name, value, updated_at) VALUES ('x', '1', 0)", {})]
    )
    damaged.flush()
    assert damaged.read("SELECT value FROM settings WHERE name = 'x'") == [("1",)]
    assert [record.message for record in caplog.records] == [
        "A queued write was refused and dropped (database disk image is malformed)."
    ]


async def test_a_commit_is_there_when_it_returns(engine: Engine, other: dbapi2.Connection) -> None:
    other.execute("BEGIN IMMEDIATE")
    async with asyncio.TaskGroup() as tasks:
        committing = tasks.create_task(engine.commit([learn("a")]))
        await asyncio.sleep(0)
        assert not committing.done()
        other.execute("COMMIT")
    assert other.execute(ENDPOINTS).fetchall() == await engine.fetch(ENDPOINTS) == [("a",)]


async def test_a_commit_that_cannot_be_written_says_so(engine: Engine) -> None:
    with full_disk(), pytest.raises(StoreError, match="can't be written now"):
        await engine.commit([learn("a")])


async def test_a_transaction_is_waited_for_beside_the_loop_as_long_as_is_said(
    engine: Engine, other: dbapi2.Connection
) -> None:
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(Busy):
        await engine.transacted(lambda work: work.run(*learn("a")), alone=(), patience_ms=5)
    async with asyncio.TaskGroup() as tasks:
        waiting = tasks.create_task(
            engine.transacted(lambda work: work.run(COUNT), alone=(), patience_ms=60_000)
        )
        await asyncio.sleep(0)
        other.execute("COMMIT")
    assert waiting.result() == [(0,)]


def test_work_is_committed_as_statements_are(engine: Engine) -> None:
    def twice(transaction: Transaction) -> None:
        for name in "ab":
            transaction.run(*learn(name))

    assert engine.try_write([twice, learn("c")])
    engine.write_later([lambda work: work.run(*learn("d"))])
    engine.write_later([learn("e"), twice])
    engine.flush()
    assert engine.read(ENDPOINTS) == [("a",), ("b",), ("c",), ("d",)]
