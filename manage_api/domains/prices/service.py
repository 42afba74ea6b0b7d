"""Published prices for the configured upstreams."""

from collections.abc import Iterable, Iterator

from manage_api.domains.prices.schemas import PriceView
from shared.config.schema import Upstream
from shared.pricing import list_prices, list_prices_day

__all__ = ("published",)


def published(upstreams: Iterable[Upstream]) -> Iterator[PriceView]:
    """Yield the prices of each upstream's models, or of all its host's if it lists none."""
    for upstream in upstreams:
        served = {*upstream.models, *(rewrite.to for rewrite in upstream.model_rewrites)}
        for model, price in list_prices(upstream.host).items():
            if not upstream.models or model in served:
                yield PriceView.published(upstream.name, model, price, list_prices_day())
