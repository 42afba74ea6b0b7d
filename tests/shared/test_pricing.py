"""What exchanges cost, and which prices are known without being told."""

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.pricing import (
    Price,
    completion_tokens_for,
    cost_micros,
    list_price,
    list_prices,
    list_prices_day,
)

PRO = Price(435_000, 870_000, 3_625)
TOKENS = st.integers(0, 10**12)
MICROS = st.integers(0, 10**9)


def test_prompt_cached_prompt_and_completion_have_their_own_prices() -> None:
    cost = cost_micros(
        PRO, prompt_tokens=3_000_000, completion_tokens=1_000_000, cached_tokens=2_000_000
    )

    assert cost == 435_000 + 2 * 3_625 + 870_000


def test_cached_tokens_cost_as_others_where_they_have_no_price() -> None:
    cost = cost_micros(Price(1_000_000, 0), prompt_tokens=10, completion_tokens=0, cached_tokens=7)

    assert cost == 10


@pytest.mark.parametrize(
    ("tokens", "cost"),
    [(0, 0), (1, 0), (2, 1), (3, 1), (5, 1), (6, 2)],
    ids=["0", "0.25", "0.5", "0.75", "1.25", "1.5"],
)
def test_half_a_millionth_is_rounded_up(tokens: int, cost: int) -> None:
    assert (
        cost_micros(Price(250_000, 0), prompt_tokens=tokens, completion_tokens=0, cached_tokens=0)
        == cost
    )


def test_the_sum_is_rounded_and_not_its_parts() -> None:
    price = Price(400_000, 400_000, 400_000)

    assert cost_micros(price, prompt_tokens=2, completion_tokens=1, cached_tokens=1) == 1


def test_more_cached_tokens_than_the_prompt_has_cost_no_less_than_nothing() -> None:
    assert (
        cost_micros(
            Price(1_000_000, 0, 500_000), prompt_tokens=4, completion_tokens=0, cached_tokens=9
        )
        == 2
    )


@given(prompt=TOKENS, completion=TOKENS, cached=TOKENS, input_micros=MICROS, output_micros=MICROS)
def test_the_cost_is_never_off_by_more_than_half_a_millionth(
    prompt: int, completion: int, cached: int, input_micros: int, output_micros: int
) -> None:
    price = Price(input_micros, output_micros)

    cost = cost_micros(
        price, prompt_tokens=prompt, completion_tokens=completion, cached_tokens=cached
    )

    exact = Fraction(prompt * input_micros + completion * output_micros, 1_000_000)
    assert -Fraction(1, 2) < cost - exact <= Fraction(1, 2)


def test_a_price_is_published_for_a_providers_own_host() -> None:
    assert list_price("api.deepseek.com", "deepseek-v4-pro") == PRO
    assert list_price("API.DeepSeek.com", "deepseek-v4-pro") == PRO
    assert list_prices("api.deepseek.com").keys() == {"deepseek-v4-pro", "deepseek-v4-flash"}


@given(MICROS, MICROS, TOKENS, st.integers(0, 10**15))
def test_as_many_completion_tokens_are_paid_for_as_money_is_there(
    input_micros: int, output_micros: int, prompt: int, micros: int
) -> None:
    price = Price(input_micros, output_micros)

    def cost(completion: int) -> int:
        return cost_micros(
            price, prompt_tokens=prompt, completion_tokens=completion, cached_tokens=0
        )

    most = completion_tokens_for(price, micros, prompt_tokens=prompt)
    if most < 0:
        assert cost(0) > micros
    else:
        assert cost(most) <= micros
        assert not output_micros or cost(most + 1) > micros


@pytest.mark.parametrize(
    ("host", "model"),
    [
        pytest.param("api.deepseek.com", "deepseek-v9", id="unknown-model"),
        pytest.param("api.siliconflow.cn", "deepseek-v4-pro", id="reseller"),
        pytest.param("evil-api.deepseek.com", "deepseek-v4-pro", id="another-host"),
        pytest.param("", "", id="nothing"),
    ],
)
def test_what_is_not_published_has_no_price_rather_than_none_to_pay(host: str, model: str) -> None:
    assert list_price(host, model) is None


@pytest.mark.parametrize(
    "host",
    [
        *(
            "api.deepseek.com",
            "api.xiaomimimo.com",
            "api.moonshot.ai",
            "api.z.ai",
            "api.minimax.io",
        ),
        *("dashscope-intl.aliyuncs.com", "api.openai.com", "api.anthropic.com", "api.x.ai"),
        "generativelanguage.googleapis.com",
    ],
)
def test_published_prices_are_plausible(host: str) -> None:
    prices = list_prices(host).values()

    assert prices
    for price in prices:
        assert price.cached_micros is not None
        assert 0 < price.cached_micros < price.input_micros < price.output_micros < 100_000_000


def test_the_published_prices_have_a_date() -> None:
    assert list_prices_day() >= 2026_07_02
