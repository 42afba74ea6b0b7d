"""Tools are declared in four ways, often in one array."""

from typing import Any

import pytest

from addon.formats.neutral.request import Hosted, Tool, ToolChoice, WireFormat
from addon.formats.tolerant.tools import choice_of, tools_of

SCHEMA = {"type": "object", "properties": {}}
GRAMMAR = {"syntax": "lark", "definition": "start: /a/"}
FUNCTION = Tool(name="f", description="d", parameters=SCHEMA)


@pytest.mark.parametrize(
    ("raw", "tool"),
    [
        pytest.param(
            {
                "type": "function",
                "function": {"name": "f", "description": "d", "parameters": SCHEMA},
            },
            FUNCTION,
            id="nested",
        ),
        pytest.param(
            {"type": "function", "name": "f", "description": "d", "parameters": SCHEMA},
            FUNCTION,
            id="flat",
        ),
        pytest.param(
            {"function": {"name": "f", "description": "d", "parameters": SCHEMA}},
            FUNCTION,
            id="typeless",
        ),
        pytest.param(
            {"name": "f", "description": "d", "input_schema": SCHEMA}, FUNCTION, id="Messages"
        ),
        pytest.param(
            {"type": "custom", "name": "f", "description": "d", "input_schema": SCHEMA},
            FUNCTION,
            id="Messages, custom",
        ),
        pytest.param(
            {"name": "f", "input_schema": SCHEMA, "cache_control": {"type": "ephemeral"}},
            Tool(name="f", parameters=SCHEMA, cache="5m"),
            id="cached",
        ),
        pytest.param(
            {"name": "f", "input_schema": SCHEMA, "defer_loading": True, "strict": True},
            Tool(name="f", parameters=SCHEMA, strict=True, extra={"defer_loading": True}),
            id="Messages, with more",
        ),
        pytest.param(
            {"type": "function", "name": "f", "parameters": None, "strict": True},
            Tool(name="f", strict=True),
            id="strict",
        ),
        pytest.param(
            {"type": "custom", "name": "f", "format": {"type": "grammar", **GRAMMAR}},
            Tool(name="f", custom=True, grammar={"type": "grammar", **GRAMMAR}, nested=False),
            id="flat custom",
        ),
        pytest.param(
            {
                "type": "custom",
                "custom": {"name": "f", "format": {"type": "grammar", "grammar": GRAMMAR}},
            },
            Tool(name="f", custom=True, grammar={"type": "grammar", **GRAMMAR}),
            id="nested custom",
        ),
        pytest.param(
            {"type": "custom", "name": "f", "format": {"type": "text"}},
            Tool(name="f", custom=True, nested=False),
            id="text",
        ),
    ],
)
def test_a_tool_is_read_however_it_is_declared(raw: dict[str, Any], tool: Tool) -> None:
    assert tools_of([raw, 7], "chat") == ((tool,), ())


def test_a_tool_that_the_upstream_runs_is_kept_as_it_is() -> None:
    raw = {"type": "web_search", "filters": {}}
    assert tools_of([raw], "responses") == ((), (Hosted("responses", "web_search", raw),))


@pytest.mark.parametrize(
    ("raw", "meant"),
    [
        ({"type": "web_search_20250305", "name": "web_search"}, "messages"),
        ({"type": "web_search_preview"}, "responses"),
        ({"type": "image_generation"}, "responses"),
        ({"type": "code_interpreter"}, "chat"),
        ({"type": "web_search", "web_search": {"enable": True}}, "chat"),
        ({"type": "openrouter:web_search"}, "chat"),
    ],
    ids=str,
)
def test_chat_clients_declare_hosted_tools_of_every_format(
    raw: dict[str, Any], meant: WireFormat
) -> None:
    assert tools_of([raw], "chat") == ((), (Hosted(meant, raw["type"], raw),))


@pytest.mark.parametrize(
    ("found", "choice"),
    [
        (None, None),
        ("auto", ToolChoice("auto")),
        ("none", ToolChoice("none")),
        ("required", ToolChoice("required")),
        ({"type": "auto"}, ToolChoice("auto")),
        ({"type": "any"}, ToolChoice("required")),
        ({"type": "function", "function": {"name": "f"}}, ToolChoice("required", ("f",))),
        ({"type": "function", "name": "f"}, ToolChoice("required", ("f",))),
        ({"type": "custom", "custom": {"name": "f"}}, ToolChoice("required", ("f",))),
        ({"type": "tool", "name": "f"}, ToolChoice("required", ("f",))),
        (
            {"type": "allowed_tools", "mode": "auto", "tools": [{"type": "function", "name": "f"}]},
            ToolChoice("auto", ("f",)),
        ),
        (
            {
                "type": "allowed_tools",
                "allowed_tools": {"mode": "required", "tools": [{"function": {"name": "f"}}]},
            },
            ToolChoice("required", ("f",)),
        ),
        ({"type": "web_search"}, ToolChoice("required", ("web_search",))),
        ({"type": "mcp", "server_label": "a", "name": "f"}, ToolChoice("required", ("mcp",))),
        ("any thing", None),
        (7, None),
    ],
    ids=str,
)
def test_a_choice_is_read_in_the_words_of_any_format(found: Any, choice: ToolChoice | None) -> None:
    assert choice_of(found) == choice
