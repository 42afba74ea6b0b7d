"""Key rotation: which key goes first, and which rest after a failure."""

from collections.abc import Mapping

from shared.config.schema import Upstream

__all__ = ("Keyring",)


class Keyring:
    """Rotates the keys of each upstream; times are seconds of a monotonic clock, given by
    the caller.
    """

    def __init__(self) -> None:
        self._turn: dict[str, int] = {}
        self._resting: dict[tuple[str, str], float] = {}
        self._shared: frozenset[tuple[str, str]] = frozenset()
        """Those of which other nodes know that they rest, or did when that was last read."""

    def order(self, upstream: Upstream, now: float) -> list[str]:
        """All keys, the next one in turn first and resting ones last; one empty key for an
        upstream without any.
        """
        turn = self._turn[upstream.name] = self._turn.get(upstream.name, -1) + 1
        keys = upstream.api_keys or ("",)
        resting = [key for key in keys if self.rests(upstream, key, now)]
        fit = [key for key in keys if key not in resting]
        # Each part turns by itself: otherwise the key after a resting one would get that
        # one's share too.
        return [*_turned(fit, turn), *_turned(resting, turn)]

    def rests(self, upstream: Upstream, key: str, now: float) -> bool:
        """Whether the key failed a short time ago."""
        return self._resting.get((upstream.name, key), now) > now

    def failed(self, upstream: Upstream, key: str, until: float) -> None:
        """Let the key rest until then."""
        self._resting[upstream.name, key] = until

    def worked(self, upstream: Upstream, key: str) -> bool:
        """The key is good; whether it had failed before."""
        return self._resting.pop((upstream.name, key), None) is not None

    def take_over(self, resting: Mapping[tuple[str, str], float]) -> None:
        """Have these keys, by upstream's name and key, rest until these times, and no longer those
        that were among them the last time: another node has found that they work.
        """
        for ended in self._shared - resting.keys():
            self._resting.pop(ended, None)
        for name, until in resting.items():
            # What this node has found since may not have been written yet.
            self._resting[name] = max(until, self._resting.get(name, until))
        self._shared = frozenset(resting)


def _turned(keys: list[str], turn: int) -> list[str]:
    start = turn % len(keys) if keys else 0
    return [*keys[start:], *keys[:start]]
