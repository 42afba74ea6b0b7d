"""Content parts of any format: their types differ, so that one reader serves all.

Chat Completions: `text image_url file refusal thinking` · Responses: `input_text
output_text input_image input_file refusal` · Messages: `text image document thinking
redacted_thinking tool_use tool_result`.
"""

import re
from collections.abc import Callable
from typing import Any

from msgspec.structs import replace

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
from addon.formats.wire.lenient import as_dict, as_str, dicts_in
from addon.formats.wire.pace import breathe
from addon.formats.wire.splice import scalar_text

__all__ = ("arguments_of", "cache_of", "filled", "parts_of")

_OF_MESSAGES = re.compile(r"(mcp|server)_tool_use|\w+_tool_result|tool_reference|compaction")
"""Blocks that only Messages has, and only for what Anthropic runs
(https://platform.claude.com/docs/en/agents-and-tools/tool-use/server-tools).
"""


def parts_of(content: Any, foreign: str = "") -> list[Part]:
    """The parts of a content: a string, an array or null.

    `foreign`: the format whose own kinds of parts stay as they are; without it all but those of
    Anthropic's tools raise RequestError.
    """
    if isinstance(content, str):
        return _bare_text(content)
    if isinstance(content, dict):
        content = [content]
    if not isinstance(content, list):
        return []
    refuse_parts(len(content))
    return [part for raw in content for part in _part(raw, foreign)]


def arguments_of(arguments: Any) -> str:
    """A call's arguments as the string the model wrote; Messages has an object in their place."""
    breathe()
    if arguments is None:
        return ""
    if isinstance(arguments, str):
        return arguments
    return scalar_text(arguments).decode()


def filled[P: Part](part: P) -> P:
    """The part; a call of a function without arguments has an empty object of them, as clients
    read JSON.
    """
    if not isinstance(part, ToolCall) or part.custom or part.arguments:
        return part
    return replace(part, arguments="{}")


def cache_of(raw: dict[str, Any]) -> str:
    """How long Anthropic's prompt cache is asked to keep what ends at this part."""
    control = as_dict(raw.get("cache_control"))
    if control.get("type") != "ephemeral":
        return ""
    # The default: https://platform.claude.com/docs/en/build-with-claude/prompt-caching.
    return as_str(control.get("ttl")) or "5m"


def _bare_text(words: str) -> list[Part]:
    if not words:
        return []
    return [Text(words)]


def _part(raw: Any, foreign: str) -> list[Part]:
    breathe()
    if isinstance(raw, str):
        return _bare_text(raw)
    block = as_dict(raw)
    kind = as_str(block.get("type"))
    if reader := _READERS.get(kind):
        return reader(block)
    if _OF_MESSAGES.fullmatch(kind):
        return [Foreign("messages", block)]
    if kind and foreign:
        return [Foreign(foreign, block)]
    if not kind or isinstance(block.get("text"), str):
        return _text(block)
    raise refused(
        "unsupported_content",
        f"A content part of type '{kind[:40]}' can't be passed on here: leave it out.",
    )


def _text(raw: dict[str, Any]) -> list[Part]:
    words = as_str(raw.get("text"))
    if not words:
        return []
    return [Text(words, cache_of(raw))]


def _refusal(raw: dict[str, Any]) -> list[Part]:
    return [Refusal(as_str(raw.get("refusal")))]


def _image_url(raw: dict[str, Any]) -> list[Part]:
    """Chat has an object under `image_url`, Responses (`input_image`) a string and perhaps
    a `file_id`.
    """
    image = raw.get("image_url")
    if not isinstance(image, dict):
        image = {"url": image, "detail": raw.get("detail")}
    detail = as_str(image.get("detail"))
    if detail == "auto":  # the default of both formats
        detail = ""
    url, file_id = as_str(image.get("url")), as_str(raw.get("file_id"))
    return [Image(url, file_id, detail, cache=cache_of(raw))]


def _file(raw: dict[str, Any]) -> list[Part]:
    """Chat nests the members under `file`, Responses (`input_file`) does not."""
    file = as_dict(raw.get("file")) or raw
    url = as_str(file.get("file_data")) or as_str(file.get("file_url"))
    return [
        File(url, as_str(file.get("file_id")), as_str(file.get("filename")), cache=cache_of(raw))
    ]


def _source(raw: dict[str, Any]) -> tuple[str, str]:
    """URL and file id of a Messages `source`."""
    source = as_dict(raw.get("source"))
    if source.get("type") == "base64":
        return f"data:{as_str(source.get('media_type'))};base64,{as_str(source.get('data'))}", ""
    return as_str(source.get("url")), as_str(source.get("file_id"))


def _image(raw: dict[str, Any]) -> list[Part]:
    return [Image(*_source(raw), cache=cache_of(raw))]


def _document(raw: dict[str, Any]) -> list[Part]:
    """A Messages document: a file, or one whose text and pictures stand in the block."""
    source = as_dict(raw.get("source"))
    match source.get("type"):
        case "text":
            content = source.get("data")
        case "content":
            content = source.get("content")
        case _:
            return [File(*_source(raw), name=as_str(raw.get("title")), cache=cache_of(raw))]
    readable = [part for part in parts_of(content) if isinstance(part, Text | Image)]
    return marked(readable, cache_of(raw))


def _thinking(raw: dict[str, Any]) -> list[Part]:
    """Mistral has chunks under `thinking`, Messages a string and a signature."""
    thought = thought_of(raw) or ""
    signature = as_str(raw.get("signature"))
    if not signature:
        return [Reasoning(thought, "thinking")]
    return [Reasoning(thought, "thinking", signature, "signature")]


def _redacted(raw: dict[str, Any]) -> list[Part]:
    return [Reasoning("", "thinking", as_str(raw.get("data")), "redacted_thinking")]


def _tool_use(raw: dict[str, Any]) -> list[Part]:
    arguments = arguments_of(raw.get("input"))
    return [
        ToolCall(as_str(raw.get("id")), as_str(raw.get("name")), arguments, cache=cache_of(raw))
    ]


def _search_result(raw: dict[str, Any]) -> list[Part]:
    """A Messages `search_result` block as text: its title, source and content."""
    content = "\n".join(map(text_of_part, dicts_in(raw.get("content"))))
    lines = (as_str(raw.get("title")), as_str(raw.get("source")), content)
    return [Text("\n".join(filter(None, lines)), cache_of(raw))]


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
