"""The ledger: one row per exchange, sums that agree with it, reservations that die with
their node.
"""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.model import Period
from shared.store.engine import Engine, Statement, Work, apply_change
from shared.store.ledger import (
    ENTRY_COLUMNS,
    Balance,
    Entry,
    Opening,
    balance_in,
    balance_of,
    drop_old,
    entry_from,
    note_progress,
    open_exchange,
    settle,
    subject_of,
)
from shared.store.nodes import beat
from tests.support.database import open_database

NOON = 1_795_176_000_000
"""2026-11-20 12:00 UTC."""

DAY = 86_400_000


def run(engine: Engine, *statements: Statement | Work[object]) -> None:
    engine.transact(lambda work: apply_change(work, statements), alone=())


def entry(exchange: str = "x1", **members: Any) -> Entry:
    given = {
        "at": NOON,
        "user_id": 7,
        "username": "ada",
        "key_id": 3,
        "model": "m",
        "upstream": "up",
        "upstream_model": "um",
        "status": 200,
        "attempts": 1,
        "prompt_tokens": 100,
        "completion_tokens": 20,
        "cost_micros": 50,
    }
    return Entry(exchange=exchange, **given | members)


def opening(exchange: str = "x1", node: str = "n1", **members: Any) -> Statement:
    return open_exchange(
        Opening(
            node=node, entry=entry(exchange, **members), reserved_tokens=500, reserved_cost_micros=9
        )
    )


def ledger(engine: Engine) -> list[Entry]:
    return [
        entry_from(row) for row in engine.read(f"SELECT {ENTRY_COLUMNS} FROM ledger ORDER BY id")
    ]


def spent(
    engine: Engine, subject: str = "user:7", period: Period = "lifetime", now: int = NOON
) -> tuple[int, int]:
    balance = balance_of(engine, subject, period, now)
    return balance.tokens, balance.cost_micros


# -- settlement ------------------------------------------------------------------------------------


def test_an_entry_is_read_as_it_was_written(engine: Engine) -> None:
    written = entry(
        streamed=True,
        estimated=True,
        cost_micros=None,
        first_byte_ms=12,
        details='{"tries":[]}',
        client="203.0.113.5",
    )
    run(engine, *settle(written))
    assert ledger(engine) == [written]


@pytest.mark.parametrize("subject", ["user:7", "key:3"])
@pytest.mark.parametrize("period", ["lifetime", "month", "day"])
def test_what_an_exchange_used_is_spent_by_its_user_and_its_key(
    engine: Engine, subject: str, period: Period
) -> None:
    run(
        engine,
        *settle(entry("x1")),
        *settle(entry("x2", prompt_tokens=1, completion_tokens=2, cost_micros=None)),
    )
    assert spent(engine, subject, period) == (123, 50)


def test_an_exchange_that_is_settled_again_changes_nothing(engine: Engine) -> None:
    run(engine, *settle(entry()))
    before = [
        engine.read(f"SELECT * FROM {table}") for table in ("ledger", "usage_daily", "spending")
    ]
    run(engine, *settle(entry(prompt_tokens=9999)))
    assert [
        engine.read(f"SELECT * FROM {table}") for table in ("ledger", "usage_daily", "spending")
    ] == before


def test_a_caller_with_an_upstreams_key_is_counted_and_spends_nothing(engine: Engine) -> None:
    run(engine, *settle(entry(user_id=None, key_id=None)))
    assert engine.read("SELECT user_id, requests, prompt_tokens FROM usage_daily") == [(0, 1, 100)]
    assert engine.read("SELECT * FROM spending") == []


def test_the_day_adds_up_requests_failures_and_what_had_no_price(engine: Engine) -> None:
    refused = entry(
        "x2", error_class="upstream_400", prompt_tokens=0, completion_tokens=0, cost_micros=0
    )
    run(
        engine,
        *settle(entry("x1")),
        *settle(refused),
        *settle(entry("x3", cost_micros=None, estimated=True)),
    )
    sums = (
        "SELECT day, requests, failures, unpriced, estimated, prompt_tokens, "
        "cost_micros FROM usage_daily"
    )
    assert engine.read(sums) == [(20261120, 3, 1, 1, 1, 200, 50)]


def test_names_of_models_that_nobody_serves_make_no_rows_of_their_own(engine: Engine) -> None:
    refused = [
        entry(f"x{n}", model=f"made up {n}", upstream="", upstream_model="") for n in range(5)
    ]
    run(engine, *(statement for one in refused for statement in settle(one)))
    assert engine.read("SELECT model, requests FROM usage_daily") == [("", 5)]


def test_a_new_window_begins_with_nothing_spent(engine: Engine) -> None:
    run(engine, *settle(entry("x1")), *settle(entry("x2", at=NOON + DAY)))
    assert spent(engine, period="day", now=NOON + DAY) == (120, 50)
    assert spent(engine, period="month", now=NOON + DAY) == (240, 100)
    assert spent(engine, period="month", now=NOON + 20 * DAY) == (0, 0)
    assert spent(engine, period="lifetime", now=NOON + 999 * DAY) == (240, 100)


def test_a_clock_that_is_put_back_gives_no_new_quota(engine: Engine) -> None:
    run(engine, *settle(entry("x1", at=NOON + 40 * DAY)))
    assert spent(engine, period="day", now=NOON) == (120, 50)
    assert spent(engine, period="month", now=NOON) == (120, 50)


def test_what_ends_after_midnight_counts_in_the_new_window(engine: Engine) -> None:
    run(engine, *settle(entry(duration_ms=DAY // 2 + 1)))
    assert spent(engine, period="day", now=NOON + DAY) == (120, 50)


def test_what_is_settled_late_does_not_reopen_an_old_window(engine: Engine) -> None:
    run(engine, *settle(entry("x2", at=NOON + DAY)), *settle(entry("x1")))
    assert spent(engine, period="day", now=NOON + DAY) == (120, 50)
    assert spent(engine, period="lifetime") == (240, 100)


def test_old_entries_go_and_the_sums_stay(engine: Engine) -> None:
    run(engine, *settle(entry("x1")), *settle(entry("x2", at=NOON + DAY)), drop_old(NOON + 1))
    assert [one.exchange for one in ledger(engine)] == ["x2"]
    assert engine.read("SELECT SUM(requests) FROM usage_daily") == [(2,)]


# -- reservations ----------------------------------------------------------------------------------


def test_what_runs_is_reserved_until_it_is_settled(engine: Engine) -> None:
    run(engine, beat("n1", "1", NOON, NOON), opening("x1"), opening("x2"))
    held = Balance(reserved_tokens=1000, reserved_cost_micros=18)
    assert (
        balance_of(engine, "user:7", "day", NOON)
        == balance_of(engine, "key:3", "day", NOON)
        == held
    )
    assert engine.transact(lambda work: balance_in(work, "user:7", "day", NOON), alone=()) == held
    run(engine, *settle(entry("x1")), *settle(entry("x2")))
    assert balance_of(engine, "user:7", "day", NOON) == Balance(tokens=240, cost_micros=100)


def test_an_exchange_that_is_settled_does_not_open_again(engine: Engine) -> None:
    run(engine, beat("n1", "1", NOON, NOON), *settle(entry("x1")), opening("x1"))
    assert balance_of(engine, "user:7", "day", NOON) == Balance(tokens=120, cost_micros=50)


def test_others_hold_and_spend_nothing_of_mine(engine: Engine) -> None:
    run(engine, beat("n1", "1", NOON, NOON), opening("x1"), *settle(entry("x2")))
    assert (
        balance_of(engine, "user:3", "day", NOON)
        == balance_of(engine, "key:7", "day", NOON)
        == Balance()
    )


def test_progress_that_comes_after_the_settlement_changes_nothing(engine: Engine) -> None:
    run(engine, beat("n1", "1", NOON, NOON), opening("x1"), *settle(entry("x1")))
    run(engine, note_progress(entry("x1", completion_tokens=700)))
    assert (ledger(engine), spent(engine)) == ([entry("x1")], (120, 50))
    assert engine.read("SELECT count(*) FROM open_exchanges") == [(0,)]


@settings(max_examples=25, deadline=None)
@given(
    st.lists(
        st.tuples(st.integers(0, 3), st.integers(0, 1000), st.integers(0, 40 * DAY)), max_size=20
    )
)
def test_sums_and_balances_always_agree_with_the_rows(
    tmp_path_factory: pytest.TempPathFactory, used: list[tuple[int, int, int]]
) -> None:
    engine = open_database(tmp_path_factory.mktemp("ledger") / "adapter.db")
    entries = [entry(f"x{n}", prompt_tokens=tokens, at=NOON + at) for n, tokens, at in used]
    run(engine, *(statement for one in entries for statement in settle(one)))
    rows = ledger(engine)
    assert engine.read("SELECT SUM(prompt_tokens), SUM(requests) FROM usage_daily") == [
        (sum(one.prompt_tokens for one in rows), len(rows)) if rows else (None, None)
    ]
    assert spent(engine)[0] == sum(one.prompt_tokens + one.completion_tokens for one in rows)
    engine.close()


def test_subjects_have_names_that_cannot_be_mixed_up() -> None:
    assert (subject_of("user", 7), subject_of("key", 7)) == ("user:7", "key:7")
