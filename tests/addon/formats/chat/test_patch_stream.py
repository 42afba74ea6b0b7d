"""Each event of a chat stream is patched for the client, whatever the upstream's habits."""

import json
from typing import Any

import pytest

from addon.formats.chat.patch_stream import PatchStream
from addon.formats.chat.writer import DONE
from addon.formats.neutral.deltas import (
    CallDelta,
    Delta,
    ReasoningDelta,
    StreamError,
    TextDelta,
    UsageReport,
)
from addon.formats.neutral.turn import Usage
from addon.formats.wire import sse

NOT_JSON = StreamError("The upstream sent an event that is not JSON.", code="upstream_malformed")
THINKING = {
    "type": "thinking",
    "thinking": [{"type": "text", "text": "r"}, {"type": "text", "text": "s"}],
}
WORDLESS = StreamError("The upstream reported an error.")


def stream(*, model: str = "m", hide_usage: bool = False) -> PatchStream:
    return PatchStream(
        model=model, hide_usage=hide_usage, mint=lambda choice, index, _: f"minted {choice}.{index}"
    )


def event(chunk: object) -> bytes:
    return sse.event(json.dumps(chunk).encode())


def chunk(delta: Any, index: Any = 0, **more: Any) -> bytes:
    return event({"id": "1", "model": "m", "choices": [{"index": index, "delta": delta, **more}]})


def deltas_of(raw: bytes, **options: Any) -> list[Delta]:
    return stream(**options).feed(raw)[0]


def patched(raw: bytes, **options: Any) -> bytes:
    return stream(**options).feed(raw)[1]


# -- what is said ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("delta", "expected"),
    [
        pytest.param({"role": "assistant", "content": ""}, [], id="role"),
        pytest.param({"content": None}, [], id="null"),
        pytest.param(
            {"content": "a\u2028data: [DONE]<think>"},
            [TextDelta("a\u2028data: [DONE]<think>")],
            id="text",
        ),
        pytest.param(
            {"reasoning_content": ""},
            [ReasoningDelta("", "reasoning_content")],
            id="empty reasoning",
        ),
        pytest.param(
            {"reasoning_content": None, "content": "a"}, [TextDelta("a")], id="null reasoning"
        ),
        pytest.param(
            {"reasoning_text": "r"}, [ReasoningDelta("r", "reasoning_text")], id="third name"
        ),
        pytest.param(
            {"reasoning": "r", "reasoning_content": "r"},
            [ReasoningDelta("r", "reasoning_content"), ReasoningDelta("r", "reasoning")],
            id="two names",
        ),
        pytest.param({"reasoning": {"a": 1}, "content": {"x": 1}}, [], id="other shapes"),
        pytest.param({"content": "\ud83d"}, [TextDelta("\ud83d")], id="lone surrogate"),
        pytest.param(
            {"function_call": {"name": "f", "arguments": "{"}},
            [CallDelta(0, name="f", arguments="{")],
            id="legacy",
        ),
    ],
)
def test_a_delta_says_what_its_fields_hold(delta: dict[str, Any], expected: list[Delta]) -> None:
    assert deltas_of(chunk(delta)) == expected
    assert patched(chunk(delta)) == chunk(delta)


@pytest.mark.parametrize(
    "shape",
    [
        pytest.param({"choices": []}, id="no choices"),
        pytest.param({"choices": None}, id="null choices"),
        pytest.param({"choices": [{"index": 0}]}, id="no delta"),
        pytest.param({"choices": [{"delta": None}]}, id="null delta"),
        pytest.param({"choices": "x"}, id="text as choices"),
        pytest.param({"choices": [{"delta": {"tool_calls": [None]}}]}, id="null call"),
        pytest.param({"type": "ping"}, id="another object"),
        pytest.param([1], id="array"),
        pytest.param("x", id="string"),
    ],
)
def test_an_event_of_another_shape_goes_through_as_it_is(shape: object) -> None:
    assert stream(model="other").feed(event(shape)) == ([], event(shape))


@pytest.mark.parametrize(
    "raw", [b": keep-alive\n\n", b"\n\n", b"event: ping\n\n", b"id: 7\n\n", b"retry: 3\n\n"]
)
def test_what_has_no_data_goes_through_as_it_is(raw: bytes) -> None:
    assert stream(model="other").feed(raw) == ([], raw)


@pytest.mark.parametrize(
    "raw", [b"data:\n\n", b"data:   \n\n", b"data: \r\n\r\n", b"id: 7\ndata\n\n"]
)
def test_an_event_with_empty_data_is_dropped(raw: bytes) -> None:
    assert stream().feed(raw) == ([], b"")


@pytest.mark.parametrize(
    "raw", [DONE, b"data:[DONE]\r\n\r\n", b"data: [DONE] \n\n", b"\xef\xbb\xbfdata: [DONE]\n\n"]
)
def test_the_end_is_announced_in_one_form(raw: bytes) -> None:
    reading = stream()
    assert not reading.done
    assert reading.feed(raw) == ([], DONE)
    assert reading.done


# -- usage -----------------------------------------------------------------------------------------

COUNT = {"prompt_tokens": 1, "completion_tokens": 2}
REPORT = UsageReport(Usage(prompt_tokens=1, completion_tokens=2))


def test_the_extra_usage_chunk_is_hidden_from_a_client_that_did_not_ask() -> None:
    extra = event({"model": "n", "choices": [], "usage": COUNT})
    assert stream(hide_usage=True).feed(extra) == ([REPORT], b"")
    assert stream(model="n").feed(extra) == ([REPORT], extra)


@pytest.mark.parametrize(
    ("more", "usage"),
    [({}, COUNT), ({"usage": COUNT}, None), ({"finish_reason": "stop"}, COUNT)],
    ids=["chunk", "choice", "finish"],
)
def test_usage_beside_choices_is_counted_and_stays(more: dict[str, Any], usage: object) -> None:
    raw = event({"choices": [{"index": 0, "delta": {}, **more}], "usage": usage})
    deltas, out = stream(hide_usage=True).feed(raw)
    assert deltas[-1] == REPORT
    assert out == raw


def test_the_count_in_groqs_own_member_is_counted() -> None:
    raw = event({"choices": [{"index": 0, "delta": {}}], "x_groq": {"id": "1", "usage": COUNT}})
    assert stream(hide_usage=True).feed(raw) == ([REPORT], raw)


def test_null_usage_hides_nothing() -> None:
    raw = event({"choices": [], "usage": None})
    assert stream(hide_usage=True).feed(raw) == ([], raw)


# -- the model's name ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        pytest.param(
            b'data: {"model":"up","x":1.0}\n\n',
            b'data: {"model":"m\xc3\xa9","x":1.0}\n\n',
            id="compact",
        ),
        pytest.param(
            b'data: {"x": 1.0, "model": "up"}\n\n',
            b'data: {"x":1.0,"model":"m\xc3\xa9"}\n\n',
            id="spaced",
        ),
        pytest.param(
            b'event: x\r\ndata: { "model" : "up" }\r\n\r\n',
            b'event: x\r\ndata: {"model":"m\xc3\xa9"}\r\n\r\n',
            id="CRLF",
        ),
        pytest.param(
            rb'data: {"model":"\u0075p"}' + b"\n\n",
            b'data: {"model":"m\xc3\xa9"}\n\n',
            id="escaped",
        ),
        pytest.param(
            b'data: {"model": "up","choices":[\ndata: {"delta":{"content":"a"}}]}\n\n',
            b'data: {"model":"m\xc3\xa9","choices":[\ndata: {"delta":{"content":"a"}}]}\n\n',
            id="two lines",
        ),
        pytest.param(b'data: {"model":null}\n\n', b'data: {"model":null}\n\n', id="null"),
        pytest.param(b'data: {"choices":[]}\n\n', b'data: {"choices":[]}\n\n', id="no model"),
        pytest.param(
            rb'data: {"model":"up","a":"\"model\":\"up\"","b":["model","up"]}' + b"\n\n",
            rb'data: {"model":"m'
            + "é".encode()
            + rb'","a":"\"model\":\"up\"","b":["model","up"]}'
            + b"\n\n",
            id="in a text",
        ),
    ],
)
def test_the_client_sees_the_model_it_asked_for(raw: bytes, expected: bytes) -> None:
    assert patched(raw, model="mé") == expected


def test_a_chunk_that_names_the_right_model_stays_byte_identical() -> None:
    raw = b'data: { "model" : "m" , "choices":[ {"delta":{"content":"\\ud83d"}, "x":1e400} ] }\r\n\r\n'
    assert stream().feed(raw) == ([TextDelta("\ud83d")], raw)


# -- errors ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        pytest.param(
            event({"error": {"message": "m", "code": 429}}),
            StreamError("m", 429, "429"),
            id="error",
        ),
        pytest.param(event({"error": "m"}), StreamError("m"), id="text"),
        pytest.param(
            event(
                {"error": {"message": "m", "code": "x"}, "choices": [{"finish_reason": "error"}]}
            ),
            StreamError("m", 502, "x"),
            id="OpenRouter",
        ),
        pytest.param(
            event({"base_resp": {"status_code": 1008, "status_msg": "m"}}),
            StreamError("m", 402, "1008"),
            id="MiniMax",
        ),
        pytest.param(
            event({"code": 1113, "msg": "m", "success": False}),
            StreamError("m", 502, "1113"),
            id="GLM",
        ),
        pytest.param(
            event({"code": 50505, "message": "m", "data": None}),
            StreamError("m", 502, "50505"),
            id="SiliconFlow",
        ),
        pytest.param(
            b'event: error\ndata: {"type":"error","error":{"type":"overloaded_error","message":"m"}}\n\n',
            StreamError("m", 502, "overloaded_error"),
            id="Anthropic",
        ),
        pytest.param(
            b'event: error\ndata: {"message":"m","type":"t"}\n\n',
            StreamError("m"),
            id="named, flat",
        ),
        pytest.param(b'event: error\ndata: {"x":1}\n\n', WORDLESS, id="named, wordless"),
        pytest.param(b'event: error\ndata: "x"\n\n', WORDLESS, id="named, a string"),
        pytest.param(b"event: error\ndata: oops\n\n", WORDLESS, id="named, not JSON"),
        pytest.param(
            event({"choices": [{"index": 0, "error": {"message": "m", "code": 429}}]}),
            StreamError("m", 429, "429"),
            id="in a choice",
        ),
        pytest.param(
            chunk({}, finish_reason="insufficient_system_resource"),
            StreamError(
                "The upstream broke its answer off (insufficient_system_resource).",
                503,
                "insufficient_system_resource",
            ),
            id="DeepSeek's finish reason",
        ),
        pytest.param(event({"choices": [], "x_groq": {"error": "m"}}), StreamError("m"), id="Groq"),
        pytest.param(b"data: {cut\n\n", NOT_JSON, id="cut"),
        pytest.param(b'data: {"model":"\xff"}\n\n', NOT_JSON, id="not UTF-8"),
        pytest.param(
            b'data: {"choices":' + b"[" * 50_000 + b"]" * 50_000 + b"}\n\n", NOT_JSON, id="deep"
        ),
        pytest.param(
            b'data: {"x":' + b"[" * 50_000 + b"]" * 50_000 + b"}\n\n", NOT_JSON, id="deep elsewhere"
        ),
    ],
)
def test_an_error_inside_the_stream_is_recognised_and_kept_back(
    raw: bytes, expected: StreamError
) -> None:
    assert stream().feed(raw) == ([expected], b"")


@pytest.mark.parametrize(
    "more",
    [
        {"error": None},
        {"error": {}},
        {"base_resp": {"status_code": 0, "status_msg": "success"}},
        {"code": 0, "msg": "OK"},
    ],
    ids=str,
)
def test_what_reports_no_error_is_none(more: dict[str, Any]) -> None:
    raw = event({"model": "m", "choices": [{"index": 0, "delta": {"content": "a"}}], **more})
    assert stream().feed(raw) == ([TextDelta("a")], raw)
