"""A count of tokens is a number that is no less than nothing."""

import pytest

from addon.formats.tolerant.counts import count_of


@pytest.mark.parametrize(
    ("reported", "count"),
    [(0, 0), (7, 7), (7.0, 7), (12.4, 13), (10**30, 10**9), (1e300, 10**9)],
)
def test_a_number_is_a_count(reported: object, count: int) -> None:
    assert count_of({"a": reported}, "a") == count


@pytest.mark.parametrize("odd", [-1, -0.5, float("nan"), float("inf"), "7", True, None, [], {}])
def test_what_is_no_count_is_none(odd: object) -> None:
    assert count_of({"a": odd}, "a") is None


def test_the_first_name_with_a_count_counts() -> None:
    assert count_of({"a": "x", "b": 2, "c": 3}, "a", "b", "c") == 2
    assert count_of({}, "a") is None
