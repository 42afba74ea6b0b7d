"""Tools as any of the formats declares them, and which of them may be called.

Chat Completions nests a tool under its type, Responses does not, Messages has
`input_schema`; Cursor mixes all of them in one array. What is none of these runs at the
upstream.
"""

from typing import Any

import msgspec

from addon.formats.neutral.request import Hosted, Tool, ToolChoice, WireFormat
from addon.formats.tolerant.parts import cache_of
from addon.formats.wire.lenient import flag, objects, record, text

__all__ = ("choice_of", "tools_of")

_MESSAGES = ("name", "description", "input_schema", "type", "strict", "cache_control")
"""Members of a Messages tool that have neutral names."""


def tools_of(found: Any, wire_format: WireFormat) -> tuple[tuple[Tool, ...], tuple[Hosted, ...]]:
    """The client's own tools, and those that the upstream runs."""
    tools: list[Tool] = []
    hosted: list[Hosted] = []
    for raw in objects(found):
        tool = _tool(raw)
        if tool is not None:
            tools.append(tool)
        else:
            hosted.append(Hosted(wire_format, text(raw.get("type")), raw, _is_spare(raw)))
    return tuple(tools), tuple(hosted)


def choice_of(found: Any) -> ToolChoice | None:
    """What a `tool_choice` allows; None when it says nothing that can be told to another format."""
    kind = found if isinstance(found, str) else text(record(found).get("type"))
    given = record(found)
    if kind in ("auto", "none", "required"):
        return ToolChoice("auto" if kind == "auto" else "none" if kind == "none" else "required")
    if kind == "any":
        return ToolChoice("required")
    if kind == "allowed_tools":
        allowed = record(given.get("allowed_tools")) or given
        names = tuple(_name(tool) for tool in objects(allowed.get("tools")))
        return ToolChoice("required" if allowed.get("mode") == "required" else "auto", names)
    if kind in ("function", "custom", "tool") and (name := _name(given)):
        return ToolChoice("required", (name,))
    return None


def _is_spare(raw: dict[str, Any]) -> bool:
    """A group of functions, or the client's own search
    (developers.openai.com/api/docs/guides/tools-tool-search).
    """
    return raw.get("type") == "namespace" or (raw.get("type"), raw.get("execution")) == (
        "tool_search",
        "client",
    )


def _name(given: dict[str, Any]) -> str:
    nested = record(given.get("function")) or record(given.get("custom")) or given
    return text(nested.get("name"))


def _tool(raw: dict[str, Any]) -> Tool | None:
    kind = raw.get("type")
    if "input_schema" in raw and kind in (None, "custom"):
        tool = _function(raw, raw.get("input_schema"))
        extra = {key: kept for key, kept in raw.items() if key not in _MESSAGES}
        return msgspec.structs.replace(tool, cache=cache_of(raw), extra=extra)
    if kind == "custom":
        nested = record(raw.get("custom"))
        return _custom(nested or raw, nested=bool(nested))
    if kind == "function" or (kind is None and "function" in raw):
        given = record(raw.get("function")) or raw
        return _function(given, given.get("parameters"))
    return None


def _function(given: dict[str, Any], schema: Any) -> Tool:
    return Tool(
        name=text(given.get("name")),
        description=text(given.get("description")),
        parameters=schema if isinstance(schema, dict) else None,
        strict=flag(given, "strict"),
    )


def _custom(given: dict[str, Any], *, nested: bool) -> Tool:
    """Chat nests the grammar once more than Responses does."""
    form = record(given.get("format"))
    grammar = (
        {"type": "grammar"} | (record(form.get("grammar")) or form)
        if form.get("type") == "grammar"
        else None
    )
    return Tool(
        name=text(given.get("name")),
        description=text(given.get("description")),
        custom=True,
        grammar=grammar,
        nested=nested,
    )
