"""What is learnt of bytes and tokens holds at once here, and soon for every node."""

from addon.ledger.ratios import Ratios
from shared.store.ratios import Ratio, read_ratio
from tests.addon.desk import Desk

SEEN = Ratio(2000, 1000, 100, 50)


def test_what_is_learnt_counts_here_before_it_is_written(desk: Desk) -> None:
    ratios = Ratios(desk.memory.engine, desk.memory.clock)
    stored = Ratio(40_000, 10_000, 400, 100)
    assert ratios.known("m", stored) == stored
    ratios.learn("m", SEEN)
    assert ratios.known("m", stored) == Ratio(40_000, 10_500, 480, 145)
    assert ratios.known("n", stored) == stored


def test_it_is_written_every_few_seconds_and_at_the_end(desk: Desk) -> None:
    ratios = Ratios(desk.memory.engine, desk.memory.clock)
    ratios.learn("m", SEEN)
    ratios.each_second()
    desk.memory.engine.flush()
    assert read_ratio(desk.memory.engine, "m") == Ratio()
    desk.memory.clock.ms += 5000
    ratios.each_second()
    desk.memory.engine.flush()
    assert read_ratio(desk.memory.engine, "m") == SEEN
    ratios.learn("n", SEEN)
    ratios.flush()
    desk.memory.engine.flush()
    assert read_ratio(desk.memory.engine, "n") == SEEN
