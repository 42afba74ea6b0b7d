"""A node is known while it lives, and what it runs is its own."""

from addon.ledger.presence import Presence
from shared.store.ledger import DEAD_AFTER_MS
from tests.addon.desk import Desk
from tests.addon.ledger.test_meter import balance, caller, opened


def test_a_node_that_could_not_be_written_is_known_with_what_it_writes_first(desk: Desk) -> None:
    with desk.memory.full_disk():
        late = Presence(desk.memory.engine, desk.memory.clock, node="late", version="1")
    assert not late.is_known
    desk.memory.engine.transact(late.join, alone=())
    assert ("late",) in desk.memory.engine.read("SELECT node FROM nodes")


def test_a_node_that_slept_is_known_again_with_what_it_writes_first(desk: Desk) -> None:
    desk.memory.clock.ms += DEAD_AFTER_MS
    opened(desk, caller(quota_tokens=1000))
    assert balance(desk).reserved_tokens == 150


def test_what_others_run_stays_theirs_while_they_live(desk: Desk) -> None:
    opened(desk, caller())
    other = Presence(desk.memory.engine, desk.memory.clock, node="other", version="1")
    for _ in range(5):
        desk.memory.clock.ms += DEAD_AFTER_MS // 4
        desk.meter.each_second()
        other.each_second()
    assert desk.memory.engine.read("SELECT error_class FROM ledger") == []
    assert desk.memory.engine.read("SELECT exchange FROM open_exchanges") == [("x1",)]


def test_nodes_that_have_been_dead_for_a_day_are_let_go(desk: Desk) -> None:
    desk.new_meter("gone")
    desk.memory.clock.pass_days(1)
    desk.memory.clock.ms += 1
    desk.meter.each_second()
    assert desk.memory.engine.read("SELECT node FROM nodes") == [("node-1",)]
