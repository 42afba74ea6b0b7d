"""What may be used before it is sent, and the words when it may not."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from addon.admission.problems import dollars
from addon.admission.quota import (
    Demand,
    Grant,
    Subject,
    demand_of,
    grant,
    may_use,
    spent,
    subjects_of,
    tokens_in,
)
from addon.formats.neutral.problem import Problem
from shared.model import Limits, Principal
from shared.pricing import Price
from shared.store.ledger import Balance
from shared.store.ratios import Ratio
from tests.addon.callers import principal, user, virtual_key

NOON = 1_795_176_000_000
"""2026-11-20 12:00 UTC."""

PRICE = Price(1_000_000, 2_000_000)
DEMAND = Demand(100, 50, "m", PRICE)


def subject(**limits: Any) -> Subject:
    return Subject("user:1", "your account", Limits(**limits))


def refused(limits: dict[str, Any], demand: Demand = DEMAND, **balance: int) -> Problem:
    problem = grant(demand, [(subject(**limits), Balance(**balance))], NOON)
    assert isinstance(problem, Problem)
    return problem


def caller(of_user: tuple[str, ...] = (), of_key: tuple[str, ...] = ()) -> Principal:
    key = virtual_key(models=of_key, limits=Limits(rpm=1))
    return principal(user(models=of_user, limits=Limits(quota_tokens=1)), key)


# -- who -------------------------------------------------------------------------------------------


def test_the_limits_of_the_user_and_of_the_key_both_hold() -> None:
    found = subjects_of(caller())
    assert [(one.name, one.has_quota) for one in found] == [("user:7", True), ("key:3", False)]
    assert found[1].called == "the key “laptop” (…abcd)"


def test_a_caller_with_an_upstreams_key_has_no_limits() -> None:
    passing = Principal(
        id="upstream:00", name="passthrough", key_suffix="abcd", upstream="one", upstream_key="sk"
    )
    assert (subjects_of(passing), may_use(passing, "anything")) == ((), True)


@pytest.mark.parametrize(
    ("of_user", "of_key", "allowed"),
    [
        ((), (), True),
        (("deepseek-v4-pro",), (), True),
        (("deepseek-*",), ("*-pro",), True),
        (("deepseek-v4",), (), False),
        (("deepseek-*",), ("glm-*",), False),
        (("DEEPSEEK-*",), (), False),
        (("deepseek-v?-pro",), (), False),
        (("deepseek-v[4]-pro",), (), False),
    ],
)
def test_a_model_must_be_allowed_by_the_user_and_the_key(
    of_user: tuple[str, ...], of_key: tuple[str, ...], allowed: bool
) -> None:
    assert may_use(caller(of_user, of_key), "deepseek-v4-pro") == allowed


# -- how much --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("size", "counted", "tokens"),
    [
        (0, (0, 0), 0),
        (1, (0, 0), 1),
        (400, (0, 0), 100),
        (400, (100, 400), 100),
        (400, (2000, 1000), 200),
        (400, (90_000, 1000), 50),
        (400, (10, 1000), 400),
        (400, (0, 1000), 100),
        (400, (1000, 500), 200),
        (400, (1000, 499), 100),
    ],
    ids=[
        "nothing",
        "at least one",
        "four bytes each",
        "too little known",
        "as counted",
        "padded",
        "absurd",
        "no bytes",
        "just enough known",
        "just too little known",
    ],
)
def test_tokens_are_guessed_from_bytes(size: int, counted: tuple[int, int], tokens: int) -> None:
    assert tokens_in(size, *counted) == tokens


@pytest.mark.parametrize(
    ("asked", "choices", "held", "wanted", "most"),
    [
        (None, 1, 2048, 1, None),
        (None, 3, 2048, 3, None),
        (-1, 1, 0, 0, 0),
        (16, 1, 16, 16, 16),
        (0, 1, 0, 0, 0),
        (100_000, 1, 4096, 4096, 100_000),
        (100, 3, 300, 300, 300),
        (2, 5000, 5000, 5000, 10_000),
        (8, 1, 8, 8, 8),
    ],
)
def test_an_answer_must_have_what_it_may_take_up_to_a_long_message(
    asked: int | None, choices: int, held: int, wanted: int, most: int | None
) -> None:
    demand = demand_of(400, asked, Ratio(), "m", None, choices=choices)
    assert demand == Demand(100, held, "m", None, wanted, most, choices)


def test_an_upstream_that_takes_no_lower_limit_may_answer_with_as_much() -> None:
    few = demand_of(400, 8, Ratio(), "m", None, least=16, choices=2)
    assert (few.wanted_tokens, few.most_tokens) == (32, 32)
    assert demand_of(400, None, Ratio(), "m", None, least=16).wanted_tokens == 16
    assert demand_of(400, 0, Ratio(), "m", None, least=16).most_tokens == 0


def test_without_a_quota_all_that_is_wanted_is_noted() -> None:
    assert grant(DEMAND, [], NOON) == Grant(150, 200, {PRICE: None})


def test_the_answer_gets_what_is_left() -> None:
    limits = subject(quota_tokens=1000, quota_cost_micros=1000)
    balance = Balance(tokens=600, reserved_tokens=290, cost_micros=500, reserved_cost_micros=380)
    assert grant(DEMAND, [(limits, balance)], NOON) == Grant(110, 120, {PRICE: 10})


def test_an_agents_long_answer_gets_a_quarter_of_what_is_left_beyond_the_prompt() -> None:
    demand = demand_of(400, 32_000, Ratio(), "m", PRICE)
    for left, held, length in (
        (128_100, 32_000, None),
        (128_099, 31_999, 31_999),
        (16_388, 4096, 4096),
        (4196, 4096, 4096),
    ):
        quota = (subject(quota_tokens=left), Balance())
        assert grant(demand, [quota], NOON) == Grant(100 + held, demand.cost(held), {PRICE: length})
        budget = (subject(quota_cost_micros=demand.cost(left - 100)), Balance())
        assert grant(demand, [budget], NOON) == Grant(
            100 + held, demand.cost(held), {PRICE: length}
        )


def test_several_long_answers_at_once_leave_room_for_more() -> None:
    limits, held = subject(quota_tokens=200_000), 0
    for _ in range(10):
        granted = grant(
            demand_of(4000, 64_000, Ratio(), "m", None),
            [(limits, Balance(reserved_tokens=held))],
            NOON,
        )
        assert isinstance(granted, Grant)
        held += granted.tokens


def test_an_answer_of_any_length_is_limited_when_little_is_left() -> None:
    demand = demand_of(400, None, Ratio(), "m", PRICE)
    for left, held, length in (
        (131_172, 2048, None),
        (131_171, 32_767, 32_767),
        (8000, 2048, 2048),
        (600, 500, 500),
        (101, 1, 1),
    ):
        quota = (subject(quota_tokens=left), Balance())
        assert grant(demand, [quota], NOON) == Grant(100 + held, demand.cost(held), {PRICE: length})


def test_each_of_several_choices_may_be_as_long() -> None:
    demand = demand_of(400, 10_000, Ratio(), "m", None, choices=3)
    granted = grant(demand, [(subject(quota_tokens=40_100), Balance())], NOON)
    assert granted == Grant(10_100, 0, {None: 3333})


def test_whoever_answers_costs_no_more_than_is_held() -> None:
    dear, free = Price(1_000_000, 20_000_000), None
    demand = demand_of(400, 5000, Ratio(), "m", PRICE, other_prices=(dear, free))
    plenty = (subject(quota_cost_micros=440_100), Balance())
    assert grant(demand, [plenty], NOON) == Grant(5100, 100_100, {PRICE: None, dear: None})
    enough = (subject(quota_cost_micros=90_100), Balance())
    assert grant(demand, [enough], NOON) == Grant(5100, 82_020, {PRICE: None, dear: 4096})
    little = (subject(quota_cost_micros=80_000), Balance())
    assert grant(demand, [little], NOON) == Grant(5100, 10_100, {PRICE: None})
    quota = (subject(quota_tokens=80_000), Balance())
    granted = grant(demand, [quota], NOON)
    assert isinstance(granted, Grant)
    assert granted.lengths == {PRICE: None, dear: None, free: None}


@pytest.mark.parametrize(
    "limits", [{"quota_tokens": 160}, {"quota_cost_micros": 210}], ids=["quota", "budget"]
)
def test_an_answer_that_may_be_longer_than_what_is_left_is_not_begun(
    limits: dict[str, int],
) -> None:
    demand = replace(DEMAND, wanted_tokens=50)
    for used, fits in ((10, True), (11, False)):
        balance = Balance(tokens=used, cost_micros=used)
        assert isinstance(grant(demand, [(subject(**limits), balance)], NOON), Grant) == fits


PRICES = (Price(1_500_000, 7_300_000), Price(270_000, 1_100_000), Price(0, 0), Price(1, 3))

ASKED = st.tuples(
    st.integers(0, 3000),
    st.none() | st.integers(0, 64_000),
    st.integers(1, 3),
    st.sampled_from(PRICES),
    st.floats(0, 1),
    st.integers(0, 3),
)
"""Tokens of the prompt, the limit, choices, the price of who answers, how much of what it may have
the answer has, and how many that run end before.
"""


@given(
    st.integers(0, 120_000),
    st.none() | st.integers(0, 900_000),
    st.integers(0, 900_000),
    st.lists(ASKED, max_size=40),
)
def test_no_quota_is_overdrawn_by_answers_that_keep_to_what_they_may_take(
    quota: int, budget: int | None, key_budget: int, asked: list[Any]
) -> None:
    """However grants and ends of answers follow each other."""
    limited = [
        subject(quota_tokens=quota, quota_cost_micros=budget),
        subject(quota_cost_micros=key_budget),
    ]
    tokens = cost = 0
    running: list[tuple[Grant, int, int]] = []
    for prompt, most, choices, price, part, ended in asked:
        tokens += sum(used for _, used, _ in running[:ended])
        cost += sum(spent for _, _, spent in running[:ended])
        running = running[ended:]
        balance = Balance(
            tokens=tokens,
            cost_micros=cost,
            reserved_tokens=sum(held.tokens for held, _, _ in running),
            reserved_cost_micros=sum(held.cost_micros for held, _, _ in running),
        )
        demand = demand_of(
            4 * prompt, most, Ratio(), "m", PRICES[0], choices=choices, other_prices=PRICES[1:]
        )
        granted = grant(demand, [(one, balance) for one in limited], NOON)
        if isinstance(granted, Grant) and price in granted.lengths:
            longest = granted.lengths[price]
            if longest is None:
                longest = most or 0
            answer = round(longest * choices * part)
            running.append((granted, prompt + answer, demand.cost_at(price, answer)))
    tokens += sum(used for _, used, _ in running)
    cost += sum(spent for _, _, spent in running)
    assert tokens <= quota
    assert cost <= min(key_budget, key_budget if budget is None else budget)


def test_the_smallest_rest_of_all_quotas_counts() -> None:
    large, small = (subject(quota_tokens=1000), Balance()), (subject(quota_tokens=120), Balance())
    assert (
        grant(DEMAND, [large, small], NOON)
        == grant(DEMAND, [small, large], NOON)
        == Grant(120, 140, {PRICE: 20})
    )


@given(
    st.integers(1, 5000),
    st.integers(0, 5000),
    st.lists(st.integers(0, 300), max_size=60),
)
def test_what_is_held_at_once_never_exceeds_the_quota(
    quota: int, used: int, prompts: list[int]
) -> None:
    limits, held = subject(quota_tokens=quota), 0
    for prompt in prompts:
        granted = grant(
            Demand(prompt, 50, "m", None),
            [(limits, Balance(tokens=used, reserved_tokens=held))],
            NOON,
        )
        held += granted.tokens if isinstance(granted, Grant) else 0
    assert held <= max(0, quota - used)


# -- words -----------------------------------------------------------------------------------------


def test_a_used_up_quota_says_how_much_and_until_when() -> None:
    problem = refused({"quota_tokens": 10_000, "period": "day"}, tokens=10_400)
    assert problem.message == (
        "The token quota of your account is used up: 10,000 of 10,000 tokens are used today. "
        "It resets on 2026-11-21 00:00 UTC."
    )
    assert (problem.status, problem.code, problem.retry_after) == (
        429,
        "insufficient_quota",
        "43200",
    )


def test_nobody_is_told_to_come_back_at_once() -> None:
    midnight = NOON + 12 * 3600 * 1000
    limits = subject(quota_tokens=1, period="day")
    for before_ms, seconds in ((1, "1"), (1999, "1"), (2000, "2")):
        problem = grant(DEMAND, [(limits, Balance(tokens=1))], midnight - before_ms)
        assert isinstance(problem, Problem)
        assert problem.retry_after == seconds


def test_what_runs_is_told_apart_from_what_is_used() -> None:
    problem = refused({"quota_tokens": 1000, "period": "month"}, tokens=500, reserved_tokens=450)
    assert problem.message == (
        "The token quota of your account is too small for this request (about 100 tokens): "
        "500 of 1,000 tokens are used this month, 450 more are held by running requests. "
        "It resets on 2026-12-01 00:00 UTC."
    )


def test_a_lifetime_quota_can_only_be_raised() -> None:
    problem = refused({"quota_tokens": 10}, tokens=10)
    assert problem.message.endswith("are used. Ask the administrator for more.")
    assert problem.retry_after == ""


def test_an_account_that_has_no_quota_yet_is_told_whom_to_ask() -> None:
    words = "There is no token quota for your account yet: ask the administrator for one."
    assert refused({"quota_tokens": 0}).message == words
    assert "no budget for your account yet" in refused({"quota_cost_micros": 0}).message


def test_a_spent_budget_is_told_in_dollars() -> None:
    problem = refused({"quota_cost_micros": 5_000_000, "period": "day"}, cost_micros=5_000_001)
    assert problem.message.startswith(
        "The budget of your account is used up: $5.00 of $5.00 are spent today."
    )


def test_a_budget_too_small_for_a_request_is_not_called_spent() -> None:
    problem = refused({"quota_cost_micros": 1000}, cost_micros=950, reserved_cost_micros=10)
    assert problem.message == (
        "The budget of your account is too small for this request: $0.000950 of "
        "$0.001000 are spent, "
        "$0.000010 more are held by running requests. Ask the administrator for more."
    )


def test_a_model_without_a_price_is_not_charged_to_a_budget() -> None:
    problem = refused({"quota_cost_micros": 1_000_000}, Demand(100, 50, "new-model", None))
    assert "'new-model' has no price" in problem.message


@pytest.mark.parametrize(
    ("micros", "words"),
    [(0, "$0.00"), (1_230_000, "$1.23"), (1_234, "$0.001234"), (12_345_678_901, "$12,345.68")],
)
def test_amounts_are_as_exact_as_they_need_to_be(micros: int, words: str) -> None:
    assert dollars(micros) == words


# -- what uses no tokens ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("limits", "used", "words"),
    [
        (
            {"quota_tokens": 100},
            {"tokens": 100},
            "The token quota of your account is used up: 100 of 100 tokens are used.",
        ),
        (
            {"quota_tokens": 0},
            {},
            "There is no token quota for your account yet: ask the administrator for one.",
        ),
        (
            {"quota_cost_micros": 10_000},
            {"cost_micros": 10_000},
            "The budget of your account is used up",
        ),
        ({"quota_cost_micros": 0}, {}, "There is no budget for your account yet"),
    ],
    ids=["tokens", "no tokens", "budget", "no budget"],
)
def test_a_spent_quota_lets_nothing_through(
    limits: dict[str, Any], used: dict[str, int], words: str
) -> None:
    problem = spent([(subject(), Balance()), (subject(**limits), Balance(**used))], NOON)
    assert problem is not None
    assert (problem.status, problem.code) == (429, "insufficient_quota")
    assert problem.message.startswith(words)


def test_a_quota_that_running_requests_hold_is_not_spent() -> None:
    limits = {"quota_tokens": 100, "quota_cost_micros": 10_000}
    held = Balance(tokens=99, reserved_tokens=1, cost_micros=9_999, reserved_cost_micros=1)
    assert spent([(subject(**limits), held)], NOON) is None


def test_a_budget_without_a_rest_lets_no_free_model_through_either() -> None:
    free = replace(DEMAND, price=Price(0, 0))
    for spent_, granted in ((999, (150, 0)), (1000, None)):
        found = grant(free, [(subject(quota_cost_micros=1000), Balance(cost_micros=spent_))], NOON)
        held = (found.tokens, found.cost_micros) if isinstance(found, Grant) else None
        assert held == granted
