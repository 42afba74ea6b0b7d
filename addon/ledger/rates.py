"""What models cost, and how many bytes make a token: at hand when an answer ends, which can't wait
for a database across a network.
"""

from collections.abc import Iterable

from msgspec.structs import replace

from addon.routing.candidates import Candidate
from shared.clock import Clock
from shared.periods import day_of
from shared.pricing import Price
from shared.store.engine import Engine
from shared.store.lookup import Found, PriceWanted, Wanted, look_up
from shared.store.ratios import Ratio

__all__ = ("Rates",)

_RENEW_SECONDS = 5
"""How old they are at most, where each look-up leaves the process."""

_MOST = 300
"""Of each kind that are held there, those that were asked for last: an upstream may be asked for
models of any name.
"""


class Rates:
    """Looks each up as requests need it; belongs to the event loop's thread."""

    def __init__(self, engine: Engine, clock: Clock) -> None:
        self._engine = engine
        self._clock = clock
        self._prices: dict[PriceWanted, Price | None] = {}
        """Those of the last second, or as above; the longest unused first."""

        self._ratios: dict[str, Ratio] = {}
        """Only where each look-up leaves the process."""

        self._renewed_at = clock.monotonic()

    def price(self, wanted: PriceWanted) -> Price | None:
        """A model's price."""
        if wanted not in self._prices:
            self._prices[wanted] = look_up(self._engine, Wanted(price=wanted)).price
        return self._prices[wanted]

    def ratio(self, model: str) -> Ratio:
        """How many bytes of the model's prompts and answers made how many tokens."""
        if not self._engine.remote:
            return look_up(self._engine, Wanted(ratio=model)).ratio
        if model not in self._ratios:
            self._ratios[model] = look_up(self._engine, Wanted(ratio=model)).ratio
        return self._ratios[model]

    def have(self, candidates: Iterable[Candidate], at: int) -> None:
        """Have at hand what is needed when one of these has answered a request of that time
        (epoch ms), where that can't be looked up then.
        """
        if self._engine.remote:
            for one in candidates:
                self._use(price_wanted(one, at), one.model)

    def look_up(self, wanted: Wanted) -> Found:
        """Look up what a request wants, but for what is at hand."""
        if not self._engine.remote:
            return look_up(self._engine, wanted)
        found = look_up(self._engine, replace(wanted, price=None, ratio=""))
        price = self.price(wanted.price) if wanted.price else None
        return replace(found, price=price, ratio=self.ratio(wanted.ratio))

    def each_second(self) -> None:
        """Look up again what may have changed."""
        now = self._clock.monotonic()
        if not self._engine.remote:
            self._prices.clear()
        elif now - self._renewed_at >= _RENEW_SECONDS:
            self._renewed_at = now
            self._renew()

    def _use(self, price: PriceWanted, model: str) -> None:
        found = self.price(price), self.ratio(model)
        # What is used stands last.
        self._prices.pop(price, None)
        self._ratios.pop(model, None)
        self._prices[price], self._ratios[model] = found

    def _renew(self) -> None:
        for wanted in list(self._prices)[:-_MOST]:
            del self._prices[wanted]
        for model in list(self._ratios)[:-_MOST]:
            del self._ratios[model]
        for wanted in list(self._prices):
            self._prices[wanted] = look_up(self._engine, Wanted(price=wanted)).price
        for model in list(self._ratios):
            self._ratios[model] = look_up(self._engine, Wanted(ratio=model)).ratio


def price_wanted(candidate: Candidate, at: int) -> PriceWanted:
    """The candidate's price on the day of that time (epoch ms)."""
    return PriceWanted(
        upstream=candidate.upstream.name,
        host=candidate.upstream.host,
        model=candidate.model,
        day=day_of(at),
    )
