"""Usage objects of chat upstreams, with their quirks, as one neutral count."""

from typing import Any

from addon.formats.neutral.turn import Usage

__all__ = ("usage_of",)

_LIMIT = 10**9


def usage_of(found: Any) -> Usage | None:
    """The neutral count of a `usage` object, or None when there is none.

    Cached tokens stand in `prompt_tokens_details.cached_tokens` (OpenAI),
    `prompt_cache_hit_tokens` (DeepSeek) or `cached_tokens` (Moonshot); written ones in
    `cache_creation_input_tokens` (DashScope). xAI counts reasoning and, on some models,
    cached tokens beside the others: the total, or a count larger than its whole, tells.
    """
    if not isinstance(found, dict):
        return None
    prompt, completion = _count(found, "prompt_tokens"), _count(found, "completion_tokens")
    if prompt is None and completion is None:
        return None
    cached = _count(found.get("prompt_tokens_details"), "cached_tokens")
    for name in ("prompt_cache_hit_tokens", "cached_tokens"):
        cached = cached if cached is not None else _count(found, name)
    details = found.get("prompt_tokens_details")
    written = _count(details, "cache_write_tokens") or _count(
        details, "cache_creation_input_tokens"
    )
    reasoning = _count(found.get("completion_tokens_details"), "reasoning_tokens") or 0
    prompt, completion, cached = prompt or 0, completion or 0, cached or 0
    apart = (
        _count(found, "total_tokens") == prompt + completion + reasoning or reasoning > completion
    )
    return Usage(
        prompt_tokens=prompt + (cached if cached > prompt else 0),
        completion_tokens=completion + (reasoning if apart else 0),
        reasoning_tokens=reasoning,
        cached_tokens=cached,
        cache_write_tokens=written or 0,
    )


def _count(found: Any, name: str) -> int | None:
    count = found.get(name) if isinstance(found, dict) else None
    return min(count, _LIMIT) if type(count) is int and count >= 0 else None
