"""Usage objects of the Messages API and neutral counts, both ways.

`input_tokens` are neither read from the prompt cache nor written to it
(https://platform.claude.com/docs/en/build-with-claude/prompt-caching#tracking-cache-performance);
a neutral prompt is all three.
"""

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
    cache_reads = _count(usage, "cache_read_input_tokens")
    cache_writes = _count(usage, "cache_creation_input_tokens")
    return Usage(
        prompt_tokens=_count(usage, *_PROMPT) + cache_reads + cache_writes,
        completion_tokens=_count(usage, *_COMPLETION),
        reasoning_tokens=_count(as_dict(usage.get("output_tokens_details")), "thinking_tokens"),
        cached_tokens=cache_reads,
        cache_write_tokens=cache_writes,
    )


def usage_object(usage: Usage) -> dict[str, Any]:
    """The `usage` object of a count."""
    uncached = usage.prompt_tokens - usage.cached_tokens - usage.cache_write_tokens
    reported: dict[str, Any] = {
        "input_tokens": max(uncached, 0),
        "cache_creation_input_tokens": usage.cache_write_tokens,
        "cache_read_input_tokens": usage.cached_tokens,
        "output_tokens": usage.completion_tokens,
    }
    if usage.reasoning_tokens:
        reported["output_tokens_details"] = {"thinking_tokens": usage.reasoning_tokens}
    return reported


def _count(usage: dict[str, Any], *names: str) -> int:
    return count_of(usage, *names) or 0
