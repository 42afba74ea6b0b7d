"""Old rows go lot by lot, by one node's work, until those that may stay are left."""

from collections.abc import Iterator

import pytest

from addon.ledger.retention import Retention
from shared.config.schema import Audit, Ledger, Responses, Snapshot
from shared.store.answers import StoredAnswer, add_answer
from shared.store.audit import AuditRecord, add_record
from shared.store.engine import Engine
from shared.store.key_rests import rest
from shared.store.ledger import Entry, settle
from shared.store.sqlite import SqliteEngine
from tests.addon.desk import Desk

DAY = 86_400_000
SETTINGS = Snapshot(
    upstreams=(),
    ledger=Ledger(max_age_days=1),
    audit=Audit(max_age_days=1, max_mib=1),
    responses=Responses(max_age_days=1, max_mib=1),
)


@pytest.fixture
def beside(desk: Desk) -> Iterator[Engine]:
    """The database as another node has it."""
    beside = SqliteEngine(desk.memory.path, clock=desk.memory.clock)
    yield beside
    beside.close()


def fill(desk: Desk) -> None:
    """1,200 entries and as many records of a kilobyte, of which all are old but 100 of each."""
    now = desk.memory.clock.now_ms()
    for number in range(1200):
        at = now - 2 * DAY if number < 1100 else now
        desk.memory.engine.write_later(
            settle(Entry(exchange=f"x{number}", at=at, conversation="c"))
        )
        record = AuditRecord(
            exchange=f"x{number}",
            at=at,
            user_id=1,
            username="ada",
            model="m",
            upstream="up",
            status=200,
            text="x" * 1000,
            conversation=None,
        )
        desk.memory.engine.write_later([add_record(record)])
    desk.memory.engine.write_later([rest("up", "sk-upstream-key", now - 1, "429")])
    desk.memory.engine.flush()


def count(engine: Engine, table: str) -> int:
    [(number,)] = engine.read(f"SELECT count(*) FROM {table}")
    return int(number)


def seconds(desk: Desk, engine: Engine, retention: Retention, number: int) -> None:
    for _ in range(number):
        desk.memory.clock.ms += 1000
        retention.each_second(SETTINGS)
        engine.flush()


def test_19_old_rows_go_lot_by_lot_by_one_node(desk: Desk, beside: Engine) -> None:
    fill(desk)
    one = Retention(desk.memory.engine, desk.memory.clock, node="node-1")
    other = Retention(beside, desk.memory.clock, node="node-2")
    seconds(desk, desk.memory.engine, one, 599)
    assert count(desk.memory.engine, "ledger") == 1200
    for left in (700, 200, 100):
        seconds(desk, desk.memory.engine, one, 1)
        seconds(desk, beside, other, 1)
        assert (count(beside, "ledger"), count(beside, "audit")) == (left, left)
    assert count(beside, "resting_keys") == 0


def test_19_another_node_goes_on_when_the_first_is_gone(desk: Desk, beside: Engine) -> None:
    fill(desk)
    one = Retention(desk.memory.engine, desk.memory.clock, node="node-1")
    seconds(desk, desk.memory.engine, one, 600)
    assert count(beside, "ledger") == 700
    other = Retention(beside, desk.memory.clock, node="node-2")
    seconds(desk, beside, other, 610)
    assert count(beside, "ledger") == 100


def test_the_oldest_go_until_the_rest_fits(desk: Desk) -> None:
    now = desk.memory.clock.now_ms()
    for number in range(30):
        desk.memory.engine.write_later(
            [
                add_answer(
                    StoredAnswer(
                        id=f"resp_{number:02}",
                        principal="user:1",
                        created_at=now + number,
                        previous="",
                        items=b"",
                        response=b"x" * 100_000,
                    )
                )
            ]
        )
    desk.memory.engine.flush()
    retention = Retention(desk.memory.engine, desk.memory.clock, node="node-1")
    seconds(desk, desk.memory.engine, retention, 603)
    rows = desk.memory.engine.read("SELECT id FROM answers ORDER BY id")
    assert rows == [(f"resp_{number:02}",) for number in range(20, 30)]
