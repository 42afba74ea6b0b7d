"""UTC days, months and lifetimes as the numbers that quotas and totals are stored under."""

from datetime import UTC, datetime, timedelta
from functools import lru_cache

from shared.model import Period

__all__ = ("day_of", "reset_ms", "window_of")

_DAY_MS = 86_400_000


def day_of(now_ms: int) -> int:
    """Return the day (YYYYMMDD) of a time (epoch ms)."""
    return window_of("day", now_ms)


def window_of(period: Period, now_ms: int) -> int:
    """Return the window of a time (epoch ms): YYYYMMDD, YYYYMM, or 0 for a lifetime."""
    day = _day(now_ms // _DAY_MS)
    match period:
        case "day":
            return day.year * 10_000 + day.month * 100 + day.day
        case "month":
            return day.year * 100 + day.month
    return 0


def reset_ms(period: Period, now_ms: int) -> int | None:
    """Return when the next window begins (epoch ms); None for a lifetime."""
    start = _day(now_ms // _DAY_MS)
    match period:
        case "day":
            return _ms(start + timedelta(days=1))
        case "month":
            return _ms((start.replace(day=1) + timedelta(days=32)).replace(day=1))
    return None


@lru_cache(maxsize=16)
def _day(number: int) -> datetime:
    """The beginning of a day, by how many have passed since the epoch."""
    return datetime.fromtimestamp(number * _DAY_MS // 1000, UTC)


def _ms(moment: datetime) -> int:
    return int(moment.timestamp()) * 1000
