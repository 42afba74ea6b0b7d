"""Any client's format over any upstream's: one conversation, whichever way it goes."""

import json
from typing import Any

import pytest

from addon.formats.neutral.accumulate import Accumulator
from addon.formats.neutral.adapt import Abilities, Raising, lowered, raised
from addon.formats.neutral.deltas import Delta
from addon.formats.neutral.protocols import Head
from addon.formats.neutral.request import Request, WireFormat
from addon.formats.neutral.turn import Edit, Reasoning, Text, ToolCall, message_of
from addon.formats.translate import CLIENTS, UPSTREAMS, opened, restored
from addon.formats.wire import sse
from tests.support.grammar import own_state, read_chat, read_messages, read_responses

type Json = dict[str, Any]

HEAD = Head("abc", 7, "m")
GRAMMAR = {"type": "grammar", "syntax": "lark", "definition": "start: /a/"}
PATCH = "*** Begin Patch"
ASKED: dict[WireFormat, Json] = {
    "chat": {
        "model": "m",
        "stream": True,
        "stream_options": {"include_usage": True},
        "messages": [
            {"role": "user", "content": "fix it"},
            {
                "role": "assistant",
                "tool_calls": [{"id": "ours", "function": {"name": "Read", "arguments": "{}"}}],
            },
            {"role": "tool", "tool_call_id": "ours", "content": "text"},
        ],
        "tools": [
            {"type": "function", "function": {"name": "Read", "parameters": {"type": "object"}}},
            {"type": "custom", "name": "ApplyPatch", "format": GRAMMAR},
        ],
    },
    "responses": {
        "model": "m",
        "stream": True,
        "input": [
            {"role": "user", "content": "fix it"},
            {"type": "function_call", "call_id": "ours", "name": "Read", "arguments": "{}"},
            {"type": "function_call_output", "call_id": "ours", "output": "text"},
        ],
        "tools": [
            {"type": "function", "name": "Read", "parameters": {"type": "object"}},
            {"type": "custom", "name": "ApplyPatch", "format": GRAMMAR},
        ],
    },
    "messages": {
        "model": "m",
        "max_tokens": 99,
        "stream": True,
        "thinking": {"type": "adaptive"},
        "messages": [
            {"role": "user", "content": "fix it"},
            {
                "role": "assistant",
                "content": [{"type": "tool_use", "id": "ours", "name": "Read", "input": {}}],
            },
            {
                "role": "user",
                "content": [{"type": "tool_result", "tool_use_id": "ours", "content": "text"}],
            },
        ],
        "tools": [
            {"name": "Read", "input_schema": {"type": "object"}},
            {"name": "ApplyPatch", "input_schema": {"type": "object"}},
        ],
    },
}
EDITS = {
    1: Edit(reasoning={"reasoning_content": "hm"}, ids={"ours": "theirs"}),
    2: Edit(ids={"ours": "theirs"}),
}
FUNCTION = {"name": "ApplyPatch", "arguments": json.dumps({"input": PATCH})}
COUNT = {"prompt_tokens": 3, "completion_tokens": 2}
ANSWERS: dict[WireFormat, Json] = {
    "chat": {
        "choices": [
            {
                "index": 0,
                "message": {
                    "content": "so",
                    "reasoning_content": "think",
                    "tool_calls": [{"id": "x", "function": FUNCTION}],
                },
                "finish_reason": "tool_calls",
            }
        ],
        "usage": COUNT,
    },
    "responses": {
        "object": "response",
        "status": "completed",
        "output": [
            {
                "type": "reasoning",
                "id": "rs",
                "summary": [{"type": "summary_text", "text": "think"}],
            },
            {
                "type": "message",
                "role": "assistant",
                "content": [{"type": "output_text", "text": "so"}],
            },
            {"type": "custom_tool_call", "call_id": "x", "name": "ApplyPatch", "input": PATCH},
        ],
        "usage": {"input_tokens": 3, "output_tokens": 2},
    },
    "messages": {
        "type": "message",
        "role": "assistant",
        "content": [
            {"type": "thinking", "thinking": "think", "signature": "state"},
            {"type": "text", "text": "so"},
            {"type": "tool_use", "id": "x", "name": "ApplyPatch", "input": {"input": PATCH}},
        ],
        "stop_reason": "tool_use",
        "usage": {"input_tokens": 1, "cache_read_input_tokens": 2, "output_tokens": 2},
    },
}
STREAMS: dict[WireFormat, list[Json]] = {
    "chat": [
        {"choices": [{"index": 0, "delta": {"role": "assistant", "reasoning_content": ""}}]},
        {"choices": [{"index": 0, "delta": {"reasoning_content": "think"}}]},
        {"choices": [{"index": 0, "delta": {"content": "so"}}]},
        {
            "choices": [
                {
                    "index": 0,
                    "delta": {"tool_calls": [{"index": 0, "id": "x", "function": FUNCTION}]},
                }
            ]
        },
        {"choices": [{"index": 0, "delta": {}, "finish_reason": "tool_calls"}]},
        {"choices": [], "usage": COUNT},
    ],
    "responses": [
        {"type": "response.created", "response": {}},
        *(
            {"type": "response.output_item.done", "output_index": at, "item": item}
            for at, item in enumerate(ANSWERS["responses"]["output"])
        ),
        {"type": "response.completed", "response": ANSWERS["responses"]},
    ],
    "messages": [
        {
            "type": "message_start",
            "message": {"usage": {"input_tokens": 1, "cache_read_input_tokens": 2}},
        },
        {
            "type": "content_block_start",
            "index": 0,
            "content_block": {"type": "thinking", "thinking": ""},
        },
        {
            "type": "content_block_delta",
            "index": 0,
            "delta": {"type": "thinking_delta", "thinking": "think"},
        },
        {
            "type": "content_block_delta",
            "index": 0,
            "delta": {"type": "signature_delta", "signature": "state"},
        },
        {"type": "content_block_stop", "index": 0},
        {"type": "content_block_start", "index": 1, "content_block": {"type": "text", "text": ""}},
        {"type": "content_block_delta", "index": 1, "delta": {"type": "text_delta", "text": "so"}},
        {"type": "content_block_stop", "index": 1},
        {
            "type": "content_block_start",
            "index": 2,
            "content_block": ANSWERS["messages"]["content"][2],
        },
        {"type": "content_block_stop", "index": 2},
        {
            "type": "message_delta",
            "delta": {"stop_reason": "tool_use"},
            "usage": {"output_tokens": 2},
        },
        {"type": "message_stop"},
    ],
}
COMBINATIONS = [(client, upstream) for client in CLIENTS for upstream in UPSTREAMS]
EVERY_WAY = pytest.mark.parametrize(
    ("client", "upstream"), COMBINATIONS, ids=[" over ".join(two) for two in COMBINATIONS]
)


def minted(choice: int, index: int, upstreams: str) -> str:
    return f"minted {upstreams}"


def asked(client: WireFormat, **more: Any) -> Request:
    return CLIENTS[client].decode(json.dumps(ASKED[client] | more).encode())


def abilities(upstream: WireFormat) -> Abilities:
    return Abilities(custom_tools=upstream == "responses", unsigned_thinking=True)


def said(client: WireFormat, answer: bytes) -> tuple[str, str, str]:
    """Text, name and text of the call that a client finds in a whole answer."""
    found = json.loads(answer)
    if client == "chat":
        message = found["choices"][0]["message"]
        (call,) = message["tool_calls"]
        assert call["id"] == "minted x"
        return message["content"], call["function"]["name"], call["function"]["arguments"]
    if client == "messages":
        _, message, call = found["content"]
        assert call["id"] == "minted x"
        return message["text"], call["name"], call["input"]["input"]
    message, call = found["output"][1:]
    assert call["call_id"] == "minted x"
    return message["content"][0]["text"], call["name"], call["input"]


@EVERY_WAY
def test_an_upstream_gets_the_clients_conversation_restored_and_under_its_own_ids(
    client: WireFormat, upstream: WireFormat
) -> None:
    low = lowered(restored(asked(client), EDITS), abilities(upstream))
    found = CLIENTS[upstream].decode(
        UPSTREAMS[upstream].encode(low.request, "up", abilities(upstream))
    )
    assert [message.role for message in found.messages] == ["user", "assistant", "tool"]
    assert found.messages[1].calls == (ToolCall("theirs", "Read", "{}"),)
    assert (found.messages[2].result_of, found.messages[2].parts) == ("theirs", (Text("text"),))
    thoughts = [part.text for part in found.messages[1].parts if isinstance(part, Reasoning)]
    assert (found.model, found.stream, thoughts) == ("up", True, ["hm"])
    assert [tool.custom for tool in found.tools] == [
        False,
        upstream == "responses" and client != "messages",
    ]


@EVERY_WAY
def test_a_whole_answer_reaches_the_client(client: WireFormat, upstream: WireFormat) -> None:
    request = asked(client)
    low = lowered(request, abilities(upstream))
    answer = UPSTREAMS[upstream].whole(json.dumps(ANSWERS[upstream]).encode())
    assert answer is not None
    turns = {choice: raised(turn, low.custom) for choice, turn in answer.turns.items()}
    whole = CLIENTS[client].whole(turns, answer.usage, request, HEAD, minted, own_state)
    assert said(client, whole) == ("so", "ApplyPatch", PATCH)
    told = UPSTREAMS[client].whole(whole)
    assert told is not None
    assert told.usage is not None
    assert (told.usage.prompt_tokens, told.usage.completion_tokens) == (3, 2)


@EVERY_WAY
def test_a_streamed_answer_reaches_the_client_and_recall_hears_what_the_client_hears(
    client: WireFormat, upstream: WireFormat
) -> None:
    request = asked(client)
    reader, raising = (
        UPSTREAMS[upstream].reader(),
        Raising(lowered(request, abilities(upstream)).custom),
    )
    writer, accumulator, out = (
        CLIENTS[client].writer(request, HEAD, minted, own_state),
        Accumulator(),
        b"",
    )
    for event in STREAMS[upstream]:
        deltas: list[Delta] = raising.read(reader.read(sse.event(json.dumps(event).encode())))
        for delta in deltas:
            accumulator.add(delta)
        out += writer.write(deltas)
    out += writer.end()
    turn = accumulator.turns()[0]
    (call,) = turn.calls
    raw = client != "messages" or upstream == "responses"  # Messages clients have no custom tools
    assert (turn.text, call.id, call.name, call.custom) == ("so", "x", "ApplyPatch", raw)
    assert (call.arguments if raw else json.loads(call.arguments)["input"]) == PATCH
    assert turn.reasoning is not None
    assert turn.reasoning.text == "think"
    if client == "chat":
        choices, usage = read_chat(out)
        assert (choices[0].text, choices[0].calls[0]["arguments"]) == ("so", PATCH)
        assert (choices[0].reasoning, usage is None) == ("think", False)
    else:
        read = {"responses": read_responses, "messages": read_messages}[client]
        assert said(client, json.dumps(read(out)).encode()) == ("so", "ApplyPatch", PATCH)


def test_what_is_no_answer_of_an_upstream_is_none() -> None:
    assert [upstream.whole(b"<html>") for upstream in UPSTREAMS.values()] == [None, None, None]


def test_an_error_in_a_whole_answer_is_kept() -> None:
    for upstream in UPSTREAMS.values():
        found = upstream.whole(b'{"error":{"message":"m","code":429}}')
        assert found is not None
        assert found.error is not None
        assert found.error.status == 429


def test_abilities_decide_how_a_body_is_written() -> None:
    request = asked("chat", max_tokens=7)
    able = Abilities(completion_tokens=True, encrypted_reasoning=False)
    bodies = {
        name: json.loads(upstream.encode(request, "up", able))
        for name, upstream in UPSTREAMS.items()
    }
    assert bodies["chat"]["max_completion_tokens"] == 7
    assert "max_tokens" not in bodies["chat"]
    assert "include" not in bodies["responses"]
    assert bodies["messages"]["max_tokens"] == 7


def test_copies_that_clients_carry_are_opened_or_left_out() -> None:
    thought = Reasoning("hm", "reasoning_content")
    carried = [Reasoning("", "summary", one, "encrypted_content") for one in ("ours", "other")]
    plain = message_of("user", [Text("a")])
    request = Request(
        origin="chat", model="m", messages=[plain, message_of("assistant", [*carried, Text("a")])]
    )
    found = opened(request, lambda copy: thought if copy.opaque == "ours" else None)
    assert found.messages == [plain, message_of("assistant", [thought, Text("a")])]


@pytest.mark.parametrize(
    ("thinking", "output_config", "effort"),
    [
        ({"type": "enabled", "budget_tokens": 2000}, {}, "low"),
        ({"type": "enabled", "budget_tokens": 31_999}, {}, "high"),
        ({"type": "adaptive"}, {"effort": "medium"}, "medium"),
        ({"type": "adaptive"}, {}, None),
        ({"type": "disabled"}, {}, None),
    ],
    ids=str,
)
def test_how_much_a_messages_client_wants_thought_is_an_effort_elsewhere(
    thinking: Json, output_config: Json, effort: str | None
) -> None:
    request = asked(
        "messages", thinking=thinking, output_config=output_config, service_tier="standard_only"
    )
    chat, responses = (
        json.loads(UPSTREAMS[one].encode(request, "up", Abilities()))
        for one in ("chat", "responses")
    )
    assert (chat.get("reasoning_effort"), responses.get("reasoning", {}).get("effort")) == (
        effort,
        effort,
    )
    assert not {"thinking", "output_config", "service_tier"} & (chat.keys() | responses.keys())
