"""Usage objects of chat upstreams, with their quirks, as one neutral count."""

from typing import Any

from addon.formats.neutral.turn import Usage
from addon.formats.tolerant.counts import count_of
from addon.formats.wire.lenient import as_dict

__all__ = ("usage_of",)

_PROMPT = ("prompt_tokens", "input_tokens")
_COMPLETION = ("completion_tokens", "output_tokens")
"""The format's names, and those of servers that count in the other formats' (mlx-vlm)."""


def usage_of(reported: Any) -> Usage | None:
    """The neutral count of a `usage` object; None without counts.

    Cached tokens stand in `prompt_tokens_details.cached_tokens` (OpenAI),
    `prompt_cache_hit_tokens` (DeepSeek) or `cached_tokens` (Moonshot), cache writes in
    `cache_creation_input_tokens` (DashScope).
    """
    if not isinstance(reported, dict):
        return None  # as in nearly every event of a stream
    usage: dict[str, Any] = reported
    if count_of(usage, *_PROMPT, *_COMPLETION) is None:
        return None
    prompt = count_of(usage, *_PROMPT) or 0
    completion = count_of(usage, *_COMPLETION) or 0
    reasoning = count_of(_details(usage, "completion", "output"), "reasoning_tokens") or 0
    details = _details(usage, "prompt", "input")
    cached = _cached(usage, details)
    cache_writes = count_of(details, "cache_write_tokens") or 0
    cache_writes = cache_writes or count_of(details, "cache_creation_input_tokens") or 0
    total = prompt + completion + reasoning
    # xAI counts reasoning and, on some models, cached tokens beside the others: the total, or a
    # count larger than its whole, tells.
    if reasoning > completion or count_of(usage, "total_tokens") == total:
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


def _cached(usage: dict[str, Any], details: dict[str, Any]) -> int:
    cached = count_of(details, "cached_tokens")
    if cached is None:
        cached = count_of(usage, "prompt_cache_hit_tokens", "cached_tokens")
    return cached or 0


def _details(usage: dict[str, Any], name: str, other: str) -> dict[str, Any]:
    return as_dict(usage.get(f"{name}_tokens_details") or usage.get(f"{other}_tokens_details"))
