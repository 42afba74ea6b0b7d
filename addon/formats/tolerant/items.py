"""The items of a Responses conversation as neutral parts.

Items of calls that the client runs: https://platform.openai.com/docs/api-reference/responses/object.
"""

from collections.abc import Iterator
from typing import Any

from addon.formats.neutral.names import grouped
from addon.formats.neutral.turn import (
    SUMMARY,
    Foreign,
    Image,
    Part,
    Reasoning,
    Refusal,
    Text,
    ToolCall,
)
from addon.formats.tolerant.client_tools import runs_here
from addon.formats.tolerant.parts import arguments_of, parts_of
from addon.formats.wire.lenient import as_dict, as_str, dicts_in
from addon.formats.wire.pace import breathe
from addon.formats.wire.splice import scalar_text

__all__ = ("call_id_of", "call_of", "is_result", "item_parts", "result_parts")

_RESULTS = frozenset(
    (
        "apply_patch_call_output",
        "computer_call_output",
        "custom_tool_call_output",
        "function_call_output",
        "local_shell_call_output",
        "shell_call_output",
        "tool_search_output",
    )
)
"""Kinds of items with the result of a call that the client has run."""


def item_parts(item: dict[str, Any]) -> list[Part]:
    """The parts of an item of an assistant's turn; an unknown item is one part, as it is."""
    breathe()
    match item.get("type"):
        case "message":
            return _message_parts(dicts_in(item.get("content")))
        case "reasoning":
            return [_reasoning(item)]
    return [call_of(item) or Foreign("responses", item)]


def call_of(item: dict[str, Any]) -> ToolCall | None:
    """The call that an item asks the client to run; None for any other item."""
    match item.get("type"):
        case "function_call":
            return ToolCall(call_id_of(item), _name(item), arguments_of(item.get("arguments")))
        case "custom_tool_call":
            return ToolCall(call_id_of(item), _name(item), as_str(item.get("input")), custom=True)
    if not as_str(item.get("call_id")):
        return None  # the provider has run it itself
    return _call_of_a_kind(item)


def _call_of_a_kind(item: dict[str, Any]) -> ToolCall | None:
    """The call of a tool that has a kind of its own."""
    match item.get("type"):
        case "tool_search_call" if item.get("execution") != "server":
            return ToolCall(call_id_of(item), "tool_search", arguments_of(item.get("arguments")))
        case "local_shell_call":
            action = _given(item.get("action"))
            action.pop("type", None)
            return _call(item, "local_shell", action)
        case "shell_call" if runs_here(item):
            return _call(item, "shell", _given(item.get("action")))
        case "apply_patch_call":
            return _call(item, "apply_patch", _given(item.get("operation")))
        case "computer_call":
            actions = {"actions": item.get("actions")}
            return _call(item, "computer", _given(item.get("action")) or _given(actions))
    return None


def call_id_of(item: dict[str, Any]) -> str:
    """The id of the call that an item is, or answers."""
    return as_str(item.get("call_id")) or as_str(item.get("id"))


def is_result(item: dict[str, Any]) -> bool:
    """Whether an item holds the result of a call that the client has run."""
    return as_str(item.get("type")) in _RESULTS and item.get("execution") != "server"


def result_parts(item: dict[str, Any], foreign: str) -> list[Part]:
    """What a result says; `foreign` as for `parts_of`."""
    output = item.get("output")
    match item.get("type"):
        case "shell_call_output":
            return [Text("\n".join(map(_shell_output, dicts_in(output))))]
        case "apply_patch_call_output" if not output:
            return [Text(as_str(item.get("status")))]
        case "computer_call_output":
            shot = as_dict(output)
            return [Image(as_str(shot.get("image_url")), as_str(shot.get("file_id")))]
        case "tool_search_output":
            names = ", ".join(_names(item.get("tools"))) or "none"
            return [Text(f"Found tools: {names}")]
    return parts_of(output, foreign)


def _name(item: dict[str, Any]) -> str:
    return grouped(as_str(item.get("namespace")), as_str(item.get("name")))


def _call(item: dict[str, Any], name: str, arguments: dict[str, Any]) -> ToolCall:
    return ToolCall(call_id_of(item), name, scalar_text(arguments).decode() if arguments else "")


def _given(members: Any) -> dict[str, Any]:
    """The members that say something: the API demands an `env`, if only an empty one."""
    return {name: member for name, member in as_dict(members).items() if member not in (None, {})}


def _shell_output(command: dict[str, Any]) -> str:
    """What one command wrote, and how it ended
    (https://developers.openai.com/api/docs/guides/tools-shell).
    """
    outcome = as_dict(command.get("outcome"))
    end = f"[exit code {outcome.get('exit_code')}]"
    if outcome.get("type") == "timeout":
        end = "[timed out]"
    return "\n".join(filter(None, (as_str(command.get("stdout")), _stderr(command), end)))


def _stderr(command: dict[str, Any]) -> str:
    if stderr := as_str(command.get("stderr")):
        return f"[stderr]\n{stderr}"
    return ""


def _names(tools: Any, group: str = "") -> Iterator[str]:
    for tool in dicts_in(tools):
        name = grouped(group, as_str(tool.get("name")) or as_str(tool.get("type")))
        if tool.get("type") == "namespace":
            yield from _names(tool.get("tools"), name)
        else:
            yield name


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
