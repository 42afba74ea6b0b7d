"""Prices that providers publish, as far as they concern the upstreams here."""

from collections.abc import Iterable, Iterator

from manage_api.domains.prices.schemas import PriceView
from shared.config.schema import Upstream
from shared.pricing import list_prices, list_prices_day

__all__ = ("published",)


def published(upstreams: Iterable[Upstream]) -> Iterator[PriceView]:
    """Of an upstream that lists its models those prices, else all of its host's."""
    for upstream in upstreams:
        served = {*upstream.models, *(rewrite.to for rewrite in upstream.model_rewrites)}
        for model, price in list_prices(upstream.host).items():
            if not upstream.models or model in served:
                yield PriceView.published(upstream.name, model, price, list_prices_day())
