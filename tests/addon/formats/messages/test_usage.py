"""Usage of the Messages API is counted, and counts are told in its words."""

from typing import Any

import pytest
from anthropic.types import Usage as AnthropicUsage

from addon.formats.messages.usage import usage_object, usage_of
from addon.formats.neutral.turn import Usage

USAGE = Usage(
    prompt_tokens=9, completion_tokens=5, reasoning_tokens=2, cached_tokens=4, cache_write_tokens=1
)


def test_a_count_is_told_and_read_back() -> None:
    told = AnthropicUsage.model_validate(usage_object(USAGE))
    assert (told.input_tokens, told.cache_read_input_tokens, told.cache_creation_input_tokens) == (
        4,
        4,
        1,
    )
    assert usage_of(usage_object(USAGE)) == USAGE


def test_what_was_cached_is_part_of_the_prompt() -> None:
    found = {
        "input_tokens": 3,
        "cache_read_input_tokens": 10,
        "cache_creation_input_tokens": 20,
        "output_tokens": 5,
    }
    assert usage_of(found) == Usage(
        prompt_tokens=33, completion_tokens=5, cached_tokens=10, cache_write_tokens=20
    )


def test_counts_that_do_not_add_up_are_told_without_negative_numbers() -> None:
    assert usage_object(Usage(prompt_tokens=3, cached_tokens=9))["input_tokens"] == 0


@pytest.mark.parametrize("odd", [-1, float("nan"), "7", True, None, [], {}])
def test_what_is_no_count_counts_nothing(odd: object) -> None:
    found = {
        "input_tokens": odd,
        "output_tokens": 2,
        "cache_read_input_tokens": odd,
        "output_tokens_details": odd,
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
