"""The books of one node: opened before anything is sent, settled once, right whoever else
writes.
"""

from contextlib import closing
from typing import Any

import pytest
from msgspec.structs import replace

from addon.formats.neutral.problem import Problem, RequestError
from addon.ledger.meter import Meter, Opened
from shared.model import Limits, Principal
from shared.periods import day_of
from shared.pricing import Price
from shared.store.ledger import DEAD_AFTER_MS, Balance, Entry, balance_of
from shared.store.lookup import Found, PriceWanted, Wanted, look_up
from shared.store.prices import add_price
from shared.store.ratios import Ratio, read_ratio
from shared.store.sqlite import connect
from tests.addon.callers import principal, user
from tests.addon.desk import USER, Desk

BODY = 400
"""Bytes: 100 tokens, as long as nothing is known of the model."""


def caller(**limits: Any) -> Principal:
    return principal(user(limits=Limits(**limits)))


def begun(desk: Desk, exchange: str = "x1") -> Entry:
    now = desk.memory.clock.now_ms()
    return Entry(
        exchange=exchange,
        at=now,
        user_id=7,
        username="ada",
        model="m",
        upstream="up",
        upstream_model="m",
        status=200,
    )


def known(desk: Desk) -> Found:
    """What the store knows of the candidate's price and tokens."""
    price = PriceWanted(
        upstream="up", host="up.example", model="m", day=day_of(desk.memory.clock.now_ms())
    )
    return look_up(desk.memory.engine, Wanted(price=price, ratio="m"))


def opened(
    desk: Desk,
    principal: Principal,
    exchange: str = "x1",
    *,
    max_tokens: int = 50,
    size: int = BODY,
) -> Opened:
    """An exchange that was opened and, if it may be sent, reserved; one that may not is
    settled as the gateway does.
    """
    ticket = desk.meter.admit(principal)
    try:
        one = desk.meter.open(
            principal,
            begun(desk, exchange),
            ticket,
            known(desk),
            size=size,
            max_tokens=max_tokens,
        )
    except RequestError:
        desk.meter.give_back(ticket)
        raise
    try:
        desk.meter.reserve(one)
    except RequestError:
        desk.meter.settle(begun(desk, exchange), one, None)
        raise
    return one


def refusal(desk: Desk, principal: Principal, exchange: str = "x2") -> Problem:
    with pytest.raises(RequestError) as refused:
        opened(desk, principal, exchange)
    return refused.value.problem


def settle(
    desk: Desk, one: Opened, *, prompt: int = 90, completion: int = 40, learned: Ratio | None = None
) -> None:
    desk.meter.settle(
        replace(one.entry, prompt_tokens=prompt, completion_tokens=completion), one, learned
    )
    desk.memory.engine.flush()


def balance(desk: Desk) -> Balance:
    desk.memory.engine.flush()
    return balance_of(desk.memory.engine, "user:7", "lifetime", desk.memory.clock.now_ms())


def test_what_is_reserved_becomes_what_was_used(desk: Desk) -> None:
    one = opened(desk, caller(quota_tokens=1000))
    assert (one.reserved, balance(desk)) == (True, Balance(reserved_tokens=150))
    settle(desk, one)
    assert balance(desk) == Balance(tokens=130)


def test_every_exchange_is_in_the_books_before_it_may_be_sent(desk: Desk) -> None:
    for exchange, caller_ in (("x1", caller()), ("x2", caller(quota_tokens=1000)), ("x3", USER)):
        assert opened(desk, caller_, exchange).reserved
    with closing(connect(desk.memory.path)) as other:
        assert other.execute(
            "SELECT exchange FROM open_exchanges ORDER BY exchange"
        ).fetchall() == [
            ("x1",),
            ("x2",),
            ("x3",),
        ]


def test_a_locked_database_holds_a_caller_without_a_quota_up_but_not_for_good(desk: Desk) -> None:
    with desk.memory.locked():
        one = opened(desk, caller())
        assert not one.reserved
        desk.meter.reserve(one, give_up=True)
        assert one.reserved
        desk.meter.settle(one.entry, one, None)
    assert balance(desk) == Balance(tokens=100)


def test_a_node_that_started_on_a_full_disk_holds_what_it_reserves(desk: Desk) -> None:
    with desk.memory.full_disk():
        desk.meter = desk.new_meter("node-2")
        assert refusal(desk, caller(quota_tokens=160)).code == "usage_not_recorded"
    assert opened(desk, caller(quota_tokens=160), "x3").reserved
    assert balance(desk) == Balance(reserved_tokens=150)
    assert refusal(desk, caller(quota_tokens=160), "x4").code == "insufficient_quota"


def test_what_goes_on_unwritten_holds_as_much_once_it_is_written(desk: Desk) -> None:
    with desk.memory.locked():
        one = opened(desk, caller())
        desk.meter.reserve(one, give_up=True)
    assert balance(desk) == Balance(reserved_tokens=150)


def test_a_settlement_that_overtakes_its_opening_leaves_nothing_open(desk: Desk) -> None:
    with desk.memory.full_disk():
        one = opened(desk, caller())
    # The writer thread tries again in a second; the settlement does not wait for it.
    desk.meter.settle(one.entry, one, None)
    assert balance(desk) == Balance(tokens=100)
    assert desk.memory.engine.read("SELECT count(*) FROM open_exchanges") == [(0,)]


def test_a_database_that_stays_locked_turns_a_limited_caller_away(desk: Desk) -> None:
    with desk.memory.locked():
        one = opened(desk, caller(quota_tokens=1000, concurrency=1))
        with pytest.raises(RequestError) as refused:
            desk.meter.reserve(one, give_up=True)
        desk.meter.settle(begun(desk), one, None)
    problem = refused.value.problem
    assert (problem.status, problem.code, problem.retry_after) == (503, "quota_unavailable", "2")
    desk.memory.engine.flush()  # a settlement that is just being written keeps others waiting
    assert opened(desk, caller(quota_tokens=1000, concurrency=1), "x2").reserved


def test_a_full_disk_turns_a_limited_caller_away_at_once(desk: Desk) -> None:
    with desk.memory.full_disk():
        limited = caller(quota_tokens=1000)
        one = desk.meter.open(
            limited,
            begun(desk),
            desk.meter.admit(limited),
            known(desk),
            size=BODY,
            max_tokens=50,
        )
        with pytest.raises(RequestError) as refused:
            desk.meter.reserve(one)
        desk.meter.settle(begun(desk), one, None)
    assert (refused.value.problem.status, refused.value.problem.code) == (503, "usage_not_recorded")
    assert "can't record" in refused.value.problem.message
    assert balance(desk) == Balance()
    assert opened(desk, caller(quota_tokens=1000), "x2").reserved


def test_a_full_disk_lets_callers_without_a_quota_go_on_and_says_so_once(
    desk: Desk, caplog: pytest.LogCaptureFixture
) -> None:
    with desk.memory.full_disk():
        for exchange in ("x1", "x2", "x3"):
            one = opened(desk, caller(), exchange)
            assert one.reserved
            desk.meter.settle(one.entry, one, None)
    assert balance(desk) == Balance(tokens=300)
    assert [record.message for record in caplog.records if record.name == "thinkback.books"] == [
        (
            "The database can't be written: requests of callers without a quota go on, "
            "and are entered when it can."
        )
    ]


def test_a_locked_database_holds_a_limited_caller_up_and_lets_it_go_on(desk: Desk) -> None:
    with desk.memory.locked():
        one = opened(desk, caller(quota_tokens=1000))
        desk.meter.reserve(one)
        assert not one.reserved
    desk.meter.reserve(one)
    assert (one.reserved, balance(desk)) == (True, Balance(reserved_tokens=150))


def test_requests_at_once_get_no_more_than_there_is(desk: Desk) -> None:
    for number in range(6):
        opened(desk, caller(quota_tokens=900), f"x{number}")
    assert "900" in refusal(desk, caller(quota_tokens=900), "x6").message
    assert balance(desk).reserved_tokens == 900


def test_two_nodes_share_one_quota(desk: Desk) -> None:
    here, there = desk.meter, desk.new_meter("node-2")
    for number, meter in enumerate((here, there) * 3):
        desk.meter = meter
        opened(desk, caller(quota_tokens=900), f"x{number}")
    for meter in (here, there):
        desk.meter = meter
        assert refusal(desk, caller(quota_tokens=900), "x6").code == "insufficient_quota"


def test_a_refused_request_holds_nothing(desk: Desk) -> None:
    refusal(desk, caller(quota_tokens=10, concurrency=1))
    opened(desk, caller(concurrency=1), "x3")
    assert balance(desk).reserved_tokens == 150


def test_a_rate_that_is_exceeded_says_when_to_come_back(desk: Desk) -> None:
    settle(desk, opened(desk, caller(rpm=1)))
    problem = refusal(desk, caller(rpm=1))
    assert (problem.status, problem.code, problem.retry_after) == (429, "rate_limit_exceeded", "60")
    assert (
        problem.message == "Too many requests per minute (1) for your account: try again in 60 s."
    )


def test_requests_that_are_answered_at_once_count_for_the_same_minute(desk: Desk) -> None:
    desk.meter.count(caller(rpm=2, concurrency=0))
    settle(desk, opened(desk, caller(rpm=2)))
    with pytest.raises(RequestError, match="Too many requests per minute"):
        desk.meter.count(caller(rpm=2))


def test_tokens_beyond_those_of_a_minute_leave_nothing_held(desk: Desk) -> None:
    settle(desk, opened(desk, caller(tpm=100)), prompt=100, completion=0)
    assert "tokens per minute (100)" in refusal(desk, caller(tpm=100, concurrency=1)).message
    opened(desk, caller(concurrency=1), "x3")


def test_a_caller_whose_quota_is_spent_is_told_so_before_anything_is_done(desk: Desk) -> None:
    settle(desk, opened(desk, caller(quota_tokens=1000)), prompt=900, completion=40)
    desk.meter.refuse_spent(caller(quota_tokens=1000))
    with pytest.raises(RequestError, match=r"used up: 940 of 940 tokens are used\."):
        desk.meter.refuse_spent(caller(quota_tokens=940))
    desk.meter.refuse_spent(caller())


def test_the_budget_is_charged_at_the_price_of_the_day(desk: Desk) -> None:
    price = Price(1_000_000, 2_000_000)
    add_price(desk.memory.engine, upstream="up", model="m", from_day=20200101, price=price)
    one = opened(desk, caller(quota_cost_micros=300))
    assert balance(desk).reserved_cost_micros == 200
    assert refusal(desk, caller(quota_cost_micros=299)).message.startswith(
        "The budget of your account is too small"
    )
    assert one.demand.price == price


def test_tokens_are_guessed_as_the_model_was_seen_to_count_them(desk: Desk) -> None:
    settle(desk, opened(desk, caller()), learned=Ratio(2000, 1000, 100, 50))
    assert opened(desk, caller(), "x2").demand.prompt_tokens == 200
    desk.meter.flush()
    desk.memory.engine.flush()
    assert read_ratio(desk.memory.engine, "m") == Ratio(2000, 1000, 100, 50)
    assert opened(desk, caller(), "x3").demand.prompt_tokens == 200


def test_a_node_that_died_holds_nothing_for_long_and_its_exchange_is_in_the_ledger(
    desk: Desk,
) -> None:
    opened(desk, caller(quota_tokens=1000))
    other = desk.new_meter("node-2")
    desk.memory.clock.ms += DEAD_AFTER_MS
    other.each_second()
    assert balance(desk) == Balance(tokens=100)
    rows = desk.memory.engine.read("SELECT exchange, error_class, estimated FROM ledger")
    assert rows == [("x1", "lost", 1)]


def test_a_node_that_slept_does_not_take_itself_for_dead(desk: Desk) -> None:
    one = opened(desk, caller(quota_tokens=10_000))
    desk.memory.clock.ms += DEAD_AFTER_MS
    desk.meter.each_second()
    settle(desk, one, prompt=5000, completion=3000)
    assert balance(desk) == Balance(tokens=8000)


def test_an_answer_of_less_than_nothing_is_none(desk: Desk) -> None:
    opened(desk, caller(quota_tokens=1000, concurrency=1), max_tokens=-100_000)
    assert balance(desk) == Balance(reserved_tokens=100)


def test_what_fails_on_the_way_into_the_books_holds_nothing(desk: Desk) -> None:
    limited = caller(quota_tokens=1000, concurrency=1)
    ticket = desk.meter.admit(limited)
    one = desk.meter.open(limited, begun(desk), ticket, known(desk), size=BODY, max_tokens=50)
    desk.memory.engine.transact(
        lambda work: work.run("ALTER TABLE open_exchanges RENAME TO away"), alone=()
    )
    with pytest.raises(Exception, match="open_exchanges"):
        desk.meter.reserve(one)
    desk.memory.engine.transact(
        lambda work: work.run("ALTER TABLE away RENAME TO open_exchanges"), alone=()
    )
    desk.meter.settle(begun(desk), one, None)
    assert opened(desk, limited, "x2").reserved


def test_a_node_that_lives_keeps_what_it_holds(desk: Desk) -> None:
    opened(desk, caller(quota_tokens=1000))
    for _ in range(20):
        desk.memory.clock.ms += DEAD_AFTER_MS // 3
        desk.meter.each_second()
        desk.memory.engine.flush()
    assert balance(desk).reserved_tokens == 150


def test_a_locked_database_does_not_keep_a_node_from_beating(desk: Desk) -> None:
    with desk.memory.locked():
        desk.memory.clock.ms += DEAD_AFTER_MS
        desk.meter.each_second()
    desk.memory.engine.flush()
    [(seen_at,)] = desk.memory.engine.read("SELECT seen_at FROM nodes")
    assert seen_at == desk.memory.clock.now_ms()


def test_a_node_is_known_from_its_start(desk: Desk) -> None:
    Meter(desk.memory.engine, desk.memory.clock, node="fresh", version="2")
    assert desk.memory.engine.read("SELECT version FROM nodes WHERE node = 'fresh'") == [("2",)]


# -- what nobody can say -----------------------------------------------------------------------------


def test_an_exchange_of_which_nothing_can_be_told_is_settled_from_its_opening(desk: Desk) -> None:
    limited = caller(quota_tokens=1000, concurrency=1)
    one = opened(desk, limited)
    desk.meter.settle_untold(one)
    assert balance(desk) == Balance(tokens=100)
    [row] = desk.memory.engine.read("SELECT status, error_class, estimated, attempts FROM ledger")
    assert row == (500, "gateway_error", 1, 1)
    assert opened(desk, limited, "x2").reserved


def test_what_was_not_sent_is_settled_without_tokens(desk: Desk) -> None:
    with desk.memory.locked():
        one = opened(desk, caller(quota_tokens=1000))
    desk.meter.settle_untold(one)
    assert balance(desk) == Balance()
    assert desk.memory.engine.read("SELECT error_class FROM ledger") == [("gateway_error",)]


def test_what_is_settled_stays_as_it_is(desk: Desk) -> None:
    one = opened(desk, caller(quota_tokens=1000))
    settle(desk, one)
    assert one.settled
    desk.meter.settle_untold(one)
    assert balance(desk) == Balance(tokens=130)


def test_what_was_never_opened_is_in_the_ledger_too(desk: Desk) -> None:
    desk.meter.settle(begun(desk), None, None)
    desk.memory.engine.flush()
    rows = desk.memory.engine.read("SELECT exchange, status FROM ledger")
    assert rows == [("x1", 200)]


def test_a_node_shows_that_it_lives_every_few_seconds_only(desk: Desk) -> None:
    desk.meter.each_second()
    desk.memory.engine.flush()
    shown = desk.memory.engine.read("SELECT seen_at FROM nodes")
    desk.memory.clock.ms += 1000
    desk.meter.each_second()
    desk.memory.engine.flush()
    assert desk.memory.engine.read("SELECT seen_at FROM nodes") == shown


def test_a_node_shows_that_it_lives_as_soon_as_that_is_due(desk: Desk) -> None:
    desk.memory.clock.ms += DEAD_AFTER_MS // 4
    desk.meter.each_second()
    desk.memory.engine.flush()
    [(seen_at,)] = desk.memory.engine.read("SELECT seen_at FROM nodes")
    assert seen_at == desk.memory.clock.now_ms()
