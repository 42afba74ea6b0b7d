import math

import pytest

from tests.bench.rows import ROWS, Verdict, judge

BY_KEY = {row.key: row for row in ROWS}


@pytest.mark.parametrize(
    ("key", "bare", "ours", "verdict"),
    [
        ("history", [10.0, 10.0, 10.0], [15.0, 15.0, 90.0], "holds"),
        ("history", [10.0, 10.0, 10.0], [15.0, 25.0, 90.0], "aim missed"),
        ("history", [10.0], [26.0], "MISSED"),
        ("requests/s", [100.0], [120.0], "holds"),
        ("requests/s", [100.0], [90.0], "aim missed"),
        ("requests/s", [100.0], [80.0], "MISSED"),
        ("handshakes", [100.0], [5.0], "aim missed"),
        ("history", [10.0, 10.0], [10.0, math.nan], "not measured"),
    ],
)
def test_a_row_is_judged_by_the_median_of_its_rounds(
    key: str, bare: list[float], ours: list[float], verdict: Verdict
) -> None:
    assert judge(BY_KEY[key], bare, ours)[1] == verdict


def test_memory_that_bare_mitmproxy_has_once_is_beside_that_of_each_round() -> None:
    assert judge(BY_KEY["memory after"], [80.0], [160.0, 200.0, 160.0]) == (2.0, "aim missed")
