"""Neutral messages as the items of a Responses conversation."""

from collections.abc import Iterable, Iterator
from typing import Any

from addon.formats.neutral.request import refused
from addon.formats.neutral.turn import (
    SUMMARY,
    File,
    Foreign,
    Image,
    Message,
    Part,
    Reasoning,
    Refusal,
    Text,
    ToolCall,
)

__all__ = ("call_item", "items_of", "reasoning_item")


def items_of(messages: Iterable[Message]) -> Iterator[dict[str, Any]]:
    """The items of a conversation, in order. Raises RequestError for parts that Responses has
    no place for.
    """
    custom: set[str] = set()
    for message in messages:
        custom.update(call.id for call in message.calls if call.custom)
        if message.role == "assistant":
            yield from _turn_items(message.parts)
        elif message.role == "tool":
            yield _result_item(message, is_custom=message.result_of in custom)
        else:
            content = list(map(_input_part, message.parts)) or ""
            yield {"type": "message", "role": message.role, "content": content}


def call_item(call: ToolCall) -> dict[str, Any]:
    """A tool call as an item."""
    if call.custom:
        return {
            "type": "custom_tool_call",
            "call_id": call.id,
            "name": call.name,
            "input": call.arguments,
        }
    return {
        "type": "function_call",
        "call_id": call.id,
        "name": call.name,
        "arguments": call.arguments,
    }


def reasoning_item(reasoning: Reasoning) -> dict[str, Any]:
    """Reasoning as an item: the model's own words are its content, a summary is its summary."""
    item: dict[str, Any] = {"type": "reasoning", "summary": []}
    if reasoning.id:
        item["id"] = reasoning.id
    if reasoning.text and reasoning.field == SUMMARY:
        item["summary"] = [{"type": "summary_text", "text": reasoning.text}]
    elif reasoning.text:
        item["content"] = [{"type": "reasoning_text", "text": reasoning.text}]
    if reasoning.carrier == "encrypted_content":
        item["encrypted_content"] = reasoning.opaque
    return item


def _turn_items(parts: Iterable[Part]) -> Iterator[dict[str, Any]]:
    """Adjacent texts are one message: items of other kinds stand between messages."""
    content: list[dict[str, Any]] = []
    for part in parts:
        if isinstance(part, Text | Refusal):
            content.append(_output_part(part))
            continue
        if content:
            yield {"type": "message", "role": "assistant", "content": content}
            content = []
        yield from _item(part)
    if content:
        yield {"type": "message", "role": "assistant", "content": content}


def _output_part(part: Text | Refusal) -> dict[str, Any]:
    if isinstance(part, Text):
        return {"type": "output_text", "text": part.text, "annotations": []}
    return {"type": "refusal", "refusal": part.text}


def _item(part: Part) -> Iterator[dict[str, Any]]:
    match part:
        case ToolCall():
            yield call_item(part)
        case Reasoning():
            item = reasoning_item(part)
            if len(item) > 2 or item["summary"]:  # without id, text and state it is empty
                yield item
        case Foreign(wire_format="responses"):
            yield part.item
        case _:
            raise refused(
                "unsupported_content",
                "An assistant's message holds what the model's upstream can't take.",
            )


def _result_item(message: Message, *, is_custom: bool) -> dict[str, Any]:
    kind = "function_call_output"
    if is_custom:
        kind = "custom_tool_call_output"
    return {"type": kind, "call_id": message.result_of, "output": _output(message.parts)}


def _output(parts: tuple[Part, ...]) -> Any:
    """The `output` of a result: a single text is a string, anything else an array."""
    match parts:
        case ():
            return ""
        case (Text(text),) if text:
            return text
    return [_input_part(part) for part in parts]


def _input_part(part: Part) -> dict[str, Any]:
    match part:
        case Text():
            return {"type": "input_text", "text": part.text}
        case Image():
            source = {"image_url": part.url, "file_id": part.file_id}
            return {"type": "input_image", "detail": part.detail or "auto", **_filled(source)}
        case File():
            place = "file_data"
            if part.url.startswith(("http:", "https:")):
                place = "file_url"
            source = {place: part.url, "file_id": part.file_id, "filename": part.name}
            return {"type": "input_file", **_filled(source)}
    raise refused(
        "unsupported_content",
        "A message of the user or the system holds what only an assistant says.",
    )


def _filled(members: dict[str, str]) -> dict[str, str]:
    return {key: member for key, member in members.items() if member}
