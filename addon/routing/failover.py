"""What a failed attempt means for the next one."""

from collections.abc import Mapping
from email.utils import parsedate_to_datetime

import msgspec

__all__ = ("CONNECT_REST", "Failure", "classify_status", "retry_after_seconds")

CONNECT_REST = 10.0
"""Seconds a key rests after its upstream could not be reached."""

_AUTH_REST = 600.0
"""A key that is refused stays so until somebody acts; a wrong refusal costs ten minutes."""

_MONEY_REST = 600.0
"""The same of an account without money."""

_BUSY_REST = 20.0
"""What providers ask for that say how long, about."""

_LONGEST_REST = 3600.0
"""Some ask for a day after a quota per day; it may be raised meanwhile."""


class Failure(msgspec.Struct, frozen=True):
    """A failure that another key or upstream may not have."""

    rest: float
    """Seconds the key should rest."""


def classify_status(status: int, headers: Mapping[str, str], *, now_epoch: float) -> Failure | None:
    """Whether the next candidate should be tried after this status, and how long the key
    rests; None: final.
    """
    asked = retry_after_seconds(headers, now_epoch=now_epoch)
    if status in (401, 403):
        return Failure(_AUTH_REST)
    if status == 402:
        return Failure(_MONEY_REST)
    if status in (408, 429) or status >= 500:
        if asked is None:
            asked = _BUSY_REST
        return Failure(min(asked, _LONGEST_REST))
    return None


def retry_after_seconds(headers: Mapping[str, str], *, now_epoch: float) -> float | None:
    """The wait a `Retry-After` header asks for: seconds or an HTTP date (RFC 9110 §10.2.3)."""
    given = headers.get("retry-after", "")
    if given.strip().isdecimal():
        return float(given)
    try:
        return max(0.0, parsedate_to_datetime(given).timestamp() - now_epoch)
    except (ValueError, OverflowError):
        return None
