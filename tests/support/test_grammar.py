"""The strict readers refuse what a well-formed server would not send."""

import pytest

from addon.formats.answering import Head, own_state
from addon.formats.deltas import CallDelta, Finish, ReasoningDelta, TextDelta, UsageReport
from addon.formats.request import Request, Thinking
from addon.formats.translate import CLIENTS
from addon.formats.turn import Usage
from tests.support.grammar import read_chat, read_responses

REQUEST = Request(origin="chat", model="m", messages=[], usage_asked=True, thinking=Thinking(summary="auto"))
SAID = [
    ReasoningDelta("r", "reasoning_content"),
    TextDelta("a"),
    TextDelta("b"),
    CallDelta(0, "x", "f", "{}"),
    CallDelta(1, "y", "g", "{}"),
    Finish("tool_calls"),
    UsageReport(Usage(prompt_tokens=1)),
]


def minted(choice: int, index: int, upstreams: str) -> str:
    return upstreams


def stream(wire_format: str) -> bytes:
    writer = CLIENTS["chat" if wire_format == "chat" else "responses"].writer(
        REQUEST, Head("i", 1, "m"), minted, own_state
    )
    return writer.write(list(SAID)) + writer.end()


def test_what_is_well_formed_is_read() -> None:
    choices, usage = read_chat(stream("chat"))
    assert (choices[0].text, choices[0].reasoning, len(choices[0].calls), usage is None) == ("ab", "r", 2, False)
    assert [item["type"] for item in read_responses(stream("responses"))["output"]] == [
        *("reasoning", "message", "function_call", "function_call")
    ]


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"data: [DONE]\n\n", b""),
        (b'"role":"assistant",', b""),
        (b'"finish_reason":"tool_calls"', b'"finish_reason":null'),
        (b'"index":1,"id":"y"', b'"index":0,"id":"y"'),
        (b'"type":"function",', b""),
        (b'"model":"m","choices":[]', b'"model":"n","choices":[]'),
        (b'"delta":{"content":"b"}', b'"delta":{"text":"b"}'),
        (b'"prompt_tokens":1,', b""),
    ],
    ids=repr,
)
def test_a_broken_chat_stream_is_not(old: bytes, new: bytes) -> None:
    whole = stream("chat")
    assert old in whole
    with pytest.raises((AssertionError, KeyError, ValueError)):
        read_chat(whole.replace(old, new))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"event: response.in_progress", b"event: response.queued"),
        (b'"sequence_number":3}', b'"sequence_number":4}'),
        (b'"delta":"b"', b'"delta":"c"'),
        (b'"content_index":0', b'"content_index":1'),
        (b'"output_index":1', b'"output_index":2'),
        (b'"item_id":"msg_i1"', b'"item_id":"msg_i2"'),
        (b'"arguments":"{}","sequence', b'"arguments":"","sequence'),
        (b'"status":"completed","error"', b'"status":"failed","error"'),
        (b'"call_id":"x"', b'"call_id":""'),
        (b'"total_tokens":1', b'"total":1'),
        (b'"logprobs":[],"text":"ab"', b'"logprobs":[],"text":"a"'),
    ],
    ids=repr,
)
def test_a_broken_responses_stream_is_not(old: bytes, new: bytes) -> None:
    whole = stream("responses")
    assert old in whole
    with pytest.raises((AssertionError, IndexError, ValueError)):
        read_responses(whole.replace(old, new))


@pytest.mark.parametrize("kind", ["content_part.added", "output_text.done", "output_item.done", "completed"])
def test_no_event_may_be_missing(kind: str) -> None:
    name = f"event: response.{kind}\n".encode()
    blocks = [block for block in stream("responses").split(b"\n\n") if not block.startswith(name)]
    with pytest.raises((AssertionError, IndexError)):
        read_responses(b"\n\n".join(blocks))
