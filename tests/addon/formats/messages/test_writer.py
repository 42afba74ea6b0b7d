"""Any upstream's answer in the words of the Messages API, as clients of that API read them."""

import json
from collections.abc import Iterator
from typing import Any

import anthropic
import httpx2
import pytest

from addon.formats.messages.usage import usage_object
from addon.formats.messages.writer import PING, MessagesWriter, encode
from addon.formats.neutral.deltas import (
    CallDelta,
    Delta,
    Finish,
    ForeignItem,
    OpaqueDelta,
    ReasoningDelta,
    RefusalDelta,
    StreamError,
    TextDelta,
    UsageReport,
)
from addon.formats.neutral.problem import Problem
from addon.formats.neutral.protocols import Head
from addon.formats.neutral.request import Request, Thinking
from addon.formats.neutral.turn import Part, Reasoning, Text, ToolCall, Usage, turn_of
from tests.support.grammar import events, read_messages

type Json = dict[str, Any]

HEAD = Head("abc", 7, "m")
USAGE = Usage(prompt_tokens=9, completion_tokens=5, reasoning_tokens=2, cached_tokens=4)
SEARCH = {"type": "server_tool_use", "id": "s", "name": "web_search", "input": {"query": "q"}}
SHOWN, OMITTED = Thinking(switch="adaptive"), Thinking(switch="adaptive", display="omitted")


def minted(choice: int, index: int, upstreams: str) -> str:
    return f"minted {choice}.{index} {upstreams}"


def sealed(reasoning: Reasoning) -> str:
    return f"sealed {reasoning.text} {reasoning.field} {reasoning.opaque}"


def writer(thinking: Thinking = SHOWN) -> MessagesWriter:
    request = Request(origin="messages", model="m", messages=[], thinking=thinking)
    return MessagesWriter(request, HEAD, mint=minted, seal=sealed)


def streamed(*deltas: Delta, thinking: Thinking = SHOWN) -> bytes:
    writing = writer(thinking)
    return writing.write(list(deltas)) + writing.end()


def content(*deltas: Delta, thinking: Thinking = SHOWN) -> list[Json]:
    found: list[Json] = read_messages(streamed(*deltas, Finish("stop"), thinking=thinking))[
        "content"
    ]
    return found


def test_all_kinds_of_blocks_stand_in_their_order() -> None:
    assert content(
        ReasoningDelta("r", "reasoning_content"),
        TextDelta("a\u2028"),
        CallDelta(0, "x", "f", "{"),
        CallDelta(0, arguments='"y": 1}'),
        ForeignItem("messages", SEARCH),
        TextDelta("b"),
        RefusalDelta("no"),
    ) == [
        {"type": "thinking", "thinking": "r", "signature": "sealed r reasoning_content "},
        {"type": "text", "text": "a\u2028"},
        {"type": "tool_use", "id": "minted 0.0 x", "name": "f", "input": {"y": 1}},
        SEARCH,
        {"type": "text", "text": "b"},
        {"type": "text", "text": "no"},
    ]


@pytest.mark.parametrize(
    ("thinking", "blocks"),
    [
        pytest.param(
            SHOWN,
            [{"type": "thinking", "thinking": "r", "signature": "sealed r thinking s"}],
            id="shown",
        ),
        pytest.param(
            OMITTED,
            [{"type": "thinking", "thinking": "", "signature": "sealed r thinking s"}],
            id="omitted",
        ),
        pytest.param(Thinking(), [], id="not asked for"),
        pytest.param(Thinking(switch="disabled"), [], id="switched off"),
    ],
)
def test_thinking_is_shown_and_sealed_for_those_who_ask(
    thinking: Thinking, blocks: list[Json]
) -> None:
    said: list[Delta] = [
        ReasoningDelta("r", "thinking"),
        OpaqueDelta("s", "signature"),
        TextDelta("a"),
    ]
    assert content(*said, thinking=thinking) == [*blocks, {"type": "text", "text": "a"}]


def test_redacted_thinking_stays_redacted() -> None:
    said: list[Delta] = [
        ReasoningDelta("", "thinking"),
        OpaqueDelta("d", "redacted_thinking"),
        TextDelta("a"),
    ]
    assert content(*said)[0] == {"type": "redacted_thinking", "data": "sealed  thinking d"}


def test_each_part_of_the_reasoning_is_a_block() -> None:
    said = [ReasoningDelta("a", "thinking"), ReasoningDelta("b", "thinking", part=1)]
    assert [block["thinking"] for block in content(*said)] == ["a", "b"]


def test_empty_reasoning_is_a_block_once() -> None:
    empty = ReasoningDelta("", "reasoning_content")
    found = content(empty, empty, TextDelta("a"), empty, TextDelta("b"))
    assert [block["type"] for block in found] == ["thinking", "text"]
    assert found[0] == {
        "type": "thinking",
        "thinking": "",
        "signature": "sealed  reasoning_content ",
    }


def test_of_two_names_for_reasoning_one_is_told() -> None:
    said = [ReasoningDelta("r", "reasoning_content"), ReasoningDelta("r", "reasoning")]
    assert [block["thinking"] for block in content(*said)] == ["r"]


def test_thinking_is_told_as_it_comes() -> None:
    writing = writer()
    writing.write([ReasoningDelta("r", "thinking")])
    assert [name for name, _ in events(writing.write([ReasoningDelta("s", "thinking")]))] == [
        "content_block_delta"
    ]


@pytest.mark.parametrize(
    ("steps", "given"),
    [
        ([CallDelta(0, "x", "f", '{"a":1}')], {"a": 1}),
        ([CallDelta(0, "x"), CallDelta(0, "", "f", "{"), CallDelta(0, arguments="}")], {}),
        ([CallDelta(0, "x", "f")], {}),
        ([CallDelta(0, "x", "f", " "), CallDelta(0, arguments='{"a":1}')], {"a": 1}),
        (
            [CallDelta(0, "x", "f", "*** Begin"), CallDelta(0, arguments=" Patch")],
            {"input": "*** Begin Patch"},
        ),
        ([CallDelta(0, "x", "f", "{raw", custom=True)], {"input": "{raw"}),
    ],
    ids=["whole", "name after id", "no arguments", "blank first", "no object", "custom"],
)
def test_a_calls_arguments_are_an_object(steps: list[Delta], given: Json) -> None:
    (call,) = content(*steps)
    assert (call["name"], call["input"]) == ("f", given)


def test_a_call_that_follows_a_whole_one_is_told_as_it_comes() -> None:
    writing = writer()
    writing.write([CallDelta(0, "x", "f", '{"a":'), CallDelta(0, arguments="1}")])
    told = writing.write([CallDelta(1, "y", "g", "{")])
    assert [name for name, _ in events(told)] == [
        "content_block_stop",
        "content_block_start",
        "content_block_delta",
    ]


def test_a_call_is_held_until_the_one_before_it_is_whole() -> None:
    writing = writer()
    writing.write([CallDelta(0, "x", "f", '{"a":')])
    assert writing.write([CallDelta(1, "y", "g", "{}"), TextDelta("a")]) == b""
    told = [name for name, _ in events(writing.write([CallDelta(0, arguments="1}")]))]
    assert told.count("content_block_start") == 2
    assert told.count("content_block_stop") == 2


@pytest.mark.parametrize(
    ("finish", "calls", "reason", "sequence"),
    [
        (Finish("stop"), False, "end_turn", None),
        (Finish("stop", stop_sequence="END"), False, "stop_sequence", "END"),
        (Finish("stop"), True, "tool_use", None),
        (Finish("tool_calls"), False, "end_turn", None),
        (Finish("length"), True, "max_tokens", None),
        (Finish("content_filter"), False, "refusal", None),
        (Finish("pause_turn"), False, "pause_turn", None),
    ],
    ids=str,
)
def test_a_message_ends_as_its_turn_did(
    finish: Finish, calls: bool, reason: str, sequence: str | None
) -> None:
    said: list[Delta] = [CallDelta(0, "x", "f", "{}")] if calls else [TextDelta("a")]
    found = read_messages(streamed(*said, finish, UsageReport(USAGE)))
    assert (found["stop_reason"], found["stop_sequence"]) == (reason, sequence)
    assert found["usage"] == usage_object(USAGE)


def test_a_count_that_comes_first_is_told_first() -> None:
    _, text = events(writer().write([UsageReport(USAGE), TextDelta("a")]))[0]
    assert json.loads(text)["message"]["usage"] == usage_object(USAGE)


def test_a_stream_begins_before_anything_is_said() -> None:
    assert [name for name, _ in events(writer().write([]))] == ["message_start"]
    found = read_messages(writer().end())
    assert (found["content"], found["stop_reason"]) == ([], "end_turn")
    assert (found["id"], found["model"]) == ("msg_abc", "m")


@pytest.mark.parametrize("begun", [False, True])
def test_a_failure_is_an_error_event(begun: bool) -> None:
    writing = writer()
    told = writing.write([TextDelta("a")]) + PING if begun else b""
    found = read_messages(told + writing.fail(Problem(status=429, message="m", code="x")))
    assert found["error"] == {"type": "rate_limit_error", "message": "m"}


def test_only_the_first_choice_is_told_and_errors_are_the_callers_to_tell() -> None:
    assert content(TextDelta("b", choice=1), StreamError("m"), Finish("stop", 1)) == []


def test_a_whole_answer_is_what_its_stream_builds() -> None:
    parts: list[Part] = [
        Reasoning("r", "thinking", "s", "signature"),
        Text("a"),
        ToolCall("x", "f", '{"y":1}'),
    ]
    request = Request(origin="messages", model="m", messages=[], thinking=SHOWN)
    turn = turn_of(parts, "tool_calls")
    whole = json.loads(encode(turn, USAGE, request, HEAD, mint=minted, seal=sealed))
    said: list[Delta] = [
        ReasoningDelta("r", "thinking"),
        OpaqueDelta("s", "signature"),
        TextDelta("a"),
    ]
    said += [CallDelta(0, "x", "f", '{"y":1}'), Finish("tool_calls"), UsageReport(USAGE)]
    assert whole == read_messages(streamed(*said))


# -- the anthropic package -------------------------------------------------------------------------


def client(pieces: list[bytes]) -> anthropic.Anthropic:
    """A client whose server answers with these pieces."""

    def answer(request: httpx2.Request) -> httpx2.Response:
        return httpx2.Response(
            200, headers={"content-type": "text/event-stream"}, stream=Pieces(pieces)
        )

    transport = httpx2.MockTransport(answer)
    http = httpx2.Client(transport=transport)
    return anthropic.Anthropic(
        api_key="k", base_url="http://gateway.test", http_client=http, max_retries=0
    )


class Pieces(httpx2.SyncByteStream):
    def __init__(self, pieces: list[bytes]) -> None:
        self._pieces = pieces

    def __iter__(self) -> Iterator[bytes]:
        return iter(self._pieces)


def asked(anthropic_client: anthropic.Anthropic) -> anthropic.MessageStreamManager[Any]:
    messages: Any = [{"role": "user", "content": "hi"}]
    return anthropic_client.messages.stream(model="m", max_tokens=99, messages=messages)


def test_the_anthropic_package_reads_what_is_written() -> None:
    writing = writer()
    pieces = [
        writing.write([ReasoningDelta("th", "reasoning_content")]),
        writing.write([ReasoningDelta("ink", "reasoning_content"), TextDelta("so")]),
        PING,
        writing.write([CallDelta(0, "x", "f", '{"a"'), CallDelta(1, "y", "g", "{}")]),
        writing.write([CallDelta(0, arguments=":1}"), Finish("tool_calls"), UsageReport(USAGE)]),
        writing.end(),
    ]
    with asked(client(pieces)) as stream:
        message = stream.get_final_message()
    kept = [block.to_dict() for block in message.content]
    assert kept == read_messages(b"".join(pieces))["content"]
    assert [block["type"] for block in kept] == ["thinking", "text", "tool_use", "tool_use"]
    assert (message.stop_reason, message.usage.cache_read_input_tokens) == ("tool_use", 4)


def test_the_anthropic_package_raises_what_failed() -> None:
    writing = writer()
    pieces = [
        writing.write([TextDelta("a")]),
        writing.fail(Problem(status=529, message="Words.", code="x")),
    ]
    with pytest.raises(anthropic.APIStatusError, match=r"Words\."), asked(client(pieces)) as stream:
        stream.until_done()
