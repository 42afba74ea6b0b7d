"""What went wrong in the books when several nodes kept them."""

from collections.abc import Iterator

import pytest
from msgspec.structs import replace

from addon.ledger.meter import Meter, Opened
from shared.model import Principal
from shared.store.engine import Engine
from shared.store.ledger import DEAD_AFTER_MS
from shared.store.ratios import Ratio
from shared.store.sqlite import SqliteEngine
from tests.addon.desk import Desk
from tests.addon.ledger.test_meter import BODY, balance, begun, caller, known, opened, settle
from tests.addon.recall.chat import StoppedClock


@pytest.fixture
def beside(desk: Desk) -> Iterator[Engine]:
    """The database as another node has it."""
    beside = SqliteEngine(desk.memory.path, clock=desk.memory.clock)
    yield beside
    beside.close()


def node(desk: Desk, engine: Engine, name: str, clock: StoppedClock | None = None) -> Meter:
    return Meter(engine, clock or desk.memory.clock, node=name, version="1")


def open_at(desk: Desk, meter: Meter, principal: Principal, exchange: str) -> Opened:
    return meter.open(
        principal,
        begun(desk, exchange),
        meter.admit(principal),
        known(desk),
        size=BODY,
        max_tokens=50,
    )


def test_4_what_a_node_no_longer_runs_is_not_held_for_it(desk: Desk, beside: Engine) -> None:
    one, kept = opened(desk, caller(quota_tokens=1000)), opened(desk, caller(), "x2")
    settle(desk, one)
    late = node(desk, beside, "node-1")
    late.reserve(open_at(desk, late, caller(quota_tokens=1000), "x3"))
    desk.memory.clock.ms += DEAD_AFTER_MS // 4
    desk.meter.each_second()
    rows = desk.memory.engine.read("SELECT exchange FROM open_exchanges")
    assert rows == [(kept.entry.exchange,)]
    assert balance(desk).tokens == 130 + 100


def test_4_what_waits_for_its_settlement_is_held_until_then(desk: Desk) -> None:
    one = opened(desk, caller(quota_tokens=1000))
    with desk.memory.locked():
        used = replace(one.entry, prompt_tokens=90, completion_tokens=40)
        desk.meter.settle(used, one, None)
        desk.memory.clock.ms += DEAD_AFTER_MS // 4
        desk.meter.each_second()
        assert desk.memory.engine.read("SELECT error_class FROM ledger") == []
    assert balance(desk).tokens == 130


def test_15_a_node_whose_clock_is_wrong_is_not_taken_for_dead(desk: Desk, beside: Engine) -> None:
    wrong = StoppedClock()
    wrong.ms -= 3 * DEAD_AFTER_MS
    behind = node(desk, beside, "behind", wrong)
    behind.reserve(open_at(desk, behind, caller(quota_tokens=1000), "x1"))
    for clock in (desk.memory.clock, wrong):
        clock.ms += DEAD_AFTER_MS // 4
    behind.each_second()
    desk.meter.each_second()
    assert desk.memory.engine.read("SELECT error_class FROM ledger") == []
    assert balance(desk).reserved_tokens == 150


def test_18_a_settlement_touches_no_row_that_all_nodes_share(desk: Desk) -> None:
    settle(desk, opened(desk, caller()), learned=Ratio(2000, 1000, 100, 50))
    assert desk.memory.engine.read("SELECT * FROM token_ratios") == []
    desk.memory.clock.ms += 5000
    desk.meter.each_second()
    desk.memory.engine.flush()
    assert desk.memory.engine.read("SELECT model, prompt_tokens FROM token_ratios") == [("m", 1000)]
