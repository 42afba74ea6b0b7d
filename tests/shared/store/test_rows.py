"""Rows that are inserted one after the other are inserted together, and nothing else changes."""

import pytest
from pysqlite3 import dbapi2

from shared.store.audit import AuditFilter, AuditRecord, add_record, search
from shared.store.engine import Engine, Statement, Transaction
from shared.store.recall import keep_sent
from shared.store.rows import MOST_ROWS, join_rows
from shared.store.sqlite import SqliteEngine


@pytest.fixture
def database(file: str) -> str:
    """Only SQLite's engine does so."""
    return file


SENT = "SELECT key, value FROM recall_sent ORDER BY key"


def record(number: int, text: str = "words") -> Statement:
    return add_record(
        AuditRecord(
            exchange=f"{number:024}",
            at=number,
            user_id=1,
            username="ann",
            model="m",
            upstream="u",
            status=200,
            text=text,
        )
    )


def statements(*parts: Statement) -> list[str]:
    """The first word or two of what is run."""
    return [part[0].split()[0] for part in join_rows(parts) if not callable(part)]


@pytest.mark.parametrize(
    ("rows", "inserts"), [(1, 1), (2, 1), (MOST_ROWS, 1), (MOST_ROWS + 1, 2), (100, 4)]
)
def test_rows_of_one_table_take_few_statements(rows: int, inserts: int) -> None:
    assert len(statements(*map(record, range(rows)))) == inserts


def test_what_stands_between_two_rows_stays_between_them() -> None:
    forget: Statement = ("DELETE FROM audit WHERE at < :at", {"at": 2})
    rows = [record(1), record(2)]
    assert statements(*rows, forget, *rows) == ["INSERT", "DELETE", "INSERT"]


def test_what_is_worked_out_from_each_row_is_a_statement_of_its_own() -> None:
    computed: Statement = ("INSERT INTO t (a, b) VALUES (:a, 1 + :b)", {"a": 1, "b": 2})
    told: Statement = (
        "INSERT INTO t (a) VALUES (:a) ON CONFLICT (a) DO UPDATE SET a = :b",
        {"a": 1, "b": 2},
    )
    assert len(statements(computed, computed, told, told)) == 4


def test_work_is_done_between_the_rows_before_and_after_it() -> None:
    def work(transaction: Transaction) -> None:
        """Do nothing."""

    parts = list(join_rows([record(1), record(2), work, record(3), record(4)]))
    assert [part is work for part in parts] == [False, True, False]


def test_queued_rows_reach_the_table_each_with_what_is_its_own(engine: Engine) -> None:
    texts = [f"text of {number}" for number in range(2 * MOST_ROWS + 7)]
    for number, text in enumerate(texts):
        engine.write_later([record(number, text)])
        engine.write_later([record(number, "the same exchange again")])
    engine.flush()
    found, _ = search(engine, AuditFilter(), limit=1000)
    assert [one.text for one in reversed(found)] == texts
    named, _ = search(engine, AuditFilter(text="text of 66"), limit=9)
    assert [one.at for one in named] == [66]


def test_a_later_state_of_the_same_row_wins(engine: Engine) -> None:
    for number in range(20):
        engine.write_later([keep_sent(b"key", str(number), number)])
    engine.flush()
    assert engine.read(SENT) == [(b"key", "19")]


def test_a_row_that_is_refused_takes_no_other_with_it(engine: Engine) -> None:
    broken = record(7)
    refused: Statement = broken[0], {**broken[1], "text": None}
    for row in [*map(record, range(5)), refused, *map(record, range(10, 15))]:
        engine.write_later([row])
    engine.flush()
    found, _ = search(engine, AuditFilter(), limit=99)
    assert len(found) == 10


def test_rows_that_wait_for_another_program_are_written_when_it_is_done(
    hasty: SqliteEngine, other: dbapi2.Connection
) -> None:
    other.execute("BEGIN IMMEDIATE")
    for number in range(3):
        hasty.write_later([record(number)])
    urgent = hasty.write_first([keep_sent(b"key", "sent", 1)])
    assert urgent is not None
    other.execute("COMMIT")
    hasty.flush()
    assert urgent.committed
    found, _ = search(hasty, AuditFilter())
    assert [one.at for one in found] == [2, 1, 0]
