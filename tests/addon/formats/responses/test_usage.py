"""Usage of the Responses API is counted, and counts are told in its words."""

from typing import Any

import pytest
from openai.types.responses import ResponseUsage

from addon.formats.neutral.turn import Usage
from addon.formats.responses.usage import usage_object, usage_of

USAGE = Usage(
    prompt_tokens=9, completion_tokens=5, reasoning_tokens=2, cached_tokens=4, cache_write_tokens=1
)


def test_a_count_is_told_and_read_back() -> None:
    told = usage_object(USAGE)
    assert ResponseUsage.model_validate(told).total_tokens == 14
    assert usage_of(told) == USAGE


@pytest.mark.parametrize("odd", [-1, float("nan"), "7", True, None, [], {}])
def test_what_is_no_count_counts_nothing(odd: object) -> None:
    found = {
        "input_tokens": odd,
        "output_tokens": 2,
        "input_tokens_details": {"cached_tokens": odd},
    }
    assert usage_of(found) == Usage(completion_tokens=2)


def test_a_count_is_bounded() -> None:
    assert usage_of({"input_tokens": 10**30}) == Usage(prompt_tokens=10**9)


@pytest.mark.parametrize("found", [None, {}, [], "x", 7, {"total_tokens": 3}])
def test_what_is_no_usage_is_none(found: Any) -> None:
    assert usage_of(found) is None


@pytest.mark.parametrize("fraction", [0.0, 0.4])
def test_counts_under_chats_names_and_in_fractions_are_read(fraction: float) -> None:
    found = {"prompt_tokens": 11 - fraction, "completion_tokens": 5 - fraction}
    assert usage_of(found) == Usage(prompt_tokens=11, completion_tokens=5)
