"""Message contents that are lists of typed chunks, with the reasoning in chunks of its own.

Mistral's shape: https://docs.mistral.ai/capabilities/reasoning (`thinking` chunks, to be sent back as they came).
"""

from typing import Any

from addon.formats.splice import MalformedJson, scalar_text, value
from addon.formats.turn import text_of_part

__all__ = ("THINKING_CHUNK", "thought_of", "with_thinking")

THINKING_CHUNK = "content[].thinking"
"""The field under which reasoning is known that came as a chunk of the content."""


def thought_of(part: Any) -> str | None:
    """The reasoning that a content part holds, or None for a part of another kind."""
    if not isinstance(part, dict) or part.get("type") != "thinking":
        return None
    inner = part.get("thinking")
    return "".join(map(text_of_part, inner)) if isinstance(inner, list) else text_of_part(inner)


def with_thinking(content: bytes, text: str) -> bytes:
    """The content with this reasoning as its first chunk, instead of any it has."""
    try:
        found = value(content)
    except MalformedJson:
        return content
    parts = found if isinstance(found, list) else [{"type": "text", "text": found}] if found else []
    thought = {"type": "thinking", "thinking": [{"type": "text", "text": text}]}
    return scalar_text([thought, *(part for part in parts if thought_of(part) is None)])
