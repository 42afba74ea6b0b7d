"""A Messages request is read whole, and any request is written for a Messages upstream."""

import json
from typing import Any

import pytest

from addon.formats.messages.request import decode, encode, query_of
from addon.formats.neutral.adapt import Abilities
from addon.formats.neutral.problem import RequestError
from addon.formats.neutral.request import Hosted, OutputFormat, Request, Thinking, Tool, ToolChoice
from addon.formats.neutral.turn import Foreign, Message, Reasoning, Text, ToolCall, message_of

type Json = dict[str, Any]

SCHEMA = {"type": "object", "properties": {}}
EPHEMERAL = {"cache_control": {"type": "ephemeral"}}
USER_ID = json.dumps({"device_id": "d" * 64, "session_id": "s" * 36})
CLAUDE_CODE: Json = {
    "model": "claude-fable-5-1",
    "max_tokens": 32_000,
    "system": [
        {"type": "text", "text": "x-billing: 1"},
        {"type": "text", "text": "be brief", **EPHEMERAL},
    ],
    "messages": [
        {"role": "user", "content": [{"type": "text", "text": "hi"}]},
        {
            "role": "assistant",
            "content": [
                {"type": "thinking", "thinking": "", "signature": "s"},
                {"type": "redacted_thinking", "data": "d"},
                {
                    "type": "tool_use",
                    "id": "t1",
                    "name": "Read",
                    "input": {"path": "a"},
                    **EPHEMERAL,
                },
            ],
        },
        {
            "role": "user",
            "content": [
                {
                    "tool_use_id": "t1",
                    "type": "tool_result",
                    "content": [{"type": "tool_reference", "tool_name": "x"}],
                },
                {"type": "text", "text": "go on"},
            ],
        },
        {"role": "system", "content": "plan mode"},
    ],
    "tools": [
        {
            "name": "Read",
            "description": "d",
            "input_schema": SCHEMA,
            "defer_loading": True,
            **EPHEMERAL,
        },
        {"type": "web_search_20250305", "name": "web_search", "max_uses": 3},
    ],
    "tool_choice": {"type": "auto", "disable_parallel_tool_use": True},
    "thinking": {"type": "adaptive", "display": "omitted"},
    "output_config": {"effort": "high", "task_budget": {"total": 9}},
    "context_management": {"edits": [{"type": "clear_thinking_20251015", "keep": "all"}]},
    "metadata": {"user_id": USER_ID},
    "stream": True,
}


def decoded(**members: Any) -> Request:
    return decode(json.dumps({"model": "m", "max_tokens": 9, "messages": [], **members}).encode())


def encoded(*messages: Message, sampling: bool = True, **members: Any) -> Json:
    request = Request(**({"origin": "chat", "model": "m", "messages": list(messages)} | members))
    found: Json = json.loads(encode(request, model="up", abilities=Abilities(sampling=sampling)))
    return found


def test_all_that_claude_code_sends_is_read() -> None:
    assert decode(json.dumps(CLAUDE_CODE).encode()) == Request(
        origin="messages",
        model="claude-fable-5-1",
        messages=[
            message_of("system", [Text("x-billing: 1"), Text("be brief", "5m")]),
            message_of("user", [Text("hi")]),
            message_of(
                "assistant",
                [
                    Reasoning("", "thinking", "s", "signature"),
                    Reasoning("", "thinking", "d", "redacted_thinking"),
                    ToolCall("t1", "Read", '{"path":"a"}', cache="5m"),
                ],
            ),
            message_of(
                "tool",
                [Foreign("messages", {"type": "tool_reference", "tool_name": "x"})],
                result_of="t1",
            ),
            message_of("user", [Text("go on")]),
            message_of("system", [Text("plan mode")]),
        ],
        tools=(
            Tool(
                name="Read",
                description="d",
                parameters=SCHEMA,
                cache="5m",
                extra={"defer_loading": True},
            ),
        ),
        hosted=(Hosted("messages", "web_search_20250305", CLAUDE_CODE["tools"][1]),),
        tool_choice=ToolChoice("auto"),
        parallel_tool_calls=False,
        max_tokens=32_000,
        thinking=Thinking(effort="high", switch="adaptive", display="omitted"),
        stream=True,
        usage_asked=True,
        extra={
            "context_management": CLAUDE_CODE["context_management"],
            "output_config": {"task_budget": {"total": 9}},
            "metadata": {"user_id": USER_ID},
        },
    )


def test_a_messages_upstream_gets_all_of_it_again() -> None:
    found = json.loads(
        encode(
            decode(json.dumps(CLAUDE_CODE).encode()),
            model="claude-fable-5-1",
            abilities=Abilities(system_messages=True),
        )
    )
    expected = json.loads(json.dumps(CLAUDE_CODE))
    expected["messages"][0]["content"] = "hi"  # the same, shorter
    assert found == expected


@pytest.mark.parametrize(
    ("members", "field", "expected"),
    [
        ({"system": "s"}, "messages", [message_of("system", [Text("s")])]),
        ({"stop_sequences": ["a", "b"]}, "stop", ("a", "b")),
        ({"temperature": 0.5, "top_k": 3}, "temperature", 0.5),
        ({"metadata": {"user_id": "u"}}, "user", "u"),
        ({"metadata": {"user_id": "u"}}, "extra", {}),
        ({"metadata": {"user_id": USER_ID}}, "user", ""),
        ({"tool_choice": {"type": "any"}}, "tool_choice", ToolChoice("required")),
        (
            {"tool_choice": {"type": "tool", "name": "f"}},
            "tool_choice",
            ToolChoice("required", ("f",)),
        ),
        ({"tool_choice": {"type": "none"}}, "tool_choice", ToolChoice("none")),
        (
            {"tool_choice": {"type": "auto", "disable_parallel_tool_use": False}},
            "parallel_tool_calls",
            True,
        ),
        (
            {"output_config": {"format": {"type": "json_schema", "schema": SCHEMA}}},
            "output_format",
            OutputFormat(schema=SCHEMA),
        ),
        ({"service_tier": "auto"}, "extra", {"service_tier": "auto"}),
    ],
    ids=str,
)
def test_a_member_is_read(members: Json, field: str, expected: object) -> None:
    assert getattr(decoded(**members), field) == expected


@pytest.mark.parametrize(
    ("body", "code", "param"),
    [
        (b'{"model":"m"}', "missing_messages", "messages"),
        (b'{"model":"m","messages":"hi"}', "missing_messages", "messages"),
        (b'{"messages":[]}', "missing_model", "model"),
        (b'{"model":"m","messages":[{"role":"robot"}]}', "invalid_role", "messages"),
        (b"{", "invalid_json", None),
    ],
    ids=repr,
)
def test_what_can_not_be_read_is_refused(body: bytes, code: str, param: str | None) -> None:
    with pytest.raises(RequestError) as refused:
        decode(body)
    problem = refused.value.problem
    assert (problem.status, problem.code, problem.param) == (400, code, param)


def test_an_upstream_is_told_how_long_an_answer_may_be() -> None:
    found = encoded(message_of("user", [Text("hi")]), stream=True)
    assert found == {
        "model": "up",
        "max_tokens": 32_000,
        "messages": [{"role": "user", "content": "hi"}],
        "stream": True,
    }


@pytest.mark.parametrize(
    ("members", "expected"),
    [
        pytest.param({"stop": ("a", "\n")}, {"stop_sequences": ["a"]}, id="stop"),
        pytest.param({"user": "u"}, {"metadata": {"user_id": "u"}}, id="user"),
        pytest.param(
            {"output_format": OutputFormat(schema=SCHEMA, name="n", strict=True)},
            {"output_config": {"format": {"type": "json_schema", "schema": SCHEMA}}},
            id="schema",
        ),
        pytest.param({"output_format": OutputFormat()}, {}, id="any JSON"),
        pytest.param(
            {"extra": {"service_tier": "flex"}, "metadata": {"k": "v"}, "seed": 3},
            {},
            id="not known there",
        ),
        pytest.param(
            {"extra": {"service_tier": "auto"}, "origin": "messages"},
            {"service_tier": "auto"},
            id="known there",
        ),
        pytest.param(
            {"hosted": (Hosted("messages", "x", {"type": "x"}),)},
            {"tools": [{"type": "x"}]},
            id="hosted",
        ),
        pytest.param({"temperature": 1.5}, {"temperature": 1}, id="hot"),
        pytest.param({"temperature": 0.5, "top_p": 0.9}, {"temperature": 0.5}, id="one of two"),
        pytest.param({"top_p": 0.9, "top_k": 3}, {"top_p": 0.9, "top_k": 3}, id="the other"),
        pytest.param(
            {"temperature": 0.5, "top_p": 0.9, "origin": "messages"},
            {"temperature": 0.5, "top_p": 0.9},
            id="own words",
        ),
    ],
)
def test_members_are_written_for_a_messages_upstream(members: Json, expected: Json) -> None:
    assert encoded(**members) == {"model": "up", "max_tokens": 32_000, "messages": []} | expected


@pytest.mark.parametrize(
    ("members", "kept"),
    [
        ({"temperature": 0.5, "top_p": 0.9, "top_k": 3}, {}),
        ({"temperature": 0.5, "top_p": 0.95}, {"top_p": 0.95}),
    ],
)
def test_beside_thinking_only_a_top_p_near_one_is_told(members: Json, kept: Json) -> None:
    found = encoded(thinking=Thinking(effort="low"), **members)
    assert found["thinking"] == {"type": "adaptive"}
    assert {key: found[key] for key in ("temperature", "top_p", "top_k") if key in found} == kept


def test_new_models_are_told_nothing_of_sampling() -> None:
    assert encoded(temperature=0.5, sampling=False).keys() == {"model", "max_tokens", "messages"}


F, G = Tool(name="f", parameters=SCHEMA, strict=True), Tool(name="g", parameters=SCHEMA)
WRITTEN = [{"name": "f", "input_schema": SCHEMA}, {"name": "g", "input_schema": SCHEMA}]


@pytest.mark.parametrize(
    ("members", "tools", "choice"),
    [
        pytest.param({}, WRITTEN, None, id="not said"),
        pytest.param({"tool_choice": ToolChoice("required")}, WRITTEN, {"type": "any"}, id="any"),
        pytest.param({"tool_choice": ToolChoice("none")}, WRITTEN, {"type": "none"}, id="none"),
        pytest.param(
            {"tool_choice": ToolChoice("required", ("g",))},
            WRITTEN,
            {"type": "tool", "name": "g"},
            id="that one",
        ),
        pytest.param(
            {"tool_choice": ToolChoice("auto", ("g",))},
            WRITTEN[1:],
            {"type": "auto"},
            id="only that one",
        ),
        pytest.param(
            {"parallel_tool_calls": False},
            WRITTEN,
            {"type": "auto", "disable_parallel_tool_use": True},
            id="one after the other",
        ),
        pytest.param(
            {"parallel_tool_calls": False, "tool_choice": ToolChoice("none")},
            WRITTEN,
            {"type": "none"},
            id="no one",
        ),
        pytest.param({"parallel_tool_calls": True}, WRITTEN, None, id="as usual"),
    ],
)
def test_tools_and_the_choice_among_them_are_written(
    members: Json, tools: list[Json], choice: Json | None
) -> None:
    found = encoded(tools=(F, G), **members)
    assert (found["tools"], found.get("tool_choice")) == (tools, choice)


def test_without_tools_there_is_nothing_to_choose() -> None:
    assert "tool_choice" not in encoded(tool_choice=ToolChoice("auto"), parallel_tool_calls=False)


def test_members_that_only_messages_has_for_a_tool_are_written_again() -> None:
    tool = Tool(name="f", strict=False, extra={"defer_loading": True}, cache="1h")
    assert encoded(tools=(tool,), origin="messages")["tools"] == [
        {
            "name": "f",
            "input_schema": {"type": "object"},
            "strict": False,
            "cache_control": {"type": "ephemeral", "ttl": "1h"},
            "defer_loading": True,
        }
    ]


def test_a_tool_that_runs_elsewhere_is_refused_by_name() -> None:
    with pytest.raises(RequestError, match="'web_search'"):
        encoded(hosted=(Hosted("responses", "web_search", {}),))


def test_a_question_for_a_count_holds_what_counts() -> None:
    request = decode(json.dumps(CLAUDE_CODE | {"temperature": 1}).encode())
    found = json.loads(query_of(encode(request, model="up", abilities=Abilities())))
    assert found.keys() == {
        *("model", "system", "messages", "tools", "tool_choice", "thinking", "output_config"),
    }
    assert found["model"] == "up"


def test_a_request_for_a_count_names_no_length() -> None:
    assert decode(b'{"model":"m","messages":[]}').max_tokens is None
