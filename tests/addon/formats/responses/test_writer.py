"""Any upstream's answer in the words of the Responses API, as clients of that API read them."""

import json
from typing import Any

import pytest

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
from addon.formats.neutral.protocols import Head, Seal
from addon.formats.neutral.request import Request, Thinking, Tool
from addon.formats.neutral.turn import Reasoning, Turn, Usage
from addon.formats.responses.usage import usage_object
from addon.formats.responses.writer import ResponsesWriter, encode
from tests.support.grammar import events, read_responses

type Json = dict[str, Any]

HEAD = Head("abc", 7, "m")
USAGE = Usage(prompt_tokens=9, completion_tokens=5, reasoning_tokens=2)
SEARCH = {
    "type": "web_search_call",
    "id": "ws",
    "status": "completed",
    "action": {"type": "search", "query": "q"},
}


def asking(*, summary: str = "", include: tuple[str, ...] = (), **more: Any) -> Request:
    thinking = Thinking(summary=summary)
    return Request(
        origin="responses", model="m", messages=[], thinking=thinking, include=include, **more
    )


def minted(choice: int, index: int, upstreams: str) -> str:
    return f"minted {choice}.{index} {upstreams}"


def sealed(reasoning: Reasoning) -> str:
    return f"sealed {reasoning.text} {reasoning.field} {reasoning.opaque}"


def writer(request: Request | None = None, seal: Seal = sealed) -> ResponsesWriter:
    return ResponsesWriter(request or asking(), HEAD, mint=minted, seal=seal)


def streamed(*deltas: Delta, request: Request | None = None) -> bytes:
    writing = writer(request)
    return writing.write(list(deltas)) + writing.end()


def output(*deltas: Delta, request: Request | None = None, reason: str = "stop") -> list[Json]:
    found: list[Json] = read_responses(streamed(*deltas, Finish(reason), request=request))["output"]
    return found


def test_all_kinds_of_items_stand_in_their_order_under_ids_of_their_own() -> None:
    found = output(
        ReasoningDelta("r", "reasoning_content"),
        TextDelta("a\ud83d"),
        CallDelta(0, "x", "f", "{"),
        CallDelta(1, "y", "g", "raw", custom=True),
        CallDelta(0, arguments="}"),
        ForeignItem("responses", SEARCH),
        TextDelta("b"),
        RefusalDelta("no"),
    )
    assert [(item["type"], item["id"]) for item in found] == [
        ("reasoning", "rs_abc0"),
        ("message", "msg_abc1"),
        ("function_call", "fc_abc2"),
        ("custom_tool_call", "ctc_abc3"),
        ("web_search_call", "ws"),
        ("message", "msg_abc5"),
    ]
    assert (found[2]["call_id"], found[2]["arguments"]) == ("minted 0.0 x", "{}")
    assert (found[3]["call_id"], found[3]["input"]) == ("minted 0.1 y", "raw")
    assert [part["type"] for part in found[5]["content"]] == ["output_text", "refusal"]


@pytest.mark.parametrize(
    ("summary", "include", "item"),
    [
        pytest.param("", (), {"summary": []}, id="neither"),
        pytest.param(
            "auto", (), {"summary": [{"type": "summary_text", "text": "r"}]}, id="to be seen"
        ),
        pytest.param(
            "",
            ("reasoning.encrypted_content",),
            {"summary": [], "encrypted_content": "sealed r reasoning_content "},
            id="to be carried",
        ),
    ],
)
def test_reasoning_is_shown_and_sealed_for_those_who_ask(
    summary: str, include: tuple[str, ...], item: Json
) -> None:
    request = asking(summary=summary, include=include)
    found = output(ReasoningDelta("r", "reasoning_content"), TextDelta("a"), request=request)
    assert found[0] == {"type": "reasoning", "id": "rs_abc0"} | item


def test_what_is_sealed_is_all_of_the_reasoning_with_its_makers_state() -> None:
    request = asking(include=("reasoning.encrypted_content",))
    said: list[Delta] = [
        ReasoningDelta("r", "summary"),
        OpaqueDelta("s", "encrypted_content"),
        TextDelta("a"),
    ]
    assert output(*said, request=request)[0]["encrypted_content"] == "sealed r summary s"


def test_empty_reasoning_is_an_item_once() -> None:
    empty = ReasoningDelta("", "reasoning_content")
    request = asking(summary="auto", include=("reasoning.encrypted_content",))
    found = output(empty, empty, TextDelta("a"), empty, TextDelta("b"), request=request)
    assert [item["type"] for item in found] == ["reasoning", "message"]
    assert found[0] == {
        "type": "reasoning",
        "id": "rs_abc0",
        "summary": [],
        "encrypted_content": "sealed  reasoning_content ",
    }


def test_of_two_names_for_reasoning_one_is_told() -> None:
    said = [ReasoningDelta("r", "reasoning_content"), ReasoningDelta("r", "reasoning")]
    assert output(*said, request=asking(summary="auto"))[0]["summary"] == [
        {"type": "summary_text", "text": "r"}
    ]


@pytest.mark.parametrize(
    ("steps", "arguments"),
    [
        ([CallDelta(0, "x", "f", "{}")], "{}"),
        ([CallDelta(0, "x"), CallDelta(0, "", "f", "{"), CallDelta(0, arguments="}")], "{}"),
        ([CallDelta(0, "x", "f")], ""),
    ],
    ids=["whole", "name after id", "no arguments"],
)
def test_a_call_begins_when_its_name_is_known(steps: list[Delta], arguments: str) -> None:
    (call,) = output(*steps)
    assert (call["name"], call["arguments"], call["status"]) == ("f", arguments, "completed")


@pytest.mark.parametrize(
    ("reason", "status", "details"),
    [
        ("stop", "completed", None),
        ("tool_calls", "completed", None),
        ("length", "incomplete", {"reason": "max_output_tokens"}),
        ("content_filter", "incomplete", {"reason": "content_filter"}),
    ],
)
def test_a_response_ends_as_its_turn_did(reason: str, status: str, details: Json | None) -> None:
    found = read_responses(streamed(TextDelta("a"), Finish(reason), UsageReport(USAGE)))
    assert (found["status"], found["incomplete_details"]) == (status, details)
    assert found["output"][0]["status"] == status
    assert found["usage"] == usage_object(USAGE)


def test_a_failure_keeps_what_was_said() -> None:
    writing = writer()
    begun = writing.write([TextDelta("a")])
    found = read_responses(begun + writing.fail(Problem(status=429, message="m", code="x")))
    assert found["error"] == {"code": "rate_limit_exceeded", "message": "m"}
    assert found["output"][0]["content"][0]["text"] == "a"
    assert found["output"][0]["status"] == "incomplete"


def test_a_stream_begins_before_anything_is_said() -> None:
    assert [name for name, _ in events(writer().write([]))] == [
        "response.created",
        "response.in_progress",
    ]
    assert read_responses(writer().end())["output"] == []
    assert (
        read_responses(writer().fail(Problem(status=502, message="m", code="x")))["status"]
        == "failed"
    )


def test_only_the_first_choice_is_told_and_errors_are_the_callers_to_tell() -> None:
    assert output(TextDelta("b", choice=1), StreamError("m"), Finish("stop", 1)) == []


def test_a_response_says_what_was_asked() -> None:
    request = asking(
        summary="auto",
        tools=(Tool(name="f", parameters={"type": "object"}, strict=True),),
        parallel_tool_calls=False,
        max_tokens=9,
        temperature=0.5,
        metadata={"k": "v"},
        extra={"truncation": "auto"},
        store=False,
    )
    found = read_responses(streamed(request=request))
    assert found["tools"] == [
        {"type": "function", "name": "f", "parameters": {"type": "object"}, "strict": True}
    ]
    assert (found["parallel_tool_calls"], found["max_output_tokens"], found["temperature"]) == (
        False,
        9,
        0.5,
    )
    assert (found["metadata"], found["truncation"], found["store"]) == ({"k": "v"}, "auto", False)
    assert (found["id"], found["created_at"], found["model"]) == ("resp_abc", 7, "m")


class Keeping:
    """What was given to be stored, and how much of the answer was told before."""

    def __init__(self) -> None:
        self.kept: list[tuple[str, Json]] = []

    def keep(self, request: Request, answer_id: str, response: bytes) -> None:
        self.kept.append((answer_id, json.loads(response)))

    def writer(self, **more: Any) -> ResponsesWriter:
        head = Head("abc", 7, "m", self.keep)
        return ResponsesWriter(asking(**{"own_items": []} | more), head, mint=minted, seal=sealed)


def test_an_answer_is_stored_as_it_was_told_before_its_end_is_seen() -> None:
    keeping = Keeping()
    writing = keeping.writer()
    begun = writing.write([TextDelta("a"), Finish("stop"), UsageReport(USAGE)])
    assert keeping.kept == []
    told = read_responses(begun + writing.end())
    assert keeping.kept == [("resp_abc", told)]
    assert told["store"] is True


@pytest.mark.parametrize(
    "include", [(), ("reasoning.encrypted_content",)], ids=["not to be carried", "to be carried"]
)
def test_what_is_stored_has_the_state_whether_the_client_wants_to_see_it_or_not(
    include: tuple[str, ...],
) -> None:
    keeping = Keeping()
    writing = keeping.writer(include=include)
    begun = writing.write([ReasoningDelta("r", "reasoning_content"), Finish("stop")])
    (told,) = read_responses(begun + writing.end())["output"]
    assert keeping.kept[0][1]["output"][0] == told | {
        "encrypted_content": "sealed r reasoning_content "
    }
    assert ("encrypted_content" in told) == bool(include)


def test_a_failure_is_stored_as_one() -> None:
    keeping = Keeping()
    keeping.writer().fail(Problem(status=502, message="m", code="x"))
    [(_, kept)] = keeping.kept
    assert (kept["status"], kept["error"]["message"]) == ("failed", "m")


def test_nothing_is_stored_of_a_request_that_does_not_want_it_or_where_nothing_is() -> None:
    keeping = Keeping()
    assert read_responses(keeping.writer(own_items=None).end())["store"] is False
    assert keeping.kept == []
    assert read_responses(streamed(request=asking(own_items=[])))["store"] is False


def test_a_whole_answer_is_the_last_word_of_its_stream() -> None:
    turn = Turn(text="a", reasoning=Reasoning("r", "reasoning_content"), finish_reason="stop")
    whole = json.loads(encode(turn, USAGE, asking(), HEAD, mint=minted, seal=sealed))
    said = [
        ReasoningDelta("r", "reasoning_content"),
        TextDelta("a"),
        Finish("stop"),
        UsageReport(USAGE),
    ]
    assert whole == read_responses(streamed(*said))


def test_a_later_call_waits_until_the_one_before_it_is_whole() -> None:
    writing = writer()
    steps: list[list[Delta]] = [
        [CallDelta(0, "x", "f", '{"a":')],
        [CallDelta(1, "y", "g", "{}"), TextDelta("b")],
        [CallDelta(0, arguments="1}")],
        [TextDelta("c"), Finish("tool_calls")],
    ]
    first, second, third, last = map(writing.write, steps)
    assert names(first)[-1] == "function_call_arguments.delta"
    assert second == b""
    assert names(third) == [
        *("function_call_arguments.delta", "function_call_arguments.done", "output_item.done"),
        *("output_item.added", "function_call_arguments.delta"),
        *("function_call_arguments.done", "output_item.done"),
        *("output_item.added", "content_part.added", "output_text.delta"),
    ]
    assert names(last)[0] == "output_text.delta"


def names(stream: bytes) -> list[str]:
    return [name.removeprefix("response.") for name, _ in events(stream)]


def test_what_is_said_after_the_turn_has_finished_is_told_all_the_same() -> None:
    found = read_responses(streamed(TextDelta("a"), Finish("stop"), TextDelta("b")))
    assert [item["content"][0]["text"] for item in found["output"]] == ["a", "b"]


def test_a_call_that_never_becomes_whole_holds_back_nothing_for_good() -> None:
    said = [CallDelta(0, "x", "f", "{cut"), TextDelta("a"), CallDelta(1, "y", "g")]
    assert [item["type"] for item in output(*said)] == ["function_call", "message", "function_call"]
