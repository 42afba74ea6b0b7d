"""UTC days, months and lifetimes as the numbers that quotas and totals are stored under."""

from datetime import UTC, datetime, timedelta

from shared.model import Period

__all__ = ("day_of", "reset_ms", "window_of")


def day_of(now_ms: int) -> int:
    """Return the day (YYYYMMDD) of a time (epoch ms)."""
    return window_of("day", now_ms)


def window_of(period: Period, now_ms: int) -> int:
    """Return the window of a time (epoch ms): YYYYMMDD, YYYYMM, or 0 for a lifetime."""
    now = _utc(now_ms)
    match period:
        case "day":
            return now.year * 10_000 + now.month * 100 + now.day
        case "month":
            return now.year * 100 + now.month
    return 0


def reset_ms(period: Period, now_ms: int) -> int | None:
    """Return when the next window begins (epoch ms); None for a lifetime."""
    start = _utc(now_ms).replace(hour=0, minute=0, second=0, microsecond=0)
    match period:
        case "day":
            return _ms(start + timedelta(days=1))
        case "month":
            return _ms((start.replace(day=1) + timedelta(days=32)).replace(day=1))
    return None


def _utc(now_ms: int) -> datetime:
    return datetime.fromtimestamp(now_ms // 1000, UTC)


def _ms(moment: datetime) -> int:
    return int(moment.timestamp()) * 1000
