"""Whatever comes to the chat path is read as one request, and any request is written for a
chat upstream.
"""

import json
from typing import Any

import pytest

from addon.formats.chat.request import decode, encode
from addon.formats.neutral.problem import RequestError
from addon.formats.neutral.request import Hosted, OutputFormat, Request, Thinking, Tool, ToolChoice
from addon.formats.neutral.turn import (
    SUMMARY,
    File,
    Foreign,
    Image,
    Part,
    Reasoning,
    Refusal,
    Text,
    ToolCall,
    message_of,
)

type Json = dict[str, Any]

PNG = "data:image/png;base64,AA=="
USER: Json = {"role": "user", "content": "hi"}
TOOLS = (Tool(name="f"),)
F: Json = {"type": "function", "function": {"name": "f"}}
SHELL: Json = {"type": "function", "function": {"name": "Shell", "parameters": {"type": "object"}}}


def decoded(**members: Any) -> Request:
    return decode(json.dumps({"model": "m", **members}).encode())


def encoded(*parts: Part, role: Any = "user", **members: Any) -> Json:
    request = Request(
        origin="chat", model="m", messages=[message_of(role, parts)] if parts else [], **members
    )
    return json.loads(encode(request, model="up"))


def refusal(**members: Any) -> str:
    with pytest.raises(RequestError) as refused:
        decoded(**members)
    assert refused.value.problem.status == 400
    return refused.value.problem.code


# -- members ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("members", "field", "expected"),
    [
        ({"max_completion_tokens": 7}, "max_tokens", 7),
        ({"max_tokens": 8}, "max_tokens", 8),
        ({"stop": "a"}, "stop", ("a",)),
        ({"stop_sequences": ["a", "b"]}, "stop", ("a", "b")),
        (
            {"functions": [{"name": "f", "parameters": {}}]},
            "tools",
            (Tool(name="f", parameters={}),),
        ),
        ({"function_call": {"name": "f"}}, "tool_choice", ToolChoice("required", ("f",))),
        ({"function_call": "auto"}, "tool_choice", ToolChoice("auto")),
        ({"response_format": {"type": "json_object"}}, "output_format", OutputFormat()),
        ({"response_format": {"type": "text"}}, "output_format", None),
        ({"reasoning_effort": "low"}, "thinking", Thinking(effort="low")),
        (
            {"reasoning": {"effort": "high", "max_tokens": 9}},
            "thinking",
            Thinking(effort="high", budget=9),
        ),
        ({"reasoning": {"enabled": False}}, "thinking", Thinking(switch="disabled")),
        (
            {"thinking": {"type": "enabled", "budget_tokens": 5}},
            "thinking",
            Thinking(switch="enabled", budget=5),
        ),
        ({"provider": {"order": ["x"]}, "n": 1}, "extra", {"provider": {"order": ["x"]}}),
        ({"system": "s"}, "messages", [message_of("system", [Text("s")])]),
    ],
    ids=str,
)
def test_a_member_is_read_under_all_its_names(members: Json, field: str, expected: object) -> None:
    assert getattr(decoded(messages=[], **members), field) == expected


def test_a_path_that_names_the_model_wins() -> None:
    assert decode(b'{"messages":[]}', "gpt-high").model == "gpt-high"


@pytest.mark.parametrize(
    ("members", "code"),
    [
        ({}, "missing_messages"),
        ({"messages": {}}, "missing_messages"),
        ({"messages": [], "model": ""}, "missing_model"),
    ],
    ids=str,
)
def test_what_is_no_request_is_refused(members: Json, code: str) -> None:
    assert refusal(**members) == code


# -- for a chat upstream ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("role", "parts", "message"),
    [
        ("system", [Text("a"), Text("b")], {"role": "system", "content": "a\n\nb"}),
        ("user", [Text("a")], {"role": "user", "content": "a"}),
        (
            "user",
            [
                Text("a"),
                Image(PNG, detail="low"),
                File("data:x", name="n"),
                File("https://x"),
                File(file_id="f"),
            ],
            {
                "role": "user",
                "content": [
                    {"type": "text", "text": "a"},
                    {"type": "image_url", "image_url": {"url": PNG, "detail": "low"}},
                    {"type": "file", "file": {"filename": "n", "file_data": "data:x"}},
                    {"type": "file", "file": {"file_url": "https://x"}},
                    {"type": "file", "file": {"file_id": "f"}},
                ],
            },
        ),
        (
            "assistant",
            [Reasoning("r", "reasoning"), Text("a"), Text("b"), Refusal("no")],
            {"role": "assistant", "content": "ab", "reasoning": "r", "refusal": "no"},
        ),
        (
            "assistant",
            [Reasoning("r", "thinking", "s", "signature"), ToolCall("c", "f", "{}")],
            {
                "role": "assistant",
                "content": None,
                "reasoning_content": "r",
                "tool_calls": [
                    {"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}
                ],
            },
        ),
        (
            "assistant",
            [
                Reasoning("told", SUMMARY, "e", "encrypted_content"),
                ToolCall("c", "f", "raw", custom=True),
            ],
            {
                "role": "assistant",
                "content": None,
                "tool_calls": [
                    {"id": "c", "type": "custom", "custom": {"name": "f", "input": "raw"}}
                ],
            },
        ),
        (
            "assistant",
            [Reasoning("", "reasoning_content")],
            {"role": "assistant", "content": "", "reasoning_content": ""},
        ),
    ],
    ids=["system", "text", "parts", "words", "calls", "custom", "empty reasoning"],
)
def test_a_message_is_written_for_a_chat_upstream(
    role: str, parts: list[Part], message: Json
) -> None:
    assert encoded(*parts, role=role)["messages"] == [message]


@pytest.mark.parametrize(("between", "expected"), [([], "s"), (["user"], None)])
def test_a_signature_goes_to_the_message_that_has_its_call(
    between: list[Any], expected: str | None
) -> None:
    annex = Reasoning("", "", '"s"', "extra_content", "0")
    messages = [
        message_of("assistant", [annex, Text("I look.")]),
        *(message_of(role, [Text("Go on.")]) for role in between),
        message_of("assistant", [ToolCall("a", "Read", "{}"), ToolCall("b", "Read", "{}")]),
    ]
    request = Request(origin="responses", model="m", messages=messages)
    calls = json.loads(encode(request, model="up"))["messages"][-1]["tool_calls"]
    assert [call.get("extra_content") for call in calls] == [expected, None]


def test_pictures_in_results_follow_the_results_as_the_users() -> None:
    messages = [
        message_of("tool", [Text("a"), Image(PNG), Text("b")], result_of="c1"),
        message_of("tool", [Image(PNG)], result_of="c2"),
        message_of("user", [Text("and?")]),
        message_of("tool", [Image(PNG)], result_of="c3"),
    ]
    picture = {"type": "image_url", "image_url": {"url": PNG}}
    sent = json.loads(encode(Request(origin="chat", model="m", messages=messages), model="m"))[
        "messages"
    ]
    assert sent == [
        {"role": "tool", "tool_call_id": "c1", "content": "a\nb"},
        {"role": "tool", "tool_call_id": "c2", "content": ""},
        {"role": "user", "content": [picture, picture]},
        {"role": "user", "content": "and?"},
        {"role": "tool", "tool_call_id": "c3", "content": ""},
        {"role": "user", "content": [picture]},
    ]


@pytest.mark.parametrize(
    ("parts", "role"),
    [
        ([Image(file_id="f")], "user"),
        ([ToolCall("c", "f", "")], "user"),
        ([Foreign("responses", {"type": "x"})], "assistant"),
    ],
    ids=["uploaded image", "a user's call", "foreign item"],
)
def test_what_chat_has_no_place_for_is_refused(parts: list[Part], role: str) -> None:
    with pytest.raises(RequestError) as refused:
        encoded(*parts, role=role)
    assert refused.value.problem.status == 400


def test_a_hosted_tool_is_refused_by_name_unless_it_was_meant_for_chat() -> None:
    hosted = Hosted("responses", "web_search", {"type": "web_search"})
    with pytest.raises(RequestError, match="'web_search'"):
        encoded(hosted=(hosted,))
    own = Hosted(
        "chat",
        "builtin_function",
        {"type": "builtin_function", "function": {"name": "$web_search"}},
    )
    assert encoded(hosted=(own,))["tools"] == [own.tool]


@pytest.mark.parametrize(
    ("members", "expected"),
    [
        ({"thinking": Thinking(effort="low", summary="auto")}, {"reasoning_effort": "low"}),
        (
            {"thinking": Thinking(switch="enabled", budget=7)},
            {"thinking": {"type": "enabled", "budget_tokens": 7}},
        ),
        (
            {"temperature": 0.0, "seed": 0, "tools": TOOLS, "parallel_tool_calls": False},
            {"temperature": 0.0, "seed": 0, "tools": [F], "parallel_tool_calls": False},
        ),
        (
            {"extra": {"provider": {}, "service_tier": "flex"}},
            {"provider": {}, "service_tier": "flex"},
        ),
        (
            {"tools": TOOLS, "tool_choice": ToolChoice("none")},
            {"tools": [F], "tool_choice": "none"},
        ),
        (
            {"tools": TOOLS, "tool_choice": ToolChoice("auto", ("f", "g"))},
            {
                "tools": [F],
                "tool_choice": {
                    "type": "allowed_tools",
                    "allowed_tools": {
                        "mode": "auto",
                        "tools": [
                            {"type": "function", "function": {"name": name}} for name in ("f", "g")
                        ],
                    },
                },
            },
        ),
    ],
    ids=str,
)
def test_members_are_written_for_a_chat_upstream(members: Json, expected: Json) -> None:
    assert encoded(**members) == {"model": "up", "messages": []} | expected


@pytest.mark.parametrize("choice", [ToolChoice("auto"), ToolChoice("required", ("f",))], ids=str)
def test_there_is_no_choice_among_no_tools(choice: ToolChoice) -> None:
    assert encoded(tool_choice=choice, parallel_tool_calls=True) == {"model": "up", "messages": []}


@pytest.mark.parametrize(("given", "name"), [("", "answer"), ("report", "report")])
def test_a_schema_always_has_a_name(given: str, name: str) -> None:
    shape = OutputFormat(schema={"type": "object"}, name=given)
    written = encoded(output_format=shape)["response_format"]
    assert written == {
        "type": "json_schema",
        "json_schema": {"name": name, "schema": {"type": "object"}},
    }


def test_what_only_another_format_knows_is_not_passed_on() -> None:
    request = Request(
        origin="responses",
        model="m",
        messages=[],
        extra={"truncation": "auto", "service_tier": "flex"},
    )
    request.thinking, request.store, request.metadata = Thinking(switch="enabled"), True, {"k": "v"}
    assert json.loads(encode(request, model="m")) == {
        "model": "m",
        "messages": [],
        "service_tier": "flex",
    }


class _Piece(str):
    """A text that can be joined with others, but not put behind one that grows with each."""

    __slots__ = ()

    def __radd__(self, other: str) -> str:
        raise AssertionError(f"a text of {len(other)} characters was copied")


def test_the_thoughts_of_a_turn_are_joined_once() -> None:
    pieces = [Reasoning(_Piece(f"thought {at};"), "reasoning_content") for at in range(3)]
    [message] = encoded(*pieces, Text("said"), role="assistant")["messages"]
    assert message == {
        "role": "assistant",
        "content": "said",
        "reasoning_content": "thought 0;thought 1;thought 2;",
    }
