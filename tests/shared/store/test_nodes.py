"""What dead nodes left open is settled once, by whoever comes first, until the truth is known."""

from shared.store.engine import Engine
from shared.store.ledger import DEAD_AFTER_MS, balance_of, note_progress, settle
from shared.store.nodes import Process, beat, living, lost_exchanges, settle_lost
from tests.shared.store.test_ledger import DAY, NOON, entry, ledger, opening, run, spent


def lose(engine: Engine, now: int, *running: str, node: str = "other") -> int:
    """Settle what is lost, as a node does that runs these; how many that were."""
    lost = lost_exchanges(engine, node=node, running=running, now_ms=now)
    engine.transact(lambda work: settle_lost(work, lost, node=node, now_ms=now), alone=())
    return len(lost)


def test_a_dead_nodes_reservations_no_longer_count_and_its_exchanges_are_settled(
    engine: Engine,
) -> None:
    run(engine, beat("n1", "1", NOON, NOON + 5000), opening("x1"))
    later = NOON + 5000 + DEAD_AFTER_MS
    assert balance_of(engine, "user:7", "day", later - 1).reserved_tokens == 500
    assert balance_of(engine, "user:7", "day", later).reserved_tokens == 0
    assert lose(engine, later - 1) == 0
    assert lose(engine, later) == 1
    lost = entry(status=0, error_class="lost", estimated=True, duration_ms=5000)
    assert (ledger(engine), spent(engine)) == ([lost], (120, 50))
    assert lose(engine, later) == 0


def test_what_had_come_is_not_lost_with_its_node(engine: Engine) -> None:
    run(engine, beat("n1", "1", NOON, NOON), opening("x1"), opening("x2"))
    run(engine, note_progress(entry("x1", prompt_tokens=100, completion_tokens=700, cost_micros=9)))
    assert balance_of(engine, "user:7", "day", NOON).reserved_tokens == 800 + 500
    lose(engine, NOON + DEAD_AFTER_MS)
    rows = {one.exchange: (one.completion_tokens, one.error_class) for one in ledger(engine)}
    assert rows["x1"] == (700, "lost")


def test_a_node_that_only_slept_settles_nothing_twice(engine: Engine) -> None:
    run(engine, beat("n1", "1", NOON, NOON), opening("x1"))
    lose(engine, NOON + DEAD_AFTER_MS)
    run(engine, *settle(entry("x1")))
    assert (len(ledger(engine)), spent(engine)) == (1, (120, 50))


def test_an_exchange_of_a_node_nobody_knows_is_lost_at_once(engine: Engine) -> None:
    run(engine, opening("x1", node="gone"))
    assert lose(engine, NOON) == 1


def test_a_living_nodes_exchanges_stay_open_however_long_they_take(engine: Engine) -> None:
    run(engine, beat("n1", "1", NOON, NOON), opening("x1"), beat("n1", "1", NOON, NOON + DAY))
    assert lose(engine, NOON + DAY) == 0


def test_the_living_are_listed_by_their_processes_in_the_order_of_their_numbers(
    engine: Engine,
) -> None:
    now = engine.now_ms()
    here = [Process("a", pid, f"worker {pid}") for pid in (10, 2)]
    run(engine, *(beat(f"n{one.pid}", "1", NOON, now, one) for one in here))
    gone = now - DEAD_AFTER_MS - 1
    run(engine, beat("n1", "1", NOON, gone, Process("a", 1, "worker 1")))

    assert living(engine) == [(one, NOON) for one in reversed(here)]
