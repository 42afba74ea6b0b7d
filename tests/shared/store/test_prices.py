"""Prices are set, changed, forgotten, and the right one is found."""

import msgspec
import pytest

from shared.pricing import Price, list_price
from shared.store.engine import Engine
from shared.store.prices import (
    PriceTaken,
    SetPrice,
    add_price,
    delete_price,
    find_price,
    list_set_prices,
    replace_price,
)
from tests.shared.store.plans import only_sqlite

MODEL = "deepseek-v4-pro"
HOST = "api.deepseek.com"
LARGEST = 2**53 - 1


def add(
    engine: Engine,
    micros: int,
    *,
    upstream: str = "",
    model: str = MODEL,
    from_day: int = 2026_01_01,
) -> SetPrice:
    return add_price(
        engine, upstream=upstream, model=model, from_day=from_day, price=Price(micros, micros)
    )


def found(
    engine: Engine,
    *,
    upstream: str = "main",
    host: str = HOST,
    model: str = MODEL,
    day: int = 2026_11_20,
) -> int:
    price = find_price(engine, upstream=upstream, host=host, model=model, day=day)
    assert price is not None
    return price.input_micros


def test_a_price_is_kept_as_it_was_set(engine: Engine) -> None:
    price = Price(0, LARGEST, 7)
    made = add_price(engine, upstream="main", model="m", from_day=2026_11_20, price=price)
    assert made == SetPrice(id=1, upstream="main", model="m", from_day=2026_11_20, price=price)
    assert list_set_prices(engine) == [made]
    assert find_price(engine, upstream="main", host=HOST, model="m", day=2026_11_20) == price


def test_the_published_price_holds_where_none_was_set(engine: Engine) -> None:
    add(engine, 1, upstream="another")
    add(engine, 2, model="another")
    add(engine, 3, from_day=2026_11_21)
    assert found(engine) == list_price(HOST, MODEL).input_micros


def test_nobody_said_what_it_costs(engine: Engine) -> None:
    assert (
        find_price(engine, upstream="main", host="api.example.com", model=MODEL, day=2026_11_20)
        is None
    )


def test_a_price_for_any_upstream_wins_over_the_published_one(engine: Engine) -> None:
    add(engine, 1)
    assert found(engine) == 1


def test_a_free_model_costs_nothing(engine: Engine) -> None:
    add(engine, 0)
    assert found(engine) == 0


def test_a_price_for_the_upstream_wins_though_it_is_older(engine: Engine) -> None:
    add(engine, 1, upstream="main", from_day=2026_01_01)
    add(engine, 2, upstream="", from_day=2026_06_01)
    assert (found(engine), found(engine, upstream="another")) == (1, 2)


@pytest.mark.parametrize(
    ("day", "micros"),
    [(2026_01_01, 1), (2026_05_31, 1), (2026_06_01, 2), (2027_01_01, 2)],
    ids=["first day", "day before", "day of change", "later"],
)
def test_a_price_holds_from_its_day_until_the_next(engine: Engine, day: int, micros: int) -> None:
    add(engine, 2, from_day=2026_06_01)
    add(engine, 1, from_day=2026_01_01)
    assert found(engine, day=day) == micros


@only_sqlite
def test_a_price_is_found_with_one_look_into_the_index(engine: Engine) -> None:
    [*steps] = engine.read(
        """
        EXPLAIN QUERY PLAN SELECT input_micros FROM prices
        WHERE upstream IN ('main', '') AND model = 'm' AND from_day <= 20261120
        ORDER BY CASE upstream WHEN '' THEN 1 ELSE 0 END, from_day DESC LIMIT 1
        """
    )
    assert "SEARCH prices USING INDEX" in steps[0][3]


def test_an_upstream_and_model_have_one_price_a_day(engine: Engine) -> None:
    add(engine, 1, upstream="main")
    with pytest.raises(PriceTaken, match=f"“{MODEL}” at “main” has a price from 20260101 on"):
        add(engine, 2, upstream="main")
    assert found(engine) == 1


def test_prices_are_listed_page_by_page(engine: Engine) -> None:
    prices = [add(engine, 1, model=name) for name in "abcde"]
    assert list_set_prices(engine, limit=2) == prices[:2]
    assert list_set_prices(engine, after=prices[1].id) == prices[2:]


def test_a_price_is_changed(engine: Engine) -> None:
    changed = msgspec.structs.replace(add(engine, 1), upstream="main", price=Price(5, 6, None))
    assert replace_price(engine, changed)
    assert list_set_prices(engine) == [changed]


def test_a_price_can_be_changed_and_keep_its_day(engine: Engine) -> None:
    made = add(engine, 1)
    assert replace_price(engine, msgspec.structs.replace(made, price=Price(9, 9)))
    assert found(engine) == 9


def test_a_price_is_not_changed_into_another(engine: Engine) -> None:
    first, second = add(engine, 1), add(engine, 2, from_day=2026_06_01)
    with pytest.raises(PriceTaken, match="at any upstream has a price from 20260101 on"):
        replace_price(engine, msgspec.structs.replace(second, from_day=first.from_day))
    assert list_set_prices(engine) == [first, second]


def test_a_price_is_forgotten_once(engine: Engine) -> None:
    made = add(engine, 1)
    assert delete_price(engine, made.id)
    assert not delete_price(engine, made.id)
    assert not replace_price(engine, made)
    assert list_set_prices(engine) == []
