"""Requests and tokens per minute and requests at once: what they allow, by what is held of them."""

from math import ceil

import msgspec

from addon.admission.quota import Subject
from shared.store.limits import Held

__all__ = ("Refusal", "has_limits", "micros_for", "refusal")

_MINUTE = 60_000_000
_RETRY_SECONDS = 2
"""When a request too many may be tried again: nobody knows when the others end."""


class Refusal(msgspec.Struct, frozen=True):
    """Which limit was met, and for how long."""

    subject: Subject
    what: str
    """Like `requests per minute (60)`."""

    retry_after: int
    """Seconds."""


def has_limits(subject: Subject) -> bool:
    """Whether requests of the subject have to be counted."""
    limits = subject.limits
    return not (limits.rpm is limits.tpm is limits.concurrency is None)


def micros_for(amount: int, per_minute: int | None) -> int:
    """Microseconds in which a bucket that refills to so much in a minute gets the amount back; 0
    without a limit.
    """
    if not per_minute:
        return 0
    return amount * _MINUTE // per_minute


def refusal(
    subject: Subject,
    held: Held,
    *,
    requests: int = 0,
    tokens: int | None = None,
    running: int | None = None,
) -> Refusal | None:
    """Why the subject may not begin so many requests, or use so many tokens, beside what it holds
    and so many that run; what is None does not matter.

    A bucket may be overdrawn by what was not foreseen; more than fits is there when it is full.
    """
    limits = subject.limits
    most = limits.concurrency
    if most is not None and running is not None and running >= most:
        return Refusal(subject, f"requests at once ({most})", _RETRY_SECONDS)
    if requests and (wait := _wait(held.requests, requests, limits.rpm)):
        return Refusal(subject, f"requests per minute ({limits.rpm})", wait)
    if tokens is not None and (wait := _wait(held.tokens, tokens, limits.tpm)):
        return Refusal(subject, f"tokens per minute ({limits.tpm:,})", wait)
    return None


def _wait(debt: int, amount: int, per_minute: int | None) -> int:
    """Seconds until as much is there."""
    if per_minute is None:
        return 0
    if not per_minute:
        return 60
    lacking = debt + micros_for(min(amount, per_minute), per_minute) - _MINUTE
    return max(0, ceil(lacking / 1_000_000))
