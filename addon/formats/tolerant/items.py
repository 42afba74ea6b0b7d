"""The items of a Responses conversation as neutral parts."""

from typing import Any

from addon.formats.neutral.turn import SUMMARY, Foreign, Part, Reasoning, Refusal, Text, ToolCall
from addon.formats.tolerant.parts import arguments_of
from addon.formats.wire.lenient import objects, text

__all__ = ("item_parts",)


def item_parts(item: dict[str, Any]) -> list[Part]:
    """What an item of an assistant's turn says; one that nobody else knows stays as it is."""
    match item.get("type"):
        case "message":
            return _said_in(objects(item.get("content")))
        case "reasoning":
            return [_reasoning(item)]
        case "function_call":
            return [
                ToolCall(
                    _call_id(item), text(item.get("name")), arguments_of(item.get("arguments"))
                )
            ]
        case "custom_tool_call":
            return [
                ToolCall(
                    _call_id(item), text(item.get("name")), text(item.get("input")), custom=True
                )
            ]
    return [Foreign("responses", item)]


def _call_id(item: dict[str, Any]) -> str:
    return text(item.get("call_id")) or text(item.get("id"))


def _said_in(content: list[dict[str, Any]]) -> list[Part]:
    """One text and one refusal at most: clients see the parts of a message as one."""
    said = "".join(text(part.get("text")) for part in content)
    refused_with = "".join(text(part.get("refusal")) for part in content)
    return [*([Text(said)] if said else []), *([Refusal(refused_with)] if refused_with else [])]


def _reasoning(item: dict[str, Any]) -> Reasoning:
    """The text of the model itself counts more than the summary made of it."""
    quoted = "".join(text(part.get("text")) for part in objects(item.get("content")))
    told = "\n\n".join(text(part.get("text")) for part in objects(item.get("summary")))
    said = Reasoning(quoted or told, "reasoning_text" if quoted else SUMMARY)
    if not (opaque := text(item.get("encrypted_content"))):
        return said
    return Reasoning(said.text, said.field, opaque, "encrypted_content", text(item.get("id")))
