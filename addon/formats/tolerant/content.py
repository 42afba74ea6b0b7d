"""The places of a message's reasoning: a member beside the content, or chunks of the content.

Mistral's shape: https://docs.mistral.ai/capabilities/reasoning (`thinking` chunks, to be
sent back as they came).
"""

from typing import Any

from addon.formats.neutral.turn import text_of_part

__all__ = ("REASONING_FIELDS", "THINKING_CHUNK", "is_thinking", "thinking_chunk", "thought_of")

REASONING_FIELDS = ("reasoning_content", "reasoning", "reasoning_text")
"""Members of a chat message under which upstreams give and take reasoning as a plain string."""

THINKING_CHUNK = "content[].thinking"
"""The field of reasoning that came as a chunk of the content."""


def is_thinking(part: Any) -> bool:
    """Whether a content part holds reasoning."""
    return isinstance(part, dict) and part.get("type") == "thinking"


def thought_of(part: Any) -> str | None:
    """The reasoning in a content part, or None for a part of another kind."""
    if not is_thinking(part):
        return None
    inner = part.get("thinking")
    if isinstance(inner, list):
        return "".join(map(text_of_part, inner))
    return text_of_part(inner)


def thinking_chunk(text: str) -> dict[str, Any]:
    """The chunk of this reasoning."""
    return {"type": "thinking", "thinking": [{"type": "text", "text": text}]}
