"""Usage objects of the Messages API and neutral counts, both ways.

`input_tokens` is what was neither read from the prompt cache nor written to it
(https://platform.claude.com/docs/en/build-with-claude/prompt-caching#tracking-cache-performance);
a neutral prompt is all three.
"""

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
    cached, written = (
        _count(given, "cache_read_input_tokens"),
        _count(given, "cache_creation_input_tokens"),
    )
    return Usage(
        prompt_tokens=_count(given, "input_tokens") + cached + written,
        completion_tokens=_count(given, "output_tokens"),
        reasoning_tokens=_count(record(given.get("output_tokens_details")), "thinking_tokens"),
        cached_tokens=cached,
        cache_write_tokens=written,
    )


def usage_object(usage: Usage) -> dict[str, Any]:
    """The `usage` object of a count."""
    thought = (
        {"output_tokens_details": {"thinking_tokens": usage.reasoning_tokens}}
        if usage.reasoning_tokens
        else {}
    )
    return {
        "input_tokens": max(
            usage.prompt_tokens - usage.cached_tokens - usage.cache_write_tokens, 0
        ),
        "cache_creation_input_tokens": usage.cache_write_tokens,
        "cache_read_input_tokens": usage.cached_tokens,
        "output_tokens": usage.completion_tokens,
        **thought,
    }


def _count(found: dict[str, Any], name: str) -> int:
    return min(max(integer(found.get(name)) or 0, 0), _LIMIT)
