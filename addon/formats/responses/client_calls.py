"""Calls of tools that have a kind of their own in Responses, or a group, as clients expect them.

Members of items: https://platform.openai.com/docs/api-reference/responses/object. Codex finds the
tool of a call by the kind of its item, and by name and namespace together
(github.com/openai/codex).
"""

from collections.abc import Iterable
from typing import Any

from addon.formats.neutral.names import ungrouped
from addon.formats.neutral.request import Tool
from addon.formats.wire.lenient import as_dict, as_str
from addon.formats.wire.splice import MalformedJson, value

__all__ = ("kind_of", "members_of", "named", "tools_by_name")

_KINDS = {
    "apply_patch": ("apply_patch_call", "apc"),
    "computer": ("computer_call", "cu"),
    "computer_use_preview": ("computer_call", "cu"),
    "local_shell": ("local_shell_call", "lsh"),
    "shell": ("shell_call", "sh"),
    "tool_search": ("tool_search_call", "tsc"),
}
"""By the kind of the tool: that of the item, and the prefix of its id."""


def tools_by_name(tools: Iterable[Tool]) -> dict[str, Tool]:
    """The tools by their names."""
    return {tool.name: tool for tool in tools}


def kind_of(tool: Tool | None) -> tuple[str, str]:
    """The kind of the item for a call of the tool, and the prefix of its id; empty for functions
    and custom tools.
    """
    if tool is None:
        return "", ""
    return _KINDS.get(as_str(tool.declared.get("type")), ("", ""))


def named(name: str, tool: Tool | None) -> dict[str, str]:
    """The members that name the tool of a call."""
    if tool is None or not tool.group:
        return {"name": name}
    return {"name": ungrouped(tool.group, name), "namespace": tool.group}


def members_of(tool: Tool, arguments: str) -> dict[str, Any]:
    """The members of an item that say what is to be done; as few as are allowed as long as the
    `arguments` are no whole object.
    """
    found = _object(arguments)
    match as_str(tool.declared.get("type")):
        case "local_shell":
            command = _commands(found.pop("command", None), ["bash", "-lc"])
            return {"action": {"type": "exec", "command": command, "env": {}} | found}
        case "shell":
            commands = _commands(found.pop("commands", None), [])
            return {"action": {"commands": commands} | found, "environment": {"type": "local"}}
        case "apply_patch":
            return {"operation": _operation(found)}
        case "computer":
            return {**found, "pending_safety_checks": []}
        case "computer_use_preview":
            return {**({"action": found} if found else {}), "pending_safety_checks": []}
    return {"execution": "client", "arguments": found}


def _object(arguments: str) -> dict[str, Any]:
    try:
        given = as_dict(value(arguments.encode(errors="replace")))
    except MalformedJson:
        return {}
    return {name: member for name, member in given.items() if member is not None}


def _commands(given: Any, line: list[str]) -> list[str]:
    """The command, or commands; a text in their place is a `line` for a shell."""
    if isinstance(given, list):
        return [as_str(one) for one in given]
    if isinstance(given, str):
        return [*line, given]
    return []


def _operation(found: dict[str, Any]) -> dict[str, Any]:
    kind = as_str(found.get("type")) or "update_file"
    operation = {"type": kind, "path": as_str(found.get("path"))}
    if kind != "delete_file":
        operation["diff"] = as_str(found.get("diff"))
    return operation
