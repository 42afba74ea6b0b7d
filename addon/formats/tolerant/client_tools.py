"""Tools of one format that the client runs, as functions that any model can call.

On the wire they have no schema; these are the parameters that they are documented with.
"""

import re
from typing import Any

from addon.formats.neutral.request import Tool
from addon.formats.tolerant.parts import cache_of
from addon.formats.wire.lenient import as_dict, as_str

__all__ = ("as_function", "runs_here")


def as_function(raw: dict[str, Any]) -> Tool | None:
    """The function that stands for a tool with a kind of its own; None where the client does not
    run it.
    """
    kind = as_str(raw.get("type"))
    if found := _OF_RESPONSES.get(kind):
        if kind == "shell" and not runs_here(raw):
            return None
        return Tool(name=found[0], description=found[1], parameters=found[2], declared=raw)
    if kind == "tool_search" and raw.get("execution") == "client":
        return _search(raw)
    if match := _DATED.fullmatch(kind):
        return _of_messages(match[1], raw)
    return None


def runs_here(raw: dict[str, Any]) -> bool:
    """Whether a shell is the client's own, not a container at the provider's
    (https://developers.openai.com/api/docs/guides/tools-shell).
    """
    return as_dict(raw.get("environment")).get("type") in (None, "local")


def _schema(*required: str, **properties: dict[str, Any]) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": list(required)}


def _text(description: str = "") -> dict[str, Any]:
    if not description:
        return {"type": "string"}
    return {"type": "string", "description": description}


def _one_of(*names: str) -> dict[str, Any]:
    return {"type": "string", "enum": list(names)}


_INTEGER: dict[str, Any] = {"type": "integer"}
_TEXTS: dict[str, Any] = {"type": "array", "items": {"type": "string"}}
_POINT: dict[str, Any] = {
    "type": "array",
    "items": {"type": "integer"},
    "minItems": 2,
    "maxItems": 2,
    "description": "x and y in pixels.",
}

_ACTION = _schema(
    "type",
    type=_one_of(
        "click",
        "double_click",
        "drag",
        "keypress",
        "move",
        "screenshot",
        "scroll",
        "type",
        "wait",
    ),
    x=_INTEGER,
    y=_INTEGER,
    button=_one_of("left", "right", "wheel", "back", "forward"),
    path={"type": "array", "items": _schema("x", "y", x=_INTEGER, y=_INTEGER)},
    keys=_TEXTS,
    scroll_x=_INTEGER,
    scroll_y=_INTEGER,
    text=_text(),
)
"""https://developers.openai.com/api/docs/guides/tools-computer-use"""

_OF_RESPONSES: dict[str, tuple[str, str, dict[str, Any]]] = {
    "local_shell": (
        "local_shell",
        "Runs a command on the user's computer.",
        _schema(
            "command",
            command=_TEXTS | {"description": "The program and its arguments."},
            working_directory=_text(),
            timeout_ms=_INTEGER,
            env={"type": "object", "additionalProperties": {"type": "string"}},
            user=_text(),
        ),
    ),
    "shell": (
        "shell",
        "Runs commands in a shell on the user's computer.",
        _schema(
            "commands",
            commands=_TEXTS | {"description": "Command lines, run in this order."},
            timeout_ms=_INTEGER,
            max_output_length=_INTEGER,
        ),
    ),
    "apply_patch": (
        "apply_patch",
        "Creates, updates or deletes a file.",
        _schema(
            "type",
            "path",
            type=_one_of("create_file", "update_file", "delete_file"),
            path=_text(),
            diff=_text(
                "For a new or changed file, in V4A: each line begins with ' ', '+' or '-'; "
                "'@@' and a line of the file begin a section."
            ),
        ),
    ),
    "computer_use_preview": ("computer", "Acts on a screen, which it then shows.", _ACTION),
    "computer": (
        "computer",
        "Acts on a screen, which it then shows.",
        _schema("actions", actions={"type": "array", "items": _ACTION}),
    ),
}
"""Kinds of Responses: the function's name, what it does, and its parameters
(https://platform.openai.com/docs/guides/tools-local-shell and its neighbours; the members of the
calls' items: https://platform.openai.com/docs/api-reference/responses/object).
"""


def _search(raw: dict[str, Any]) -> Tool:
    """The client's search for further tools
    (https://developers.openai.com/api/docs/guides/tools-tool-search).
    """
    parameters = as_dict(raw.get("parameters")) or _schema("query", query=_text(), limit=_INTEGER)
    description = as_str(raw.get("description")) or "Finds further tools, which can be called then."
    return Tool(name="tool_search", description=description, parameters=parameters, declared=raw)


_DATED = re.compile(r"(bash|computer|memory|text_editor)_(20\d{6})")
"""Kinds of Messages: https://platform.claude.com/docs/en/agents-and-tools/tool-use/overview."""


def _of_messages(family: str, raw: dict[str, Any]) -> Tool:
    description, schema = _FAMILIES[family]
    if display := raw.get("display_width_px"):
        description += f" The display has {display} x {raw.get('display_height_px')} pixels."
    if family == "text_editor" and as_str(raw.get("type")) < "text_editor_20250728":
        schema = _EARLIER_EDITOR
    return Tool(
        name=as_str(raw.get("name")) or family,
        description=description,
        parameters=schema,
        cache=cache_of(raw),
        declared=raw,
    )


def _editor(commands: tuple[str, ...], **more: dict[str, Any]) -> dict[str, Any]:
    return _schema(
        "command",
        "path",
        command=_one_of(*commands),
        path=_text(),
        view_range=_POINT | {"description": "First and last line to view; -1 for the end."},
        file_text=_text("The content of a new file."),
        old_str=_text("The text to replace, which must occur once."),
        new_str=_text("What replaces it."),
        insert_line=_INTEGER | {"description": "The line after which to insert; 0 for the top."},
        **more,
    )


_EDITS = ("view", "create", "str_replace", "insert")
_EARLIER_EDITOR = _editor((*_EDITS, "undo_edit"))
"""Until text_editor_20250429, which inserts `new_str`."""

_FAMILIES: dict[str, tuple[str, dict[str, Any]]] = {
    "bash": (
        "Runs a command in a bash session that persists.",
        _schema(
            command=_text("Required unless the session is restarted."),
            restart={"type": "boolean", "description": "Starts a new session."},
        ),
    ),
    "text_editor": (
        "Views, creates and edits text files.",
        _editor(_EDITS, insert_text=_text("The text to insert.")),
    ),
    "memory": (
        "Keeps notes in files under /memories, which outlast the conversation: view them first.",
        _editor(
            (*_EDITS, "delete", "rename"),
            insert_text=_text("The text to insert."),
            old_path=_text("For rename."),
            new_path=_text("For rename."),
        )
        | {"required": ["command"]},
    ),
    "computer": (
        "Acts on a desktop with a mouse and a keyboard, and takes screenshots of it.",
        _schema(
            "action",
            action=_one_of(
                *("key", "hold_key", "type", "cursor_position", "mouse_move", "left_mouse_down"),
                *("left_mouse_up", "left_click", "left_click_drag", "right_click", "middle_click"),
                *("double_click", "triple_click", "scroll", "wait", "screenshot", "zoom"),
            ),
            text=_text("What to type, or keys as xdotool names them, like 'ctrl+s'."),
            coordinate=_POINT,
            start_coordinate=_POINT,
            region={"type": "array", "items": {"type": "integer"}, "description": "For zoom."},
            scroll_direction=_one_of("up", "down", "left", "right"),
            scroll_amount=_INTEGER,
            duration={"type": "number", "description": "Seconds."},
        ),
    ),
}
"""What a tool of Messages does, and its documented parameters
(https://platform.claude.com/docs/en/agents-and-tools/tool-use/bash-tool, …/text-editor-tool,
…/memory-tool and …/computer-use-tool).
"""
