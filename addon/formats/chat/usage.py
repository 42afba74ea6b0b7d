"""Usage objects of chat upstreams, with their quirks, as one neutral count."""

from typing import Any

from addon.formats.neutral.turn import Usage
from addon.formats.wire.lenient import as_dict, as_int

__all__ = ("usage_of",)

_LIMIT = 10**9
"""More tokens than any request has: sums of such counts still fit a database's integers."""


def usage_of(reported: Any) -> Usage | None:
    """The neutral count of a `usage` object; None without counts.

    Cached tokens stand in `prompt_tokens_details.cached_tokens` (OpenAI),
    `prompt_cache_hit_tokens` (DeepSeek) or `cached_tokens` (Moonshot), cache writes in
    `cache_creation_input_tokens` (DashScope).
    """
    if not isinstance(reported, dict):
        return None  # as in nearly every event of a stream
    usage: dict[str, Any] = reported
    if _count(usage, "prompt_tokens") is None and _count(usage, "completion_tokens") is None:
        return None
    prompt = _count(usage, "prompt_tokens") or 0
    completion = _count(usage, "completion_tokens") or 0
    reasoning = _count(as_dict(usage.get("completion_tokens_details")), "reasoning_tokens") or 0
    cached = _cached(usage)
    details = as_dict(usage.get("prompt_tokens_details"))
    cache_writes = (
        _count(details, "cache_write_tokens") or _count(details, "cache_creation_input_tokens") or 0
    )
    total = prompt + completion + reasoning
    # xAI counts reasoning and, on some models, cached tokens beside the others: the total, or a
    # count larger than its whole, tells.
    if reasoning > completion or _count(usage, "total_tokens") == total:
        completion += reasoning
    if cached > prompt:
        prompt += cached
    return Usage(
        prompt_tokens=prompt,
        completion_tokens=completion,
        reasoning_tokens=reasoning,
        cached_tokens=cached,
        cache_write_tokens=cache_writes,
    )


def _cached(usage: dict[str, Any]) -> int:
    counts = (
        _count(as_dict(usage.get("prompt_tokens_details")), "cached_tokens"),
        _count(usage, "prompt_cache_hit_tokens"),
        _count(usage, "cached_tokens"),
    )
    return next((count for count in counts if count is not None), 0)


def _count(usage: dict[str, Any], name: str) -> int | None:
    count = as_int(usage.get(name))
    if count is None or count < 0:
        return None
    return min(count, _LIMIT)
