"""What upstreams have counted of bytes and tokens, gathered until it is written: all nodes write
the same few rows.
"""

from shared.clock import Clock
from shared.store.engine import Engine
from shared.store.ratios import Learned, Ratio, learn_ratio

__all__ = ("Ratios",)

_FLUSH_SECONDS = 5
"""How old what estimates rest on may be."""


class Ratios:
    """What one node has learnt since it last wrote it."""

    def __init__(self, engine: Engine, clock: Clock) -> None:
        self._engine = engine
        self._clock = clock
        self._learned: dict[str, Learned] = {}
        """By the model's name at the upstream."""

        self._flushed_at = clock.monotonic()

    def learn(self, model: str, seen: Ratio) -> None:
        """Note what an upstream counted of one request."""
        self._learned[model] = self._learned.get(model, Learned()).and_then(seen)

    def known(self, model: str, stored: Ratio) -> Ratio:
        """What is stored of a model with what is still to be written."""
        if learned := self._learned.get(model):
            return learned.onto(stored)
        return stored

    def each_second(self) -> None:
        """Write what has been gathered for some seconds."""
        if self._clock.monotonic() - self._flushed_at >= _FLUSH_SECONDS:
            self.flush()

    def flush(self) -> None:
        """Write what has been gathered, in one order for all nodes, so that none waits for
        another that waits for it.
        """
        self._flushed_at = self._clock.monotonic()
        learned, self._learned = sorted(self._learned.items()), {}
        for model, each in learned:
            self._engine.write_later([learn_ratio(model, each)])
