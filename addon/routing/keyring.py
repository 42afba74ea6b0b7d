"""Key rotation: which key goes first, and which rest after a failure."""

from shared.config.schema import Upstream

__all__ = ("Keyring",)


class Keyring:
    """Rotates the keys of each upstream; times are seconds of a monotonic clock, given by
    the caller.
    """

    def __init__(self) -> None:
        self._turn: dict[str, int] = {}
        self._resting: dict[tuple[str, str], float] = {}

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


def _turned(keys: list[str], turn: int) -> list[str]:
    start = turn % len(keys) if keys else 0
    return [*keys[start:], *keys[:start]]
