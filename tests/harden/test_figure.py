"""A figure's line says what was measured, against which bound, and whether that holds."""

import pytest

from tests.harden.figure import Figure


@pytest.mark.parametrize(("ok", "verdict"), [(True, "holds"), (False, "MISSED")])
def test_a_line_says_scale_value_bound_and_verdict(ok: bool, verdict: str) -> None:
    figure = Figure("F8", "2,000 slow heads", "31 ms", "≤ 100 ms", ok)
    assert figure.line() == f"F8   2,000 slow heads: 31 ms (bound ≤ 100 ms) {verdict}"
