"""Usage objects of the Responses API and neutral counts, both ways."""

from typing import Any

from addon.formats.neutral.turn import Usage
from addon.formats.wire.lenient import integer, record

__all__ = ("usage_object", "usage_of")

_LIMIT = 10**9


def usage_of(found: Any) -> Usage | None:
    """The neutral count of a `usage` object, or None when there is none."""
    given = record(found)
    if integer(given.get("input_tokens")) is None and integer(given.get("output_tokens")) is None:
        return None
    read, wrote = (
        record(given.get("input_tokens_details")),
        record(given.get("output_tokens_details")),
    )
    return Usage(
        prompt_tokens=_count(given, "input_tokens"),
        completion_tokens=_count(given, "output_tokens"),
        reasoning_tokens=_count(wrote, "reasoning_tokens"),
        cached_tokens=_count(read, "cached_tokens"),
        cache_write_tokens=_count(read, "cache_write_tokens"),
    )


def usage_object(usage: Usage) -> dict[str, Any]:
    """The `usage` object of a count."""
    return {
        "input_tokens": usage.prompt_tokens,
        "input_tokens_details": {
            "cached_tokens": usage.cached_tokens,
            "cache_write_tokens": usage.cache_write_tokens,
        },
        "output_tokens": usage.completion_tokens,
        "output_tokens_details": {"reasoning_tokens": usage.reasoning_tokens},
        "total_tokens": usage.prompt_tokens + usage.completion_tokens,
    }


def _count(found: dict[str, Any], name: str) -> int:
    return min(max(integer(found.get(name)) or 0, 0), _LIMIT)
