"""Usage is counted wherever a provider puts it, and only when it is a count."""

from typing import Any

import pytest

from addon.formats.chat.usage import usage_of
from addon.formats.neutral.turn import Usage

BOTH: dict[str, Any] = {"prompt_tokens": 100, "completion_tokens": 20, "total_tokens": 120}
THOUGHT: dict[str, Any] = {"completion_tokens_details": {"reasoning_tokens": 94}}


@pytest.mark.parametrize(
    ("more", "cached", "reasoning"),
    [
        pytest.param({}, 0, 0, id="plain"),
        pytest.param({"prompt_tokens_details": {"cached_tokens": 64}}, 64, 0, id="OpenAI"),
        pytest.param(
            {"prompt_cache_hit_tokens": 64, "prompt_cache_miss_tokens": 36}, 64, 0, id="DeepSeek"
        ),
        pytest.param({"cached_tokens": 64}, 64, 0, id="Moonshot"),
        pytest.param(
            {"prompt_tokens_details": {"cached_tokens": 0}, "cached_tokens": 64},
            0,
            0,
            id="details first",
        ),
        pytest.param(
            {"prompt_tokens_details": None, "cached_tokens": 64}, 64, 0, id="null details"
        ),
        pytest.param(
            {"completion_tokens_details": {"reasoning_tokens": 15}}, 0, 15, id="reasoning"
        ),
    ],
)
def test_counts_are_read_under_every_providers_names(
    more: dict[str, Any], cached: int, reasoning: int
) -> None:
    assert usage_of(BOTH | more) == Usage(
        prompt_tokens=100, completion_tokens=20, cached_tokens=cached, reasoning_tokens=reasoning
    )


@pytest.mark.parametrize(
    ("counts", "expected"),
    [
        pytest.param(
            {"prompt_tokens": 32, "completion_tokens": 9, "total_tokens": 135} | THOUGHT,
            Usage(prompt_tokens=32, completion_tokens=103, reasoning_tokens=94),
            id="the total says so",
        ),
        pytest.param(
            {"prompt_tokens": 32, "completion_tokens": 9} | THOUGHT,
            Usage(prompt_tokens=32, completion_tokens=103, reasoning_tokens=94),
            id="the part exceeds the whole",
        ),
        pytest.param(
            {"prompt_tokens": 32, "completion_tokens": 100, "total_tokens": 132} | THOUGHT,
            Usage(prompt_tokens=32, completion_tokens=100, reasoning_tokens=94),
            id="not here",
        ),
        pytest.param(
            {"prompt_tokens": 32, "completion_tokens": 1, "cached_tokens": 64},
            Usage(prompt_tokens=96, completion_tokens=1, cached_tokens=64),
            id="cached tokens",
        ),
    ],
)
def test_what_an_upstream_counts_apart_is_counted_in(
    counts: dict[str, Any], expected: Usage
) -> None:
    assert usage_of(counts) == expected


@pytest.mark.parametrize("name", ["cache_write_tokens", "cache_creation_input_tokens"])
def test_tokens_written_to_the_cache_are_counted(name: str) -> None:
    assert usage_of(BOTH | {"prompt_tokens_details": {name: 7}}) == Usage(
        prompt_tokens=100, completion_tokens=20, cache_write_tokens=7
    )


@pytest.mark.parametrize("odd", [-1, float("nan"), "7", True, None, [], {}])
def test_what_is_no_count_counts_nothing(odd: object) -> None:
    assert usage_of({"prompt_tokens": odd, "completion_tokens": 2, "cached_tokens": odd}) == Usage(
        completion_tokens=2
    )


def test_a_count_is_bounded() -> None:
    assert usage_of({"prompt_tokens": 10**30}) == Usage(prompt_tokens=10**9)


@pytest.mark.parametrize(
    "found", [None, {}, [], "x", 7, {"total_tokens": 3}, {"prompt_tokens": -1}]
)
def test_what_is_no_usage_is_none(found: object) -> None:
    assert usage_of(found) is None


@pytest.mark.parametrize("fraction", [0.0, 0.4])
def test_counts_under_the_other_formats_names_and_in_fractions_are_read(fraction: float) -> None:
    found = {
        "input_tokens": 11 - fraction,
        "output_tokens": 5 - fraction,
        "input_tokens_details": {"cached_tokens": 4 - fraction},
        "output_tokens_details": {"reasoning_tokens": 2 - fraction},
    }
    assert usage_of(found) == Usage(
        prompt_tokens=11, completion_tokens=5, cached_tokens=4, reasoning_tokens=2
    )
