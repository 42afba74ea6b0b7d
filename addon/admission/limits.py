"""Requests and tokens per minute and exchanges at once, as one node counts them."""

from collections.abc import Sequence
from math import ceil

import msgspec

from addon.admission.quota import Subject

__all__ = ("Limiter", "Refusal", "Ticket")

_MINUTE = 60.0
_RETRY_SECONDS = 2
"""When an exchange too many may be tried again: nobody knows when the others end."""


class Refusal(msgspec.Struct, frozen=True):
    """Which limit was met, and for how long."""

    subject: Subject
    what: str
    """Like `requests per minute (60)`."""

    retry_after: int
    """Seconds."""


class Ticket(msgspec.Struct):
    """What an admitted request holds until it is given back."""

    subjects: tuple[Subject, ...]
    tokens: int
    returned: bool = False


class _Bucket:
    """Refills evenly to `per_minute` and may be overdrawn by what was not foreseen."""

    def __init__(self, per_minute: int, now: float) -> None:
        self.level = float(per_minute)
        self.at = now

    def refill(self, per_minute: int, now: float) -> None:
        self.level = min(float(per_minute), self.level + (now - self.at) * per_minute / _MINUTE)
        self.at = now

    def wait(self, wanted: float, per_minute: int) -> float:
        """Seconds until as much is there; more than fits is there when the bucket is full."""
        lacking = min(wanted, float(per_minute)) - self.level
        if not per_minute:
            return _MINUTE
        return max(0.0, lacking * _MINUTE / per_minute)


class Limiter:
    """Counts per subject; times are seconds of a monotonic clock, given by the caller."""

    def __init__(self) -> None:
        self._requests: dict[str, _Bucket] = {}
        self._tokens: dict[str, _Bucket] = {}
        self._running: dict[str, int] = {}

    def count(self, subjects: Sequence[Subject], now: float) -> Refusal | None:
        """Count a request that is answered at once for all of its subjects, or refuse it."""
        for subject in subjects:
            if wait := _wait(self._requests, subject.name, subject.limits.rpm, 1, now):
                return _too_often(subject, wait)
        for subject in subjects:
            self._take(subject, 1, 0)
        return None

    def admit(self, subjects: Sequence[Subject], tokens: int, now: float) -> Ticket | Refusal:
        """Let an exchange with about so many tokens begin, for all of its subjects or none."""
        for subject in subjects:
            if refusal := self._refusal(subject, tokens, now):
                return refusal
        ticket = Ticket((), tokens)
        try:
            for subject in subjects:
                self._running[subject.name] = self._running.get(subject.name, 0) + 1
                ticket.subjects += (subject,)
                self._take(subject, 1, tokens)
        except BaseException:
            self.give_back(ticket, 0)
            raise
        return ticket

    def add_tokens(self, ticket: Ticket, tokens: int, now: float) -> Refusal | None:
        """Let an admitted exchange use about so many more tokens, or refuse them; it stays
        admitted.
        """
        for subject in ticket.subjects:
            if wait := _wait(self._tokens, subject.name, subject.limits.tpm, tokens, now):
                return _too_many_tokens(subject, wait)
        for subject in ticket.subjects:
            self._take(subject, 0, tokens)
        ticket.tokens += tokens
        return None

    def give_back(self, ticket: Ticket, tokens: int) -> None:
        """The exchange has ended and used so many tokens; a ticket that was given back
        before is worth nothing.
        """
        if ticket.returned:
            return
        ticket.returned = True
        for subject in ticket.subjects:
            self._running[subject.name] -= 1
            if not self._running[subject.name]:
                del self._running[subject.name]
        for subject in ticket.subjects:
            self._take(subject, 0, tokens - ticket.tokens)

    def _refusal(self, subject: Subject, tokens: int, now: float) -> Refusal | None:
        limits = subject.limits
        if (
            limits.concurrency is not None
            and self._running.get(subject.name, 0) >= limits.concurrency
        ):
            return Refusal(subject, f"requests at once ({limits.concurrency})", _RETRY_SECONDS)
        if wait := _wait(self._requests, subject.name, limits.rpm, 1, now):
            return _too_often(subject, wait)
        if wait := _wait(self._tokens, subject.name, limits.tpm, tokens, now):
            return _too_many_tokens(subject, wait)
        return None

    def _take(self, subject: Subject, requests: int, tokens: int) -> None:
        for buckets, amount in ((self._requests, requests), (self._tokens, tokens)):
            if bucket := buckets.get(subject.name):
                bucket.level -= amount


def _too_often(subject: Subject, wait: float) -> Refusal:
    return Refusal(subject, f"requests per minute ({subject.limits.rpm})", ceil(wait))


def _too_many_tokens(subject: Subject, wait: float) -> Refusal:
    return Refusal(subject, f"tokens per minute ({subject.limits.tpm:,})", ceil(wait))


def _wait(
    buckets: dict[str, _Bucket], name: str, per_minute: int | None, wanted: int, now: float
) -> float:
    if per_minute is None:
        buckets.pop(name, None)
        return 0.0
    bucket = buckets.setdefault(name, _Bucket(per_minute, now))
    bucket.refill(per_minute, now)
    return bucket.wait(wanted, per_minute)
