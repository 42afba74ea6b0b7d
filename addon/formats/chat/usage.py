"""Usage objects of chat upstreams, with their quirks, as one neutral count."""

from typing import Any

from addon.formats.turn import Usage

__all__ = ("usage_of",)

_LIMIT = 10**9


def usage_of(found: Any) -> Usage | None:
    """The neutral count of a `usage` object, or None when there is none.

    Cached tokens stand in `prompt_tokens_details.cached_tokens` (OpenAI), `prompt_cache_hit_tokens` (DeepSeek) or
    `cached_tokens` (Moonshot).
    """
    if not isinstance(found, dict):
        return None
    prompt, completion = _count(found, "prompt_tokens"), _count(found, "completion_tokens")
    if prompt is None and completion is None:
        return None
    cached = _count(found.get("prompt_tokens_details"), "cached_tokens")
    for name in ("prompt_cache_hit_tokens", "cached_tokens"):
        cached = cached if cached is not None else _count(found, name)
    reasoning = _count(found.get("completion_tokens_details"), "reasoning_tokens")
    return Usage(
        prompt_tokens=prompt or 0,
        completion_tokens=completion or 0,
        reasoning_tokens=reasoning or 0,
        cached_tokens=cached or 0,
    )


def _count(found: Any, name: str) -> int | None:
    count = found.get(name) if isinstance(found, dict) else None
    return min(count, _LIMIT) if type(count) is int and count >= 0 else None
