"""Content parts as any of the formats writes them: their types differ, so that one reader
serves all.

Chat Completions: `text image_url file refusal thinking` · Responses: `input_text
output_text input_image input_file refusal` · Messages: `text image document thinking
redacted_thinking tool_use tool_result`.
"""

from collections.abc import Callable
from typing import Any

from addon.formats.neutral.request import refuse_parts, refused
from addon.formats.neutral.turn import (
    File,
    Foreign,
    Image,
    Part,
    Reasoning,
    Refusal,
    Text,
    ToolCall,
    marked,
    text_of_part,
)
from addon.formats.tolerant.content import thought_of
from addon.formats.wire.lenient import objects, record, text
from addon.formats.wire.splice import scalar_text

__all__ = ("arguments_of", "cache_of", "parts_of")


def parts_of(content: Any, foreign: str = "") -> list[Part]:
    """The parts of a content: a string, an array or null.

    `foreign`: the format whose own kinds of parts stay as they are; RequestError is raised
    for them without it.
    """
    if isinstance(content, str):
        return [Text(content)] if content else []
    if isinstance(content, dict):
        content = [content]
    if isinstance(content, list):
        refuse_parts(len(content))
    return (
        [part for raw in content or () for part in _part(raw, foreign)]
        if isinstance(content, list | None)
        else []
    )


def arguments_of(found: Any) -> str:
    """A call's arguments as the string the model wrote; Messages has an object in their place."""
    if isinstance(found, str):
        return found
    return scalar_text(found).decode() if found is not None else ""


def cache_of(raw: dict[str, Any]) -> str:
    """How long Anthropic's prompt cache is asked to keep what ends at this part."""
    control = record(raw.get("cache_control"))
    return text(control.get("ttl")) or "5m" if control.get("type") == "ephemeral" else ""


def _part(raw: Any, foreign: str) -> list[Part]:
    if isinstance(raw, str):
        return [Text(raw)] if raw else []
    found = record(raw)
    kind = text(found.get("type"))
    if reader := _READERS.get(kind):
        return reader(found)
    if kind and foreign:
        return [Foreign(foreign, found)]
    if not kind or isinstance(found.get("text"), str):
        return [Text(text_of_part(found), cache_of(found))] if text_of_part(found) else []
    raise refused(
        "unsupported_content",
        f"A content part of type '{kind[:40]}' can't be passed on here: leave it out.",
    )


def _text(raw: dict[str, Any]) -> list[Part]:
    said = text(raw.get("text"))
    return [Text(said, cache_of(raw))] if said else []


def _refusal(raw: dict[str, Any]) -> list[Part]:
    return [Refusal(text(raw.get("refusal")))]


def _image_url(raw: dict[str, Any]) -> list[Part]:
    """Chat has an object under `image_url`, Responses (`input_image`) a string and perhaps
    a `file_id`.
    """
    given = raw.get("image_url")
    where = given if isinstance(given, dict) else {"url": given, "detail": raw.get("detail")}
    return [
        Image(
            text(where.get("url")),
            text(raw.get("file_id")),
            _detail(where.get("detail")),
            cache=cache_of(raw),
        ),
    ]


def _detail(found: Any) -> str:
    return text(found) if found != "auto" else ""


def _file(raw: dict[str, Any]) -> list[Part]:
    """Chat nests the members under `file`, Responses (`input_file`) does not."""
    given = record(raw.get("file")) or raw
    url = text(given.get("file_data")) or text(given.get("file_url"))
    return [File(url, text(given.get("file_id")), text(given.get("filename")), cache=cache_of(raw))]


def _source(raw: dict[str, Any]) -> tuple[str, str]:
    """URL and file id of a Messages `source`."""
    source = record(raw.get("source"))
    if source.get("type") == "base64":
        return f"data:{text(source.get('media_type'))};base64,{text(source.get('data'))}", ""
    return text(source.get("url")), text(source.get("file_id"))


def _image(raw: dict[str, Any]) -> list[Part]:
    return [Image(*_source(raw), cache=cache_of(raw))]


def _document(raw: dict[str, Any]) -> list[Part]:
    source = record(raw.get("source"))
    if source.get("type") in ("text", "content"):
        said = source.get("data") if source["type"] == "text" else source.get("content")
        return marked(
            [part for part in parts_of(said) if isinstance(part, Text | Image)], cache_of(raw)
        )
    return [File(*_source(raw), name=text(raw.get("title")), cache=cache_of(raw))]


def _thinking(raw: dict[str, Any]) -> list[Part]:
    """Mistral has chunks under `thinking`, Messages a string and a signature."""
    signature = text(raw.get("signature"))
    return [
        Reasoning(thought_of(raw) or "", "thinking", signature, "signature" if signature else "")
    ]


def _redacted(raw: dict[str, Any]) -> list[Part]:
    return [Reasoning("", "thinking", text(raw.get("data")), "redacted_thinking")]


def _tool_use(raw: dict[str, Any]) -> list[Part]:
    return [
        ToolCall(
            text(raw.get("id")),
            text(raw.get("name")),
            arguments_of(raw.get("input")),
            cache=cache_of(raw),
        )
    ]


def _search_result(raw: dict[str, Any]) -> list[Part]:
    """A Messages `search_result` block: where it is from, and what it says."""
    said = "\n".join(map(text_of_part, objects(raw.get("content"))))
    return [
        Text(
            "\n".join(filter(None, (text(raw.get("title")), text(raw.get("source")), said))),
            cache_of(raw),
        )
    ]


_READERS: dict[str, Callable[[dict[str, Any]], list[Part]]] = {
    "document": _document,
    "file": _file,
    "image": _image,
    "image_url": _image_url,
    "input_file": _file,
    "input_image": _image_url,
    "input_text": _text,
    "output_text": _text,
    "redacted_thinking": _redacted,
    "refusal": _refusal,
    "search_result": _search_result,
    "text": _text,
    "thinking": _thinking,
    "tool_use": _tool_use,
}
