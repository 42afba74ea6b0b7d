"""Tool declarations of any format, and which of the tools may be called.

Chat Completions nests a tool under its type, Responses does not, Messages has `input_schema`;
Cursor mixes all of them in one array. A tool of any other kind runs at the upstream.
"""

import re
from collections.abc import Iterable, Iterator
from typing import Any

from msgspec.structs import replace

from addon.formats.neutral.names import grouped
from addon.formats.neutral.request import Hosted, Tool, ToolChoice, WireFormat
from addon.formats.tolerant.client_tools import as_function
from addon.formats.tolerant.parts import cache_of
from addon.formats.wire.lenient import as_dict, as_str, bool_member, dicts_in
from addon.formats.wire.pace import breathe

__all__ = ("choice_of", "tools_of", "tools_within")

_MESSAGES = ("name", "description", "input_schema", "type", "strict", "cache_control")
"""Members of a Messages tool that have neutral names."""

_DECLARING = ("additional_tools", "tool_search_output")
"""Kinds of items that declare tools."""

_DATED = re.compile(r".*_20\d{6}$")
"""Kinds of Messages end in a date (https://platform.claude.com/docs/en/agents-and-tools/tool-use/overview)."""

_OF_RESPONSES = frozenset(
    ("file_search", "image_generation", "tool_search", "web_search", "web_search_preview")
)
"""Hosted kinds of Responses (https://platform.openai.com/docs/api-reference/responses/create) but
those that chat upstreams have, too, like `code_interpreter`
(https://console.groq.com/docs/tool-use/built-in-tools).
"""


def tools_of(declared: Any, wire_format: WireFormat) -> tuple[tuple[Tool, ...], tuple[Hosted, ...]]:
    """The client's own tools, and the tools that the upstream runs."""
    tools: list[Tool] = []
    hosted: list[Hosted] = []
    for raw in dicts_in(declared):
        tool = _tool(raw) or as_function(raw)
        if raw.get("type") == "namespace":
            tools += _members(raw)
        elif tool is not None:
            tools.append(tool)
        else:
            hosted.append(_hosted(raw, wire_format))
    return tuple(tools), tuple(hosted)


def tools_within(items: Iterable[Any]) -> tuple[tuple[Tool, ...], tuple[Hosted, ...]]:
    """The same of the tools that items of a Responses conversation declare: those that a client
    adds, and those that its search has found. Each tool once.
    """
    tools: dict[str, Tool] = {}
    hosted: list[Hosted] = []
    for item in items:
        if as_dict(item).get("type") in _DECLARING and item.get("execution") != "server":
            found, run_there = tools_of(item.get("tools"), "responses")
            tools |= {tool.name: tool for tool in found}
            hosted += run_there
    return tuple(tools.values()), tuple(hosted)


def _members(group: dict[str, Any]) -> Iterator[Tool]:
    """The tools of a `namespace`; the first of them tells what the group is for
    (https://developers.openai.com/api/docs/guides/function-calling#defining-namespaces).
    """
    name, about = as_str(group.get("name")), as_str(group.get("description"))
    for raw in dicts_in(group.get("tools")):
        tool = _tool(raw)
        if tool is None:
            continue
        if about:
            about, tool = "", replace(tool, description=f"{tool.description}\n\n{name}: {about}")
        yield replace(tool, name=grouped(name, tool.name), group=name, declared=group)


def _hosted(raw: dict[str, Any], wire_format: WireFormat) -> Hosted:
    """Clients of Chat Completions declare the tools of the other formats, too; chat upstreams with
    tools of their own nest what belongs to them.
    """
    kind = as_str(raw.get("type"))
    if wire_format == "chat" and _DATED.match(kind):
        return Hosted("messages", kind, raw)
    if wire_format == "chat" and kind in _OF_RESPONSES and kind not in raw:
        return Hosted("responses", kind, raw)
    return Hosted(wire_format, kind, raw)


def choice_of(tool_choice: Any) -> ToolChoice | None:
    """The neutral form of a `tool_choice`, a hosted tool named by its kind; None for what is no
    choice.
    """
    choice = as_dict(tool_choice)
    match as_str(tool_choice) or as_str(choice.get("type")):
        case "auto" | "none" | "required" as mode:
            return ToolChoice(mode)
        case "any":
            return ToolChoice("required")
        case "allowed_tools":
            return _allowed_tools(as_dict(choice.get("allowed_tools")) or choice)
        case _ if name := _name(choice):
            return ToolChoice("required", (name,))
    return None


def _allowed_tools(allowed: dict[str, Any]) -> ToolChoice:
    names = tuple(_name(tool) for tool in dicts_in(allowed.get("tools")))
    if allowed.get("mode") == "required":
        return ToolChoice("required", names)
    return ToolChoice("auto", names)


def _name(tool: dict[str, Any]) -> str:
    """The name of a chosen tool; hosted ones of Responses have no other than their kind."""
    kind = as_str(tool.get("type"))
    if kind not in ("", "custom", "function", "tool"):
        return kind
    nested = as_dict(tool.get("function")) or as_dict(tool.get("custom")) or tool
    return grouped(as_str(nested.get("namespace")), as_str(nested.get("name")))


def _tool(raw: dict[str, Any]) -> Tool | None:
    breathe()
    kind = raw.get("type")
    if "input_schema" in raw and kind in (None, "custom"):
        tool = _function(raw, raw.get("input_schema"))
        extra = {key: member for key, member in raw.items() if key not in _MESSAGES}
        return replace(tool, cache=cache_of(raw), extra=extra)
    if kind == "custom":
        nested = as_dict(raw.get("custom"))
        return _custom(nested or raw, nested=bool(nested))
    if kind == "function" or (kind is None and "function" in raw):
        function = as_dict(raw.get("function")) or raw
        return _function(function, function.get("parameters"))
    return None


def _function(function: dict[str, Any], schema: Any) -> Tool:
    if not isinstance(schema, dict):
        schema = None
    return Tool(
        name=as_str(function.get("name")),
        description=as_str(function.get("description")),
        parameters=schema,
        strict=bool_member(function, "strict"),
    )


def _custom(tool: dict[str, Any], *, nested: bool) -> Tool:
    """A custom tool; Chat nests the grammar once more than Responses does."""
    grammar = None
    form = as_dict(tool.get("format"))
    if form.get("type") == "grammar":
        grammar = {"type": "grammar"} | (as_dict(form.get("grammar")) or form)
    return Tool(
        name=as_str(tool.get("name")),
        description=as_str(tool.get("description")),
        custom=True,
        grammar=grammar,
        nested=nested,
    )
