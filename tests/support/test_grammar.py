"""The strict readers refuse what a well-formed server would not send."""

import pytest

from addon.formats.neutral.deltas import CallDelta, Finish, ReasoningDelta, TextDelta, UsageReport
from addon.formats.neutral.protocols import Head
from addon.formats.neutral.request import Request, Thinking, WireFormat
from addon.formats.neutral.turn import Usage
from addon.formats.translate import CLIENTS
from tests.support.grammar import own_state, read_chat, read_messages, read_responses

REQUEST = Request(
    origin="chat",
    model="m",
    messages=[],
    usage_asked=True,
    thinking=Thinking(switch="adaptive", summary="auto"),
)
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


def stream(wire_format: WireFormat) -> bytes:
    writer = CLIENTS[wire_format].writer(REQUEST, Head("i", 1, "m"), minted, own_state)
    return writer.write(list(SAID)) + writer.end()


def test_what_is_well_formed_is_read() -> None:
    choices, usage = read_chat(stream("chat"))
    assert (choices[0].text, choices[0].reasoning, len(choices[0].calls), usage is None) == (
        "ab",
        "r",
        2,
        False,
    )
    assert [item["type"] for item in read_responses(stream("responses"))["output"]] == [
        *("reasoning", "message", "function_call", "function_call")
    ]
    assert [block["type"] for block in read_messages(stream("messages"))["content"]] == [
        *("thinking", "text", "tool_use", "tool_use")
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


@pytest.mark.parametrize(
    "kind", ["content_part.added", "output_text.done", "output_item.done", "completed"]
)
def test_no_event_may_be_missing(kind: str) -> None:
    name = f"event: response.{kind}\n".encode()
    blocks = [block for block in stream("responses").split(b"\n\n") if not block.startswith(name)]
    with pytest.raises((AssertionError, IndexError)):
        read_responses(b"\n\n".join(blocks))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"event: message_start", b"event: message_begin"),
        (b'"type":"message_start"', b'"type":"ping"'),
        (b'"content":[]', b'"content":[{"type":"text","text":"a"}]'),
        (b'"index":1,"content_block"', b'"index":2,"content_block"'),
        (
            b'"content_block":{"type":"text","text":""}',
            b'"content_block":{"type":"text","text":"a"}',
        ),
        (b'"input":{}', b'"input":{"a":1}'),
        (b'"id":"x"', b'"id":""'),
        (b'"partial_json":"{}"', b'"partial_json":"{"'),
        (b'"partial_json":"{}"', b'"partial_json":"[]"'),
        (b'"type":"text_delta","text"', b'"type":"thinking_delta","thinking"'),
        (b'"type":"content_block_stop","index":0', b'"type":"content_block_stop","index":1'),
        (b'"stop_reason":"tool_use"', b'"stop_reason":null'),
        (b'"stop_reason":"tool_use"', b'"stop_reason":"tool_calls"'),
        (b'"output_tokens":0}}\n\nevent: message_stop', b'"tokens":0}}\n\nevent: message_stop'),
    ],
    ids=repr,
)
def test_a_broken_messages_stream_is_not(old: bytes, new: bytes) -> None:
    whole = stream("messages")
    assert old in whole
    with pytest.raises((AssertionError, KeyError, ValueError)):
        read_messages(whole.replace(old, new))


@pytest.mark.parametrize(
    "kind", ["message_start", "content_block_start", "content_block_stop", "message_stop"]
)
def test_no_messages_event_may_be_missing(kind: str) -> None:
    blocks = [
        block
        for block in stream("messages").split(b"\n\n")
        if not block.startswith(f"event: {kind}\n".encode())
    ]
    with pytest.raises((AssertionError, KeyError)):
        read_messages(b"\n\n".join(blocks))
