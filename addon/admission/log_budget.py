"""How many lines strangers may put into the log: so many a minute of one address, and in all."""

from collections import Counter

from addon.admission.addresses import places_of

__all__ = ("LogBudget",)

MINUTE = 60.0

LINES_OF_AN_ADDRESS = 30
"""Lines a minute: enough to see what somebody tries who sets a client up wrongly."""

LINES = 300
"""Lines a minute of all strangers together: some 60 MB a day at most."""

MOST_ADDRESSES = 1000
"""Addresses that are told apart within a minute; the rest count together."""

REST = "other addresses"


class LogBudget:
    """Counts lines by minutes; times are seconds of a monotonic clock, given by the caller."""

    def __init__(self) -> None:
        self._since = 0.0
        self._known: set[str] = set()
        self._written: Counter[str] = Counter()
        self._left_out: Counter[str] = Counter()
        self._total = 0

    def take(self, address: str) -> bool:
        """Whether another line for this address may be written; if not it is counted."""
        own = places_of(address)[0]
        if own not in self._known and len(self._known) >= MOST_ADDRESSES:
            own = REST
        self._known.add(own)
        if self._written[own] >= LINES_OF_AN_ADDRESS or self._total >= LINES:
            self._left_out[own] += 1
            return False
        self._written[own] += 1
        self._total += 1
        return True

    def next_minute(self, now: float) -> list[tuple[str, int]]:
        """Once a minute: whose lines were left out, and how many, those with most first."""
        if now - self._since < MINUTE:
            return []
        left_out, self._since = self._left_out.most_common(), now
        self._known, self._written, self._left_out = set(), Counter(), Counter()
        self._total = 0
        return left_out
