"""What limits per minute allow, by what is held of them."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from addon.admission.limits import has_limits, micros_for, refusal
from addon.admission.quota import Subject
from shared.model import Limits
from shared.store.limits import Held


def subject(**limits: Any) -> Subject:
    return Subject("user:1", "your account", Limits(**limits))


@given(st.lists(st.tuples(st.floats(0, 30), st.integers(1, 300)), max_size=60))
def test_no_minute_has_more_than_twice_its_tokens(requests: list[tuple[float, int]]) -> None:
    one, now, debt, taken = subject(tpm=600), 0.0, 0, []
    for pause, tokens in requests:
        now += pause
        debt = max(0, debt - round(pause * 1_000_000))
        if refusal(one, Held(tokens=debt), tokens=tokens) is None:
            debt += micros_for(tokens, 600)
            taken.append((now, tokens))
    for start, _ in taken:
        assert sum(tokens for at, tokens in taken if start <= at < start + 60) <= 1200


@pytest.mark.parametrize("limits", [{"rpm": 0}, {"tpm": 0}, {"concurrency": 0}])
def test_a_limit_of_nothing_is_one(limits: dict[str, int]) -> None:
    assert has_limits(subject(**limits))


def test_a_quota_is_no_limit_per_minute() -> None:
    assert not has_limits(subject(quota_tokens=1))


def test_what_is_overdrawn_lets_nothing_begin() -> None:
    overdrawn = Held(tokens=61_000_000)
    met = refusal(subject(tpm=600), overdrawn, requests=1, tokens=0, running=0)
    assert met is not None
    assert (met.what, met.retry_after) == ("tokens per minute (600)", 1)
