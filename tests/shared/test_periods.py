"""Windows of quotas are days and months of UTC."""

from datetime import datetime

import pytest

from shared.model import Period
from shared.periods import day_of, reset_ms, window_of


def ms(moment: str) -> int:
    return int(datetime.fromisoformat(moment).timestamp() * 1000)


@pytest.mark.parametrize(
    ("moment", "day", "month"),
    [
        ("2026-11-20T00:00:00+00:00", 20261120, 202611),
        ("2026-11-20T23:59:59.999+00:00", 20261120, 202611),
        ("2026-11-21T01:00:00+02:00", 20261120, 202611),
        ("2027-01-01T00:00:00+00:00", 20270101, 202701),
    ],
)
def test_a_time_falls_into_a_day_and_a_month_of_utc(moment: str, day: int, month: int) -> None:
    assert (day_of(ms(moment)), window_of("day", ms(moment)), window_of("month", ms(moment))) == (
        day,
        day,
        month,
    )
    assert window_of("lifetime", ms(moment)) == 0


@pytest.mark.parametrize(
    ("period", "now", "next_begins"),
    [
        ("day", "2026-11-20T12:00:00+00:00", "2026-11-21T00:00:00+00:00"),
        ("day", "2026-12-31T23:59:59+00:00", "2027-01-01T00:00:00+00:00"),
        ("month", "2026-01-31T12:00:00+00:00", "2026-02-01T00:00:00+00:00"),
        ("month", "2026-12-01T00:00:00+00:00", "2027-01-01T00:00:00+00:00"),
        ("month", "2028-02-29T12:00:00+00:00", "2028-03-01T00:00:00+00:00"),
    ],
)
def test_the_next_window_begins_when_this_one_ends(
    period: Period, now: str, next_begins: str
) -> None:
    assert reset_ms(period, ms(now)) == ms(next_begins)
    assert (
        window_of(period, ms(next_begins) - 1)
        == window_of(period, ms(now))
        != window_of(period, ms(next_begins))
    )


def test_a_lifetime_never_begins_anew() -> None:
    assert reset_ms("lifetime", ms("2026-11-20T12:00:00+00:00")) is None
