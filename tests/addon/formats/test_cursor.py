"""Whatever Cursor sends to the chat path is read as one request, and told from plain Chat
Completions.
"""

import json
from typing import Any

import pytest

from addon.formats.chat.request import encode
from addon.formats.cursor import decode, is_plain
from addon.formats.neutral.adapt import Abilities, lowered
from addon.formats.neutral.request import Request
from addon.formats.neutral.turn import Text, message_of
from addon.formats.wire.splice import members

type Json = dict[str, Any]

PNG = "data:image/png;base64,AA=="
USER: Json = {"role": "user", "content": "hi"}
SHELL: Json = {"type": "function", "function": {"name": "Shell", "parameters": {"type": "object"}}}
PATCH_TOOL: Json = {
    "type": "custom",
    "name": "ApplyPatch",
    "description": "Edits.",
    "format": {"type": "grammar", "syntax": "lark", "definition": "start: /a/"},
}
PATCH = "*** Begin Patch\n*** End Patch"


def decoded(**members: Any) -> Request:
    return decode(json.dumps({"model": "m", **members}).encode())


# -- Cursor's dialects, by the name of the model ---------------------------------------------------

CUSTOM_ALIAS: Json = {
    "model": "my-alias",
    "messages": [
        {"role": "system", "content": "s"},
        {"role": "user", "content": "env"},
        {"role": "user", "content": [{"type": "text", "text": "<user_query>hi</user_query>"}]},
        {
            "role": "assistant",
            "content": [],
            "tool_calls": [
                {
                    "index": 0,
                    "id": "c",
                    "type": "function",
                    "function": {"name": "Shell", "arguments": "{}"},
                }
            ],
        },
        {
            "role": "tool",
            "tool_call_id": "c",
            "name": "Shell",
            "content": [{"type": "text", "text": "ok"}],
        },
    ],
    "stream": True,
    "tools": [SHELL],
    "user": "u",
    "stream_options": {"include_usage": True},
}
GPT_NAME_SPRING: Json = {
    "model": "gpt-5.5",
    "stream": True,
    "store": False,
    "input": [
        {"role": "system", "content": "s"},
        {"role": "user", "content": [{"type": "input_text", "text": "hi"}]},
        {"type": "function_call", "call_id": "c", "name": "Shell", "arguments": "{}"},
        {"type": "function_call_output", "call_id": "c", "output": "ok"},
    ],
    "include": ["reasoning.encrypted_content"],
    "reasoning": {"effort": "medium", "summary": "auto"},
    "text": {"verbosity": "low"},
    "prompt_cache_retention": "24h",
    "stream_options": {"include_usage": True},
    "metadata": {"cursorConversationId": "uuid"},
    "tools": [{"type": "function", "name": "Shell", "parameters": {}, "strict": False}, PATCH_TOOL],
    "user": "u",
}
GPT_NAME_SUMMER: Json = CUSTOM_ALIAS | {
    "model": "gpt-5.6-luna",
    "tools": [SHELL, PATCH_TOOL],
    "messages": [
        *CUSTOM_ALIAS["messages"][:3],
        {
            "role": "assistant",
            "content": "",
            "tool_calls": [
                {
                    "id": "p",
                    "type": "function",
                    "function": {"name": "ApplyPatch", "arguments": PATCH},
                }
            ],
        },
        {"role": "tool", "tool_call_id": "p", "content": "done"},
    ],
}
CLAUDE_NAME: Json = {
    "model": "claude-x",
    "system": [{"type": "text", "text": "s", "cache_control": {"type": "ephemeral"}}],
    "messages": [
        {"role": "user", "content": [{"type": "text", "text": "hi"}]},
        {
            "role": "assistant",
            "content": [{"type": "tool_use", "id": "c", "name": "Shell", "input": {}}],
        },
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "c", "content": "ok"}]},
    ],
    "tools": [{"name": "Shell", "description": "d", "input_schema": {"type": "object"}}],
    "thinking": {"type": "enabled", "budget_tokens": 1024},
    "max_tokens": 9,
    "stream": True,
}


@pytest.mark.parametrize(
    ("body", "plain"),
    [
        (CUSTOM_ALIAS, True),
        (GPT_NAME_SPRING, False),
        (GPT_NAME_SUMMER, False),
        (CLAUDE_NAME, False),
    ],
    ids=["custom alias", "GPT name, spring", "GPT name, summer", "Claude name"],
)
def test_each_dialect_of_cursor_reaches_a_chat_upstream_as_plain_chat(
    body: Json, plain: bool
) -> None:
    text = json.dumps(body).encode()
    request = decode(text)
    sent = json.loads(encode(lowered(request, Abilities()).request, model="up"))
    assert is_plain(members(text)) is plain
    assert is_plain(members(json.dumps(sent).encode()))
    assert (sent["model"], sent["stream"], sent["stream_options"]) == (
        "up",
        True,
        {"include_usage": True},
    )
    assert [one["role"] for one in sent["messages"] if one["role"] in ("assistant", "tool")] == [
        "assistant",
        "tool",
    ]
    assert sent["messages"][-1]["tool_call_id"] == sent["messages"][-2]["tool_calls"][0]["id"]
    assert {tool["type"] for tool in sent["tools"]} == {"function"}
    assert all(tool["function"]["parameters"]["type"] == "object" for tool in sent["tools"])


def test_a_replayed_patch_is_json_for_a_chat_upstream() -> None:
    sent = encode(
        lowered(decode(json.dumps(GPT_NAME_SUMMER).encode()), Abilities()).request, model="up"
    )
    (call,) = json.loads(sent)["messages"][3]["tool_calls"]
    assert json.loads(call["function"]["arguments"]) == {"input": PATCH}


def test_a_responses_body_on_the_chat_path_shows_usage_only_when_it_is_asked_for() -> None:
    assert decode(json.dumps(GPT_NAME_SPRING).encode()).usage_asked
    assert not decoded(input="hi").usage_asked
    assert (decoded(input="hi").origin, decoded(messages=[]).origin) == ("responses", "chat")


def test_results_that_stand_under_messages_only_are_taken_from_there() -> None:
    call = {"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}"}
    other = {"role": "tool", "tool_call_id": "x", "content": "other"}
    found = decoded(
        input=[USER, call],
        messages=[USER, {"role": "tool", "tool_call_id": "c", "content": "ok"}, other],
    )
    assert [message.role for message in found.messages] == ["user", "assistant", "tool"]
    assert found.messages[2].text == "ok"


def test_an_empty_input_beside_messages_is_no_input() -> None:
    assert decoded(input=[], messages=[USER]).messages == [message_of("user", [Text("hi")])]


@pytest.mark.parametrize(
    "given",
    [
        {"messages": [USER], "tools": [{"type": "function", "name": "f"}]},
        {"messages": [USER], "tools": [{"type": "custom", "custom": {"name": "f"}}]},
        {"messages": [USER], "system": "s"},
        {"messages": [{"role": "user", "content": [{"type": "input_text", "text": "a"}]}]},
        {"messages": [{"type": "function_call", "call_id": "c"}]},
        {"messages": [{"role": "assistant", "tool_calls": [{"type": "custom"}]}]},
        {"input": "a"},
    ],
    ids=str,
)
def test_what_a_chat_upstream_would_not_take_is_not_plain(given: Json) -> None:
    assert not is_plain(members(json.dumps({"model": "m", **given}).encode()))


def test_items_and_blocks_of_other_formats_among_chat_messages_reach_a_chat_upstream() -> None:
    search = {"type": "server_tool_use", "id": "s", "name": "web_search", "input": {"query": "q"}}
    found = {"title": "Paris", "url": "https://example.org", "encrypted_content": "eA=="}
    said: list[Json] = [
        search,
        {"type": "web_search_tool_result", "tool_use_id": "s", "content": [found]},
    ]
    tools = [{"type": "function", "name": "look", "parameters": {"type": "object"}}]
    action = {"command": ["ls"]}
    body: Json = {
        "messages": [
            {"type": "additional_tools", "role": "developer", "tools": tools},
            USER,
            {"role": "assistant", "content": said},
            {"type": "local_shell_call", "call_id": "c", "action": action},
            {"type": "local_shell_call_output", "call_id": "c", "output": "a.txt"},
        ],
    }
    assert not is_plain(members(json.dumps({"model": "m", **body}).encode()))
    low = lowered(decoded(**body), Abilities())
    sent = json.loads(encode(low.request, model="up"))
    assert [tool["function"]["name"] for tool in sent["tools"]] == ["look"]
    assert [one["role"] for one in sent["messages"]] == ["user", "assistant", "tool"]
    words = sent["messages"][1]["content"]
    assert "query: q" in words
    assert "url: https://example.org" in words
    assert "eA==" not in words
    call = sent["messages"][1]["tool_calls"][0]["function"]
    assert (call["name"], json.loads(call["arguments"])) == ("local_shell", action)


@pytest.mark.parametrize(
    "given",
    [
        {},
        {"messages": 7},
        {"messages": [USER], "tools": []},
        {"messages": [USER], "tools": None},
        {"messages": [{"role": "user", "content": 'the "tool_use" of "image" and "custom"'}]},
        {"messages": [{"role": "assistant", "function_call": {"name": "f", "arguments": "{}"}}]},
        {
            "messages": [
                {"role": "user", "content": [{"type": "image_url", "image_url": {"url": PNG}}]}
            ]
        },
    ],
    ids=str,
)
def test_what_a_chat_upstream_takes_is_plain(given: Json) -> None:
    assert is_plain(members(json.dumps({"model": "m", **given}).encode()))
