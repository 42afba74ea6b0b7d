"""What tokens cost, in whole millionths of a US dollar; `list_prices.toml` has the prices."""

import tomllib
from collections.abc import Mapping
from functools import cache
from importlib.resources import files

import msgspec

__all__ = (
    "Price",
    "completion_tokens_for",
    "cost_micros",
    "list_price",
    "list_prices",
    "list_prices_day",
)

_MILLION = 1_000_000
_ANY_NUMBER = 2**53


class Price(msgspec.Struct, frozen=True):
    """Millionths of a US dollar per million tokens."""

    input_micros: int
    output_micros: int
    cached_micros: int | None = None
    """For cached prompt tokens; None: same as `input_micros`."""


def cost_micros(
    price: Price, *, prompt_tokens: int, completion_tokens: int, cached_tokens: int
) -> int:
    """Return the cost in millionths of a US dollar, half of one rounded up.

    The cached tokens are part of the prompt's.
    """
    cached_tokens = min(cached_tokens, prompt_tokens)
    cached_micros = price.cached_micros
    if cached_micros is None:
        cached_micros = price.input_micros
    total = (
        (prompt_tokens - cached_tokens) * price.input_micros
        + cached_tokens * cached_micros
        + completion_tokens * price.output_micros
    )
    return (total + _MILLION // 2) // _MILLION


def completion_tokens_for(price: Price, micros: int, *, prompt_tokens: int) -> int:
    """Return the most completion tokens that cost no more than `micros` beside an uncached prompt;
    below 0 when the prompt alone costs more, 2**53 when they cost nothing.
    """
    least_too_much = (micros + 1) * _MILLION - _MILLION // 2  # half of one is rounded up
    room = least_too_much - 1 - prompt_tokens * price.input_micros
    if room < 0:
        return -1
    if not price.output_micros:
        return _ANY_NUMBER
    return room // price.output_micros


def list_price(host: str, model: str) -> Price | None:
    """Return the published price of a model at a provider's host, if there is one."""
    return list_prices(host).get(model)


def list_prices(host: str) -> Mapping[str, Price]:
    """Return the published prices of all models at a host."""
    return _published()[1].get(host.lower(), {})


def list_prices_day() -> int:
    """Return the day on which the published prices were looked up, YYYYMMDD."""
    return _published()[0]


@cache
def _published() -> tuple[int, dict[str, dict[str, Price]]]:
    table = tomllib.loads((files(__package__) / "list_prices.toml").read_text())
    as_of = table.pop("as_of")
    return as_of, {
        host: {model: Price(*micros) for model, micros in models.items()}
        for host, models in table.items()
    }
