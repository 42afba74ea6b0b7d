"""A failure that another key may not have is told from one that is final."""

import pytest

from addon.routing.failover import Failure, classify_status, retry_after_seconds

NOW = 1_790_000_000.0


def rest(status: int, retry_after: str | None = None) -> float | None:
    headers = {} if retry_after is None else {"retry-after": retry_after}
    failure = classify_status(status, headers, now_epoch=NOW)
    return failure.rest if failure else None


@pytest.mark.parametrize("status", [200, 301, 400, 404, 405, 409, 413, 415, 422])
def test_a_status_that_every_key_would_get_is_final(status: int) -> None:
    assert rest(status, "60") is None


@pytest.mark.parametrize(
    ("status", "seconds"),
    [
        (401, 600),
        (403, 600),
        (402, 600),
        (408, 20),
        (429, 20),
        (500, 20),
        (502, 20),
        (503, 20),
        (504, 20),
        (529, 20),
    ],
)
def test_a_key_that_failed_rests_according_to_what_failed(status: int, seconds: float) -> None:
    assert classify_status(status, {}, now_epoch=NOW) == Failure(seconds)


@pytest.mark.parametrize(
    ("retry_after", "seconds"), [("7", 7), ("0", 0), ("999999", 3600), ("9" * 5_000, 3600)]
)
def test_a_busy_upstream_says_how_long_its_key_rests(retry_after: str, seconds: float) -> None:
    assert rest(429, retry_after) == rest(503, retry_after) == seconds


def test_a_refused_key_rests_whatever_the_upstream_asks_for() -> None:
    assert rest(401, "1") == 600


@pytest.mark.parametrize(
    ("retry_after", "seconds"),
    [
        pytest.param("120", 120, id="seconds"),
        pytest.param(" 120 ", 120, id="blanks"),
        pytest.param("Mon, 21 Sep 2026 14:14:20 GMT", 60, id="date"),
        pytest.param("Monday, 21-Sep-26 14:14:20 GMT", 60, id="old date"),
        pytest.param("Mon, 21 Sep 2026 16:14:20 +0200", 60, id="zone"),
        pytest.param("Wed, 21 Oct 2015 07:28:00 GMT", 0, id="past"),
        pytest.param("", None, id="empty"),
        pytest.param("-5", None, id="negative"),
        pytest.param("1.5", None, id="fraction"),
        pytest.param("soon", None, id="word"),
        pytest.param("1 Jan 99999999999999 00:00:00", None, id="year beyond all clocks"),
        pytest.param("Mon, 01 Jan 2026 00:00:00 +99999999999", None, id="zone beyond all clocks"),
        pytest.param("Mon, 99 Jan 2026 99:99:99 GMT", None, id="no date"),
        pytest.param("(" * 1_000, None, id="nested comments"),
    ],
)
def test_the_wait_asked_for_is_seconds_or_a_date(retry_after: str, seconds: float | None) -> None:
    assert retry_after_seconds({"retry-after": retry_after}, now_epoch=NOW) == seconds


def test_no_header_asks_for_nothing() -> None:
    assert retry_after_seconds({}, now_epoch=NOW) is None
