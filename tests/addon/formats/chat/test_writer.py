"""Any upstream's answer in the words of Chat Completions, as clients of that API read them."""

import json
from typing import Any

import pytest
from openai.types.chat import ChatCompletion

from addon.formats.chat.response import decode
from addon.formats.chat.writer import ChatWriter, encode, usage_object
from addon.formats.neutral.deltas import (
    CallDelta,
    Delta,
    Finish,
    ForeignItem,
    OpaqueDelta,
    ReasoningDelta,
    RefusalDelta,
    TextDelta,
    UsageReport,
)
from addon.formats.neutral.problem import Problem
from addon.formats.neutral.protocols import Head
from addon.formats.neutral.request import Request, Tool
from addon.formats.neutral.turn import (
    Foreign,
    Reasoning,
    Refusal,
    Text,
    ToolCall,
    Turn,
    Usage,
    turn_of,
)
from tests.support.grammar import ChatHeard, read_chat

HEAD = Head("abc", 7, "m")
USAGE = Usage(
    prompt_tokens=9, completion_tokens=5, reasoning_tokens=2, cached_tokens=4, cache_write_tokens=1
)
REQUEST = Request(origin="chat", model="m", messages=[], tools=(Tool(name="Edit", custom=True),))


def minted(choice: int, index: int, upstreams: str) -> str:
    return f"minted {choice}.{index} {upstreams}"


def streamed(*deltas: Delta, show_usage: bool = False) -> bytes:
    writer = ChatWriter(HEAD, show_usage=show_usage, mint=minted)
    return writer.write(list(deltas)) + writer.end()


def heard(*deltas: Delta) -> ChatHeard:
    return read_chat(streamed(*deltas, Finish("stop")))[0][0]


def whole(turn: Turn, usage: Usage | None = None, request: Request = REQUEST) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(encode({0: turn}, usage, request, HEAD, mint=minted))
    ChatCompletion.model_validate(found)
    return found


def test_a_stream_says_all_that_clients_of_chat_can_hear() -> None:
    found = heard(
        ReasoningDelta("", "summary"),
        ReasoningDelta("r", "summary"),
        OpaqueDelta("s", "encrypted_content"),
        TextDelta("a\ud83d"),
        ForeignItem("responses", {"type": "web_search_call"}),
        CallDelta(0, "x", "f"),
        CallDelta(0, arguments="{}"),
        CallDelta(1, "", "ApplyPatch", "*** raw", custom=True),
        RefusalDelta("no"),
    )
    assert (found.text, found.reasoning, found.refusal, found.finish_reason) == (
        "a\ud83d",
        "r",
        "no",
        "tool_calls",
    )
    assert found.calls == [
        {"id": "minted 0.0 x", "name": "f", "arguments": "{}"},
        {"id": "minted 0.1 ", "name": "ApplyPatch", "arguments": "*** raw"},
    ]


@pytest.mark.parametrize(
    ("deltas", "reasoning"),
    [
        pytest.param(
            [ReasoningDelta("a", "reasoning"), ReasoningDelta("a", "reasoning_content")],
            "a",
            id="two names",
        ),
        pytest.param(
            [ReasoningDelta("a", "x"), TextDelta("t"), ReasoningDelta("b", "x")],
            "ab",
            id="one part",
        ),
        pytest.param(
            [ReasoningDelta("a", "x"), ReasoningDelta("b", "x", part=1)], "a\n\nb", id="two parts"
        ),
        pytest.param(
            [ReasoningDelta("", "x"), ReasoningDelta("b", "x", part=1)], "b", id="first part empty"
        ),
    ],
)
def test_reasoning_is_told_once_and_its_parts_are_paragraphs(
    deltas: list[Delta], reasoning: str
) -> None:
    assert heard(*deltas).reasoning == reasoning


def test_reasoning_keeps_a_name_that_chat_has_and_is_named_once_while_it_is_empty() -> None:
    empty = ReasoningDelta("", "reasoning")
    assert streamed(empty, TextDelta("a"), empty, empty).count(b'"reasoning":""') == 1
    assert b'"reasoning_content":"a"' in streamed(ReasoningDelta("a", "thinking"))


@pytest.mark.parametrize(
    ("reason", "told"),
    [
        ("stop", "stop"),
        ("length", "length"),
        ("content_filter", "content_filter"),
        ("tool_calls", "tool_calls"),
        ("eos", "stop"),
    ],
)
def test_a_finish_reason_is_one_that_clients_know(reason: str, told: str) -> None:
    assert read_chat(streamed(TextDelta("a"), Finish(reason)))[0][0].finish_reason == told
    assert whole(Turn(text="a", finish_reason=reason))["choices"][0]["finish_reason"] == told


def test_choices_are_told_apart() -> None:
    choices, _ = read_chat(
        streamed(TextDelta("a"), TextDelta("b", choice=1), Finish("stop"), Finish("length", 1))
    )
    assert {at: (one.text, one.finish_reason) for at, one in choices.items()} == {
        0: ("a", "stop"),
        1: ("b", "length"),
    }


def test_usage_is_shown_to_those_who_want_it() -> None:
    said = [TextDelta("a"), Finish("stop"), UsageReport(USAGE)]
    assert read_chat(streamed(*said, show_usage=True))[1] == usage_object(USAGE)
    assert read_chat(streamed(*said))[1] is None


def test_a_failure_is_an_error_event_and_the_end() -> None:
    found = ChatWriter(HEAD, show_usage=False, mint=minted).fail(
        Problem(status=502, message="cut", code="upstream_cut")
    )
    assert found.startswith(b'data: {"error":{"message":"cut"')
    assert found.endswith(b"\n\ndata: [DONE]\n\n")


@pytest.mark.parametrize(
    "turn",
    [
        pytest.param(
            Turn(text="a", reasoning=Reasoning("r", "reasoning"), finish_reason="stop"), id="text"
        ),
        pytest.param(
            Turn(calls=(ToolCall("minted 0.0 x", "f", "{}"),), finish_reason="tool_calls"),
            id="call",
        ),
        pytest.param(turn_of([Text("a"), Refusal("no")], "stop"), id="refusal"),
        pytest.param(Turn(finish_reason="stop"), id="nothing"),
    ],
)
def test_a_whole_answer_is_read_back_as_it_was(turn: Turn) -> None:
    own = encode({0: turn}, USAGE, REQUEST, HEAD, mint=lambda choice, index, call_id: call_id)
    found = decode(own)
    assert found is not None
    assert (found.turns, found.usage) == ({0: turn}, USAGE)


def test_a_call_of_a_custom_tool_is_custom_for_those_who_declared_it_so() -> None:
    turn = Turn(calls=(ToolCall("x", "Edit", "raw", custom=True),), finish_reason="tool_calls")
    (call,) = whole(turn)["choices"][0]["message"]["tool_calls"]
    assert call == {
        "id": "minted 0.0 x",
        "type": "custom",
        "custom": {"name": "Edit", "input": "raw"},
    }
    flat = Request(
        origin="chat", model="m", messages=[], tools=(Tool(name="Edit", custom=True, nested=False),)
    )
    (call,) = whole(turn, request=flat)["choices"][0]["message"]["tool_calls"]
    assert call == {
        "id": "minted 0.0 x",
        "type": "function",
        "function": {"name": "Edit", "arguments": "raw"},
    }


def test_a_whole_answer_names_itself_and_leaves_out_what_chat_has_no_place_for() -> None:
    found = whole(turn_of([Foreign("responses", {"type": "x"}), Text("a")], "stop"), USAGE)
    assert (found["id"], found["created"], found["model"]) == ("chatcmpl-abc", 7, "m")
    assert found["choices"][0]["message"] == {"role": "assistant", "content": "a", "refusal": None}
    assert found["usage"] == usage_object(USAGE)


def test_a_whole_answer_has_all_refusals() -> None:
    parts = [Refusal("I "), Text("a"), Refusal("can't.")]
    assert whole(turn_of(parts, "stop"))["choices"][0]["message"]["refusal"] == "I can't."
