"""What tokens cost. Money is whole millionths of a US dollar; the published prices are in
`list_prices.toml`.
"""

import tomllib
from collections.abc import Mapping
from functools import cache
from importlib.resources import files

import msgspec

__all__ = ("Price", "cost_micros", "list_price", "list_prices", "list_prices_day")

_MILLION = 1_000_000


class Price(msgspec.Struct, frozen=True):
    """Millionths of a US dollar per million tokens."""

    input_micros: int
    output_micros: int
    cached_micros: int | None = None
    """For prompt tokens the upstream had in its cache; None: as any other."""


def cost_micros(
    price: Price, *, prompt_tokens: int, completion_tokens: int, cached_tokens: int
) -> int:
    """The cost in millionths of a US dollar, half of one rounded up; the cached tokens are
    some of the prompt's.
    """
    cached_tokens = min(cached_tokens, prompt_tokens)
    cached_micros = price.input_micros if price.cached_micros is None else price.cached_micros
    total = (
        (prompt_tokens - cached_tokens) * price.input_micros
        + cached_tokens * cached_micros
        + completion_tokens * price.output_micros
    )
    return (total + _MILLION // 2) // _MILLION


def list_price(host: str, model: str) -> Price | None:
    """The published price of a model at the host of a provider's API; None where none is known."""
    return list_prices(host).get(model)


def list_prices(host: str) -> Mapping[str, Price]:
    """The published prices of all models at a host."""
    return _published()[1].get(host.lower(), {})


def list_prices_day() -> int:
    """The day the published prices were looked up, YYYYMMDD."""
    return _published()[0]


@cache
def _published() -> tuple[int, dict[str, dict[str, Price]]]:
    table = tomllib.loads((files(__package__) / "list_prices.toml").read_text())
    as_of = table.pop("as_of")
    return as_of, {
        host: {model: Price(*micros) for model, micros in models.items()}
        for host, models in table.items()
    }
