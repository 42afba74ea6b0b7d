"""Usage objects of the Responses API and neutral counts, both ways."""

from typing import Any

from addon.formats.neutral.turn import Usage
from addon.formats.tolerant.counts import count_of
from addon.formats.wire.lenient import as_dict

__all__ = ("usage_object", "usage_of")

_PROMPT = ("input_tokens", "prompt_tokens")
_COMPLETION = ("output_tokens", "completion_tokens")
"""The format's names, and those of servers that count in Chat Completions'."""


def usage_of(reported: Any) -> Usage | None:
    """The neutral count of a `usage` object; None without counts."""
    usage = as_dict(reported)
    if count_of(usage, *_PROMPT, *_COMPLETION) is None:
        return None
    prompt = as_dict(usage.get("input_tokens_details"))
    completion = as_dict(usage.get("output_tokens_details"))
    return Usage(
        prompt_tokens=_count(usage, *_PROMPT),
        completion_tokens=_count(usage, *_COMPLETION),
        reasoning_tokens=_count(completion, "reasoning_tokens"),
        cached_tokens=_count(prompt, "cached_tokens"),
        cache_write_tokens=_count(prompt, "cache_write_tokens"),
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


def _count(usage: dict[str, Any], *names: str) -> int:
    return count_of(usage, *names) or 0
