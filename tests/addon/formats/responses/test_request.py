"""A Responses request is read whole, and any request is written for a Responses upstream."""

import json
from typing import Any

import pytest

from addon.formats.neutral.problem import RequestError
from addon.formats.neutral.request import Hosted, OutputFormat, Request, Thinking, Tool, ToolChoice
from addon.formats.neutral.turn import Message, Reasoning, Text, message_of
from addon.formats.responses.request import decode, encode

type Json = dict[str, Any]

GRAMMAR = {"type": "grammar", "syntax": "lark", "definition": "start: /a/"}
SCHEMA = {"type": "object", "properties": {}}
CODEX: Json = {
    "model": "gpt-5-codex",
    "instructions": "be brief",
    "input": [
        {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "hi"}]},
        {"type": "reasoning", "summary": [], "encrypted_content": "e"},
        {
            "type": "message",
            "role": "assistant",
            "content": [{"type": "output_text", "text": "yo"}],
            "phase": "commentary",
        },
    ],
    "tools": [
        {
            "type": "function",
            "name": "shell",
            "description": "d",
            "strict": False,
            "parameters": SCHEMA,
        },
        {"type": "custom", "name": "apply_patch", "description": "d", "format": GRAMMAR},
        {"type": "web_search"},
    ],
    "tool_choice": "auto",
    "parallel_tool_calls": False,
    "reasoning": {"effort": "high", "summary": "auto"},
    "store": False,
    "stream": True,
    "include": ["reasoning.encrypted_content"],
    "prompt_cache_key": "k",
    "text": {
        "verbosity": "low",
        "format": {"type": "json_schema", "name": "n", "schema": SCHEMA, "strict": True},
    },
}


def decoded(**members: Any) -> Request:
    return decode(json.dumps({"model": "m", "input": [], **members}).encode())


def encoded(*messages: Message, encrypted: bool = True, **members: Any) -> Json:
    request = Request(
        **({"origin": "responses", "model": "m", "messages": list(messages)} | members)
    )
    found: Json = json.loads(encode(request, model="up", encrypted=encrypted))
    return found


def test_all_that_codex_sends_is_read() -> None:
    assert decode(json.dumps(CODEX).encode()) == Request(
        origin="responses",
        model="gpt-5-codex",
        messages=[
            message_of("system", [Text("be brief")]),
            message_of("user", [Text("hi")]),
            message_of(
                "assistant", [Reasoning("", "summary", "e", "encrypted_content"), Text("yo")]
            ),
        ],
        tools=(
            Tool(name="shell", description="d", parameters=SCHEMA, strict=False),
            Tool(name="apply_patch", description="d", custom=True, grammar=GRAMMAR, nested=False),
        ),
        hosted=(Hosted("responses", "web_search", {"type": "web_search"}),),
        tool_choice=ToolChoice("auto"),
        parallel_tool_calls=False,
        output_format=OutputFormat(schema=SCHEMA, name="n", strict=True),
        verbosity="low",
        thinking=Thinking(effort="high", summary="auto"),
        stream=True,
        usage_asked=True,
        store=False,
        include=("reasoning.encrypted_content",),
        extra={"prompt_cache_key": "k"},
    )


@pytest.mark.parametrize(
    ("members", "field", "expected"),
    [
        ({"input": "hi"}, "messages", [message_of("user", [Text("hi")])]),
        ({"max_output_tokens": 7}, "max_tokens", 7),
        ({"metadata": {"k": "v"}}, "metadata", {"k": "v"}),
        ({"text": {"format": {"type": "json_object"}}}, "output_format", OutputFormat()),
        ({"text": {"format": {"type": "text"}}}, "output_format", None),
        ({"reasoning": {"generate_summary": "concise"}}, "thinking", Thinking(summary="concise")),
        ({"truncation": "auto", "background": False}, "extra", {"truncation": "auto"}),
    ],
    ids=str,
)
def test_a_member_is_read(members: Json, field: str, expected: object) -> None:
    assert getattr(decoded(**members), field) == expected


@pytest.mark.parametrize(
    ("members", "code", "param"),
    [
        ({"background": True}, "unsupported_parameter", "background"),
        ({"previous_response_id": "resp_1"}, "unsupported_parameter", "previous_response_id"),
        ({"conversation": "conv_1"}, "unsupported_parameter", "conversation"),
        ({"prompt": {"id": "p"}}, "unsupported_parameter", "prompt"),
        ({"input": {}}, "invalid_input", "input"),
        ({"input": [{"type": "item_reference", "id": "x"}]}, "item_not_found", "input"),
        ({"model": None}, "missing_model", "model"),
    ],
    ids=str,
)
def test_what_is_not_served_is_refused_by_name(members: Json, code: str, param: str) -> None:
    with pytest.raises(RequestError) as refused:
        decoded(**members)
    problem = refused.value.problem
    assert (problem.status, problem.code, problem.param) == (400, code, param)


CALL: Json = {"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}"}
HELLO: Json = {"role": "user", "content": "hello"}


class Stored:
    """One answer, `resp_1`, and its item `fc_1`."""

    def conversation(self, answer_id: str) -> list[Json]:
        return {"resp_1": [HELLO, CALL]}[answer_id]

    def item(self, item_id: str) -> Json | None:
        return {"fc_1": CALL}.get(item_id)


def going_on(**members: Any) -> Request:
    return decode(json.dumps({"model": "m", "input": [], **members}).encode(), past=Stored())


def test_references_are_looked_up() -> None:
    request = going_on(input=[{"type": "item_reference", "id": "fc_1"}])
    assert request.messages[0].calls[0].name == "f"
    assert request.own_items == [CALL]
    with pytest.raises(RequestError, match="'fc_2' is not known"):
        going_on(input=[{"type": "item_reference", "id": "fc_2"}])


def test_what_a_request_goes_on_from_stands_before_its_own_input_and_behind_its_instructions() -> (
    None
):
    result = {"type": "function_call_output", "call_id": "c", "output": "fine"}
    request = going_on(previous_response_id="resp_1", input=[result], instructions="be brief")
    assert [message.role for message in request.messages] == ["system", "user", "assistant", "tool"]
    assert (request.own_items, request.previous_response_id) == ([result], "resp_1")


@pytest.mark.parametrize(
    ("members", "own"),
    [
        ({"input": "hello"}, [HELLO]),
        ({"store": True}, []),
        ({"store": None}, []),
        ({"store": False}, None),
    ],
    ids=str,
)
def test_an_answer_is_stored_unless_the_client_says_otherwise(
    members: Json, own: list[Json] | None
) -> None:
    assert going_on(**members).own_items == own


def test_an_upstream_is_asked_to_keep_nothing_and_for_reasoning_that_can_be_sent_back() -> None:
    found = encoded(message_of("user", [Text("hi")]), store=True, stream=True)
    assert found == {
        "model": "up",
        "input": [
            {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "hi"}]}
        ],
        "store": False,
        "stream": True,
        "include": ["reasoning.encrypted_content"],
    }
    asked = ("reasoning.encrypted_content", "message.output_text.logprobs")
    assert encoded(include=asked)["include"] == [
        "message.output_text.logprobs",
        "reasoning.encrypted_content",
    ]
    assert encoded(include=asked, encrypted=False)["include"] == ["message.output_text.logprobs"]
    assert "include" not in encoded(encrypted=False)


@pytest.mark.parametrize(
    ("members", "expected"),
    [
        (
            {"thinking": Thinking(effort="low", summary="auto")},
            {"reasoning": {"effort": "low", "summary": "auto"}},
        ),
        ({"max_tokens": 70, "temperature": 0.0}, {"max_output_tokens": 70, "temperature": 0.0}),
        (
            {"output_format": OutputFormat(), "verbosity": "low"},
            {"text": {"format": {"type": "json_object"}, "verbosity": "low"}},
        ),
        (
            {"output_format": OutputFormat(schema=SCHEMA)},
            {"text": {"format": {"type": "json_schema", "name": "answer", "schema": SCHEMA}}},
        ),
        (
            {"tools": (Tool(name="f"),)},
            {"tools": [{"type": "function", "name": "f", "strict": False}]},
        ),
        (
            {
                "tools": (Tool(name="f", custom=True, grammar=GRAMMAR),),
                "tool_choice": ToolChoice("required", ("f",)),
            },
            {
                "tools": [{"type": "custom", "name": "f", "format": GRAMMAR}],
                "tool_choice": {"type": "custom", "name": "f"},
            },
        ),
        (
            {"tools": (Tool(name="f"),), "tool_choice": ToolChoice("auto", ("f",))},
            {
                "tools": [{"type": "function", "name": "f", "strict": False}],
                "tool_choice": {
                    "type": "allowed_tools",
                    "mode": "auto",
                    "tools": [{"type": "function", "name": "f"}],
                },
            },
        ),
        (
            {"tools": (Tool(name="f"),), "tool_choice": ToolChoice("none")},
            {
                "tools": [{"type": "function", "name": "f", "strict": False}],
                "tool_choice": "none",
            },
        ),
        ({"tool_choice": ToolChoice("auto"), "parallel_tool_calls": True}, {}),
        (
            {"hosted": (Hosted("responses", "web_search", {"type": "web_search"}),)},
            {"tools": [{"type": "web_search"}]},
        ),
        ({"extra": {"truncation": "auto"}}, {"truncation": "auto"}),
        (
            {"extra": {"truncation": "auto", "service_tier": "flex"}, "origin": "chat"},
            {"service_tier": "flex"},
        ),
    ],
    ids=str,
)
def test_members_are_written_for_a_responses_upstream(members: Json, expected: Json) -> None:
    assert (
        encoded(encrypted=False, **members)
        == {"model": "up", "input": [], "store": False} | expected
    )


def test_a_tool_that_runs_elsewhere_is_refused_by_name() -> None:
    with pytest.raises(RequestError, match="'web_search_20250305'"):
        encoded(hosted=(Hosted("messages", "web_search_20250305", {}),))
