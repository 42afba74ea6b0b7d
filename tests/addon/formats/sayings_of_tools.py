"""What clients of each format say with tools that are no plain functions."""

from typing import Any

from addon.formats.neutral.request import Request
from tests.addon.formats.hearing import (
    Json,
    Saying,
    field,
    first_declared,
    hosted,
    parts,
)

__all__ = ("CHAT_TOOLS", "MESSAGES_TOOLS", "RESPONSES_TOOLS")

SCHEMA = {"type": "object", "properties": {"a": {"type": "string"}}}
USER: Json = {"role": "user", "content": "hi"}
BASH: Json = {"type": "bash_20250124", "name": "bash"}
SEARCH: Json = {"type": "web_search_20250305", "name": "web_search"}

CHAT_FUNCTION: Json = {"type": "function", "function": {"name": "Read", "parameters": SCHEMA}}

CHAT_TOOLS = {
    "Tools of Responses that the client runs (`local_shell`, …)": Saying(
        {"tools": [{"type": "local_shell"}]}, first_declared
    ),
    "Tools of Messages that the client runs (`bash_20250124`, …)": Saying(
        {"tools": [BASH]}, first_declared
    ),
    "Hosted tools of Responses (`web_search_preview`, …)": Saying(
        {"tools": [CHAT_FUNCTION, {"type": "web_search_preview"}]}, field("hosted")
    ),
    "Server tools of Messages (`web_search_20250305`, …)": Saying(
        {"tools": [CHAT_FUNCTION, SEARCH]}, field("hosted")
    ),
}


def items(*held: Json) -> Json:
    return {"input": [USER, *held, USER]}


FUNCTION: Json = {"type": "function", "name": "Read", "parameters": SCHEMA, "strict": False}
GROUP: Json = {"type": "namespace", "name": "files", "tools": [FUNCTION]}
CALL: Json = {"type": "function_call", "call_id": "call_1", "name": "Read", "arguments": "{}"}
RESULT: Json = {"type": "function_call_output", "call_id": "call_1", "output": "r"}
SHELL_CALL: Json = {
    "type": "local_shell_call",
    "call_id": "call_1",
    "action": {"type": "exec", "command": ["ls"], "env": {}},
}
SHELL_RESULT: Json = {"type": "local_shell_call_output", "call_id": "call_1", "output": "r"}


def grouped(request: Request, body: Json) -> Any:
    """The names of the first turn's calls, and how the first tool is declared."""
    return [call.name for call in request.messages[1].calls], first_declared(request, body)


RESPONSES_TOOLS = {
    "Items of hosted tools (`web_search_call`, …)": Saying(
        items(
            {
                "type": "web_search_call",
                "id": "ws_1",
                "status": "completed",
                "action": {"type": "search", "query": "weather"},
            }
        ),
        hosted("weather"),
    ),
    "`compaction` items of another provider": Saying(
        items({"type": "compaction", "id": "cmp_1", "encrypted_content": "b3BhcXVl"}),
        parts("Foreign", "item"),
    ),
    "Other tools that the client runs (`local_shell`, `shell`, `apply_patch`, …)": Saying(
        {"tools": [{"type": "local_shell"}]}, first_declared
    ),
    "Their calls and results (`local_shell_call`, …)": Saying(
        items(SHELL_CALL, SHELL_RESULT), parts("ToolCall", "name", "arguments")
    ),
    "`namespace` groups, and the `namespace` of calls": Saying(
        {"tools": [GROUP], "input": [USER, CALL | {"namespace": "files"}, RESULT]}, grouped
    ),
    "`additional_tools` and `tool_search_output`": Saying(
        {
            "tools": [],
            "input": [{"type": "additional_tools", "role": "developer", "tools": [GROUP]}, USER],
        },
        first_declared,
    ),
    "Hosted tools (`web_search`, `file_search`, …)": Saying(
        {"tools": [FUNCTION, {"type": "web_search"}]}, field("hosted")
    ),
    "Hosted tools alone, or asked for by `tool_choice`": Saying(
        {"tools": [{"type": "web_search"}]}, field("hosted")
    ),
}


def turn(*content: Json) -> Json:
    return {"messages": [USER, {"role": "assistant", "content": list(content)}, USER]}


def result(*content: Json) -> Json:
    use = {"type": "tool_use", "id": "toolu_1", "name": "Read", "input": {}}
    answer = {"type": "tool_result", "tool_use_id": "toolu_1", "content": list(content)}
    turns = [{"role": "assistant", "content": [use]}, {"role": "user", "content": [answer]}]
    return {"messages": [USER, *turns]}


READ: Json = {"name": "Read", "input_schema": SCHEMA}

MESSAGES_TOOLS = {
    "Blocks of server tools (`server_tool_use`, …)": Saying(
        turn(
            {
                "type": "server_tool_use",
                "id": "srvtoolu_1",
                "name": "web_search",
                "input": {"query": "weather"},
            }
        ),
        hosted("weather"),
    ),
    "`tool_reference` blocks": Saying(
        result({"type": "tool_reference", "tool_name": "Grep2"}), hosted("Grep2")
    ),
    "`compaction` blocks": Saying(
        turn({"type": "compaction", "content": "They greeted."}), hosted("They greeted.")
    ),
    "Tools that the client runs (`bash_20250124`, `text_editor_20250728`, …)": Saying(
        {"tools": [BASH]}, first_declared
    ),
    "Server tools (`web_search_20250305`, …)": Saying({"tools": [READ, SEARCH]}, field("hosted")),
    "Server tools alone, or asked for by `tool_choice`": Saying(
        {"tools": [SEARCH]}, field("hosted")
    ),
    "`mcp_servers`": Saying(
        {"mcp_servers": [{"type": "url", "name": "a", "url": "https://example.org"}]},
        field("hosted"),
    ),
}
