"""What a client and an upstream of the same format say arrives through the gateway, byte for
byte but for what docs/formats.md lists.

Members, blocks, items and events that nobody knows stand anywhere in what is said.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from addon.exchange.exchange import Exchange
from addon.formats.neutral.request import WireFormat
from addon.formats.wire import sse
from addon.formats.wire.splice import elements, members
from addon.formats.wire.surrogates import without_lone_surrogates
from shared.config.schema import ModelRewrite
from tests.addon.desk import Desk, open_exchange, reply_of, upstream
from tests.properties.test_formats import cuts

type Json = dict[str, Any]
type Leaf = tuple[tuple[str | int, ...], bytes]
"""Where a value stands, and its text."""

MINE, THEIRS = "deepseek-v4-pro", "deepseek-v4-pro-0813"
FORMATS: tuple[WireFormat, ...] = ("chat", "responses", "messages")
PATHS = {"chat": "/v1/chat/completions", "responses": "/v1/responses", "messages": "/v1/messages"}
UNKNOWN = "x_unknown"
VALUES = st.sampled_from(
    [
        *(b"1.0e+2", b"-0.0", b"1e400", b"12345678901234567890.10", b"null", b"[ ]", b"true"),
        b'{ "a" : [1.0 , 2] , "a":true,"type":"text"}',
        b'"caf\\u00e9 \\/"',
        b'"\\ud83d alone"',
        '"思考\u2028"'.encode(),
        b'{"type":"reasoning","encrypted_content":"e"}',
    ]
)
EXAMPLES = settings(
    max_examples=settings().max_examples // 2,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)

# -- what is said ----------------------------------------------------------------------------------

SCHEMA: Json = {"type": "object", "properties": {}}
ELEMENTS: dict[WireFormat, dict[str, Json]] = {
    "chat": {
        "messages": {"role": "x_role", "content": "?"},
        "content": {"type": "x_part", "part": 1},
        "tools": {"type": "function", "function": {"name": "x", "parameters": SCHEMA}},
    },
    "responses": {
        "input": {"type": "x_item", "role": "x", "phase": "x"},
        "output": {"type": "x_item", "id": "x_1", "encrypted_content": "x"},
        "content": {"type": "x_part", "text": "x"},
        "tools": {"type": "x_tool"},
    },
    "messages": {
        "content": {"type": "x_block", "content": [{"type": "text", "text": ""}]},
        "tools": {"type": "x_tool_20300101", "name": "x"},
        "edits": {"type": "x_edit"},
    },
}
"""By the array that it stands in: an element that nobody knows."""

REQUESTS: dict[WireFormat, Json] = {
    "chat": {
        "model": MINE,
        "messages": [
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": [{"type": "text", "text": "hi"}]},
        ],
        "tools": [{"type": "function", "function": {"name": "Read", "parameters": SCHEMA}}],
        "stream": False,
        "temperature": 1.0,
    },
    "responses": {
        "model": MINE,
        "instructions": "Be brief.",
        "input": [{"role": "user", "content": [{"type": "input_text", "text": "hi"}]}],
        "tools": [{"type": "function", "name": "Read", "parameters": SCHEMA, "strict": False}],
        "include": ["reasoning.encrypted_content"],
        "reasoning": {"summary": "auto"},
        "store": False,
        "stream": False,
    },
    "messages": {
        "model": MINE,
        "max_tokens": 9000,
        "system": [{"type": "text", "text": "Be brief.", "cache_control": {"type": "ephemeral"}}],
        "messages": [{"role": "user", "content": [{"type": "text", "text": "hi"}]}],
        "tools": [{"name": "Read", "input_schema": SCHEMA, "defer_loading": False}],
        "thinking": {"type": "enabled", "budget_tokens": 2048},
        "context_management": {"edits": []},
        "stream": False,
    },
}
CALL = {"name": "Read", "arguments": "{ }"}
ANSWERS: dict[WireFormat, Json] = {
    "chat": {
        "id": "1",
        "model": THEIRS,
        "choices": [
            {
                "index": 0,
                "message": {
                    "role": "assistant",
                    "content": "a",
                    "reasoning_content": "Because.",
                    "tool_calls": [{"id": "theirs_1", "type": "function", "function": CALL}],
                },
                "finish_reason": "tool_calls",
            }
        ],
        "usage": {"prompt_tokens": 1, "completion_tokens": 2},
    },
    "responses": {
        "id": "resp_theirs",
        "model": THEIRS,
        "status": "completed",
        "store": False,
        "output": [
            {
                "type": "reasoning",
                "id": "rs_theirs",
                "summary": [{"type": "summary_text", "text": "Because."}],
                "encrypted_content": "STATE",
            },
            {
                "type": "message",
                "id": "msg_theirs",
                "role": "assistant",
                "content": [{"type": "output_text", "text": "a", "annotations": []}],
            },
            {"type": "function_call", "id": "fc_theirs", "call_id": "theirs_1", **CALL},
        ],
        "usage": {"input_tokens": 1, "output_tokens": 2},
    },
    "messages": {
        "id": "msg_theirs",
        "type": "message",
        "role": "assistant",
        "model": THEIRS,
        "content": [
            {"type": "thinking", "thinking": "Because.", "signature": "STATE"},
            {"type": "text", "text": "a", "citations": None},
            {"type": "tool_use", "id": "theirs_1", "name": "Read", "input": {}},
        ],
        "stop_reason": "tool_use",
        "usage": {"input_tokens": 1, "output_tokens": 2},
    },
}
OURS = {
    "chat": {"stream_options"},
    "responses": {"include", "store"},
    "messages": set[str](),
}
"""Members of a request that the gateway sets for itself."""

EDITED = {"call_id", "encrypted_content", "id", "model", "signature", "tool_call_id", "tool_use_id"}
"""Members whose values are not the same on both sides."""


def spelled(data: st.DataObject, wire_format: WireFormat, said: object, name: str = "") -> bytes:
    """The value as JSON text, with what nobody knows anywhere in it."""
    if isinstance(said, dict):
        parts = [
            json.dumps(key).encode() + b":" + spelled(data, wire_format, held, key)
            for key, held in said.items()
        ]
        for at in range(data.draw(st.sampled_from([0, 0, 0, 1, 2]))):
            text = b'"%s_%d" : %b' % (UNKNOWN.encode(), at, data.draw(VALUES))
            parts.insert(data.draw(st.integers(0, len(parts))), text)
        return b"{" + b",".join(parts) + b"}"
    if isinstance(said, list):
        parts = [spelled(data, wire_format, held) for held in said]
        stranger = ELEMENTS[wire_format].get(name)
        if stranger and data.draw(st.booleans()):
            text = spelled(data, wire_format, stranger)
            parts.insert(data.draw(st.integers(0, len(parts))), text)
        return b"[" + b",".join(parts) + b"]"
    return json.dumps(said).encode()


STEP = {"index": 0, "finish_reason": None}
TOLD: dict[WireFormat, list[Json]] = {
    "chat": [
        {"model": THEIRS, "choices": [STEP | {"delta": {"role": "assistant", "content": ""}}]},
        {"model": THEIRS, "choices": [STEP | {"delta": {"reasoning_content": "Because."}}]},
        {"model": THEIRS, "choices": [STEP | {"delta": {"content": "a"}, "logprobs": None}]},
        {
            "model": THEIRS,
            "choices": [
                STEP | {"delta": {"tool_calls": [{"index": 0, "id": "theirs_1", "function": CALL}]}}
            ],
        },
        {
            "model": THEIRS,
            "choices": [
                STEP | {"delta": {"tool_calls": [{"index": 0, "function": {"arguments": " "}}]}}
            ],
        },
        {"model": THEIRS, "choices": [STEP | {"delta": {}, "finish_reason": "tool_calls"}]},
        {"model": THEIRS, "choices": [], "usage": {"prompt_tokens": 1, "completion_tokens": 2}},
    ],
    "responses": [
        {"type": "response.created", "response": {"id": "resp_theirs", "model": THEIRS}},
        {
            "type": "response.output_item.added",
            "output_index": 0,
            "item": {"type": "reasoning", "id": "rs_theirs", "summary": []},
        },
        {
            "type": "response.output_item.done",
            "output_index": 0,
            "item": ANSWERS["responses"]["output"][0],
        },
        {
            "type": "response.output_item.added",
            "output_index": 1,
            "item": ANSWERS["responses"]["output"][1] | {"content": []},
        },
        {
            "type": "response.output_text.delta",
            "item_id": "msg_theirs",
            "output_index": 1,
            "content_index": 0,
            "delta": "a",
        },
        {
            "type": "response.output_item.done",
            "output_index": 1,
            "item": ANSWERS["responses"]["output"][1],
        },
        {
            "type": "response.output_item.added",
            "output_index": 2,
            "item": ANSWERS["responses"]["output"][2] | {"arguments": ""},
        },
        {
            "type": "response.function_call_arguments.delta",
            "item_id": "fc_theirs",
            "output_index": 2,
            "delta": "{ }",
        },
        {
            "type": "response.output_item.done",
            "output_index": 2,
            "item": ANSWERS["responses"]["output"][2],
        },
        {"type": "response.completed", "response": ANSWERS["responses"]},
    ],
    "messages": [
        {"type": "message_start", "message": ANSWERS["messages"] | {"content": []}},
        {
            "type": "content_block_start",
            "index": 0,
            "content_block": {"type": "thinking", "thinking": "", "signature": ""},
        },
        {
            "type": "content_block_delta",
            "index": 0,
            "delta": {"type": "thinking_delta", "thinking": "Because."},
        },
        {
            "type": "content_block_delta",
            "index": 0,
            "delta": {"type": "signature_delta", "signature": "STATE"},
        },
        {"type": "content_block_stop", "index": 0},
        {"type": "content_block_start", "index": 1, "content_block": {"type": "text", "text": ""}},
        {
            "type": "content_block_delta",
            "index": 1,
            "delta": {"type": "citations_delta", "citation": {"type": "search_result_location"}},
        },
        {"type": "content_block_delta", "index": 1, "delta": {"type": "text_delta", "text": "a"}},
        {"type": "content_block_stop", "index": 1},
        {
            "type": "content_block_start",
            "index": 2,
            "content_block": ANSWERS["messages"]["content"][2],
        },
        {
            "type": "content_block_delta",
            "index": 2,
            "delta": {"type": "input_json_delta", "partial_json": "{ }"},
        },
        {"type": "content_block_stop", "index": 2},
        {"type": "message_delta", "delta": {"stop_reason": "tool_use"}, "usage": {}},
        {"type": "message_stop"},
    ],
}
"""What the events of a stream say."""


def streamed(data: st.DataObject, wire_format: WireFormat) -> list[bytes]:
    """The events of a stream, with those that nobody knows, and lines beside their data."""
    raws: list[bytes] = []
    for said in TOLD[wire_format]:
        if data.draw(st.booleans()):
            raws.append(b"event: x_event\ndata: %b\n\n" % spelled(data, "chat", {"x": 1}))
        head = data.draw(st.sampled_from([b"", b"id: 7\n", b": hm\nretry: 3\n"]))
        if wire_format != "chat":
            head += b"event: %b\n" % said["type"].encode()
        raws.append(head + b"data: %b\n\n" % spelled(data, wire_format, said))
    return [*raws, b"data: [DONE]\n\n"] if wire_format == "chat" else raws


# -- what is compared ------------------------------------------------------------------------------


def leaves(text: bytes, path: tuple[str | int, ...] = ()) -> Iterator[Leaf]:
    """All values that hold no others, and all that nobody knows, in their order."""
    pairs: list[tuple[str | int, bytes]] = []
    if text.startswith(b"{"):
        pairs = [*members(text)]
    elif text.startswith(b"["):
        pairs = [*enumerate(elements(text))]
    if not pairs or str(path[-1] if path else "").startswith(UNKNOWN):
        yield path, text
    else:
        for key, held in pairs:
            yield from leaves(held, (*path, key))


def edits(before: bytes, after: bytes, ours: set[str]) -> dict[bytes, bytes]:
    """What was edited, new values by old ones, where nothing else was."""
    left, right = (
        [leaf for leaf in leaves(text) if leaf[0][0] not in ours] for text in (before, after)
    )
    assert [path for path, _ in left] == [path for path, _ in right]
    changed: dict[bytes, bytes] = {}
    for (path, old), (_, new) in zip(left, right, strict=True):
        if old != new:
            assert path[-1] in EDITED, path
            assert changed.setdefault(old, new) == new
    return changed


def arriving(text: bytes, wire_format: WireFormat) -> bytes:
    """The text as it comes to an upstream: one of Messages gets no half of a UTF-16 pair."""
    return without_lone_surrogates(text) if wire_format == "messages" else text


class Talk:
    """A client and an upstream of the same format, and the gateway between them."""

    def __init__(self, desk: Desk, wire_format: WireFormat, data: st.DataObject) -> None:
        rewrite = ModelRewrite(from_=MINE, to=THEIRS)
        desk.upstreams = (upstream(api=wire_format, model_rewrites=(rewrite,)),)
        self.desk = desk
        self.wire_format = wire_format
        self.data = data
        self.theirs: dict[bytes, bytes] = {}
        """The upstream's values by the client's."""

    def say(self, body: bytes) -> Exchange:
        """The client's request, of which everything reaches the upstream."""
        exchange = open_exchange(self.desk.intake(path=PATHS[self.wire_format]), body)
        changed = edits(
            arriving(body, self.wire_format), exchange.outgoing.body, OURS[self.wire_format]
        )
        assert changed.pop(json.dumps(MINE).encode()) == json.dumps(THEIRS).encode()
        assert all(self.theirs.get(mine) == their for mine, their in changed.items())
        return exchange

    def answer(self, exchange: Exchange, body: bytes) -> bytes:
        """The upstream's answer, of which everything reaches the client."""
        reply = reply_of(exchange.whole(200, {"content-type": "application/json"}, body))
        assert reply.status == 200
        self.note(edits(body, reply.body, set()))
        return reply.body

    def tell(self, exchange: Exchange, raws: list[bytes]) -> None:
        """The upstream's stream, of which everything reaches the client."""
        stream = exchange.stream({"content-type": "text/event-stream"})
        out = b"".join([stream.feed(chunk) for chunk in self.data.draw(cuts(b"".join(raws)))])
        assert (stream.done, stream.error) == (True, None)
        came = sse.Events().feed(out)
        # What nobody knows may overtake a signature, which is held until it is whole.
        for unknown in (True, False):
            before, after = (
                [raw for raw in one if is_unknown(raw) is unknown] for one in (raws, came)
            )
            for old, new in zip(before, after, strict=True):
                self.note(told_edits(old, new))

    def note(self, changed: dict[bytes, bytes]) -> None:
        self.theirs |= {mine: their for their, mine in changed.items()}
        assert b'"STATE"' not in changed.values()


def is_unknown(raw: bytes) -> bool:
    return sse.name_of(raw) == "x_event"


def told_edits(before: bytes, after: bytes) -> dict[bytes, bytes]:
    """What of an event was edited, where nothing else was."""
    old, new = (sse.data_of(raw) or b"" for raw in (before, after))
    assert before.replace(old, b"") == after.replace(new, b"")
    if not old.startswith(b"{"):
        return {}
    return edits(old, new, set())


def turn_of(wire_format: WireFormat, answer: bytes) -> list[bytes]:
    """The answer as the client puts it into the conversation."""
    found = dict(members(answer))
    if wire_format == "chat":
        return [dict(members(elements(found["choices"])[0]))["message"]]
    if wire_format == "responses":
        return elements(found["output"])
    return [b'{"role":"assistant","content":%b}' % found["content"]]


def result_of(talk: Talk, call_id: str) -> bytes:
    results: dict[WireFormat, Json] = {
        "chat": {"role": "tool", "tool_call_id": call_id, "content": "fine"},
        "responses": {"type": "function_call_output", "call_id": call_id, "output": "fine"},
        "messages": {
            "role": "user",
            "content": [{"type": "tool_result", "tool_use_id": call_id, "content": []}],
        },
    }
    return spelled(talk.data, talk.wire_format, results[talk.wire_format])


def longer(talk: Talk, body: bytes, answer: bytes) -> bytes:
    """The next request of the client, which goes on from the answer."""
    [call_id] = [json.loads(mine) for mine, their in talk.theirs.items() if their == b'"theirs_1"']
    name = "input" if talk.wire_format == "responses" else "messages"
    said = [*turn_of(talk.wire_format, answer), result_of(talk, call_id)]
    parts = [
        (key, b"[" + b" , ".join([*elements(raw), *said]) + b"]" if key == name else raw)
        for key, raw in members(body)
    ]
    return b"{" + b", ".join(json.dumps(key).encode() + b": " + raw for key, raw in parts) + b"}"


def turns_in(wire_format: WireFormat, sent: bytes) -> list[list[Leaf]]:
    """The turn that the upstream has answered, as it gets it back."""
    name = "input" if wire_format == "responses" else "messages"
    *said, _ = elements(dict(members(sent))[name])
    return list(map(leaves_of, said))


def leaves_of(text: bytes) -> list[Leaf]:
    return list(leaves(text))


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Desk:
    return Desk(Path(tmp_path_factory.mktemp("desk")) / "a.db")


@pytest.mark.parametrize("wire_format", FORMATS)
@EXAMPLES
@given(data=st.data())
def test_all_that_is_said_arrives_and_comes_back_the_same(
    desk: Desk, wire_format: WireFormat, data: st.DataObject
) -> None:
    talk = Talk(desk, wire_format, data)
    body = spelled(data, wire_format, REQUESTS[wire_format])
    exchange = talk.say(body)
    said = spelled(data, wire_format, ANSWERS[wire_format])
    answer = talk.answer(exchange, said)
    asked = longer(talk, body, answer)
    sent = talk.say(asked).outgoing.body
    turn = [leaves_of(arriving(raw, wire_format)) for raw in turn_of(wire_format, said)]
    assert turns_in(wire_format, sent)[-len(turn) :] == turn
    assert {talk.say(asked).outgoing.body for _ in range(9)} == {sent}


@pytest.mark.parametrize("wire_format", FORMATS)
@EXAMPLES
@given(data=st.data())
def test_all_that_is_streamed_arrives(
    desk: Desk, wire_format: WireFormat, data: st.DataObject
) -> None:
    talk = Talk(desk, wire_format, data)
    more: Json = {"stream": True}
    if wire_format == "chat":
        more["stream_options"] = {"include_usage": True}
    exchange = talk.say(spelled(data, wire_format, REQUESTS[wire_format] | more))
    talk.tell(exchange, streamed(data, wire_format))
    assert b'"theirs_1"' in talk.theirs.values()
