"""The items of a Responses conversation as neutral parts."""

from typing import Any

from addon.formats.neutral.turn import SUMMARY, Foreign, Part, Reasoning, Refusal, Text, ToolCall
from addon.formats.tolerant.parts import arguments_of
from addon.formats.wire.lenient import as_str, dicts_in

__all__ = ("item_parts",)


def item_parts(item: dict[str, Any]) -> list[Part]:
    """The parts of an item of an assistant's turn; an unknown item is one part, as it is."""
    match item.get("type"):
        case "message":
            return _message_parts(dicts_in(item.get("content")))
        case "reasoning":
            return [_reasoning(item)]
        case "function_call":
            arguments = arguments_of(item.get("arguments"))
            return [ToolCall(_call_id(item), as_str(item.get("name")), arguments)]
        case "custom_tool_call":
            raw = as_str(item.get("input"))
            return [ToolCall(_call_id(item), as_str(item.get("name")), raw, custom=True)]
    return [Foreign("responses", item)]


def _call_id(item: dict[str, Any]) -> str:
    return as_str(item.get("call_id")) or as_str(item.get("id"))


def _message_parts(content: list[dict[str, Any]]) -> list[Part]:
    """One text and one refusal at most: clients see the parts of a message as one."""
    parts: list[Part] = []
    visible = "".join(as_str(part.get("text")) for part in content)
    if visible:
        parts.append(Text(visible))
    refusal = "".join(as_str(part.get("refusal")) for part in content)
    if refusal:
        parts.append(Refusal(refusal))
    return parts


def _reasoning(item: dict[str, Any]) -> Reasoning:
    """The model's own text, else the summary of it, with the item's state."""
    thought, field = "".join(_texts(item.get("content"))), "reasoning_text"
    if not thought:
        thought, field = "\n\n".join(_texts(item.get("summary"))), SUMMARY
    opaque = as_str(item.get("encrypted_content"))
    if not opaque:
        return Reasoning(thought, field)
    return Reasoning(thought, field, opaque, "encrypted_content", as_str(item.get("id")))


def _texts(parts: Any) -> list[str]:
    return [as_str(part.get("text")) for part in dicts_in(parts)]
