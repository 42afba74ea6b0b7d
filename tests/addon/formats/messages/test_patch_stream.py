"""A Messages stream reaches a Messages client event by event as it came, but for model, ids
and reasoning state.
"""

import json
from typing import Any

import pytest

from addon.formats.messages.patch_stream import PatchStream
from addon.formats.messages.reader import MessagesReader
from addon.formats.neutral.accumulate import Accumulator
from addon.formats.neutral.deltas import Delta, Finish, StreamError
from addon.formats.neutral.problem import Problem
from addon.formats.neutral.turn import Reasoning, Usage
from addon.formats.wire import sse
from tests.addon.formats.messages.test_reader import STREAMED, event, more, start, stop

type Json = dict[str, Any]

END = event("message_stop")
BEGIN = event("message_start", message={"id": "msg_1", "model": "up", "usage": {"input_tokens": 3}})
DONE = event("message_delta", delta={"stop_reason": "end_turn"}, usage={"output_tokens": 4})


def sealed(reasoning: Reasoning) -> str:
    return "" if "\ud83d" in reasoning.text else f"sealed {reasoning.opaque} {reasoning.text}"


def minted(choice: int, at: int, theirs: str) -> str:
    return f"call_{choice}_{at}_{theirs}"


def stream() -> PatchStream:
    return PatchStream(model="named", mint=minted, seal=sealed)


def heard(*events: bytes) -> list[bytes]:
    """What the client gets for each event."""
    relay = stream()
    return [relay.feed(raw)[1] for raw in events]


@pytest.mark.parametrize(
    "raw",
    [
        event("ping"),
        b": comment\n\n",
        b"data: [DONE]\n\n",
        event("of_the_future", x=[1]),
        b'event: of_the_future\r\nid: 7\r\ndata: {"type" : "of_the_future",\r\ndata: "n":1e400}\r\n\r\n',
        start({"type": "server_tool_use", "id": "srvtoolu_1", "name": "web_search", "input": {}}),
        start(
            {"type": "web_search_tool_result", "tool_use_id": "srvtoolu_1", "content": [{"x": 1}]}
        ),
        start({"type": "compaction", "content": None}),
        start({"type": "thinking", "thinking": "", "signature": ""}),
        more("compaction", content="c"),
        more("citations", citation={"start": 1}),
        more("of_the_future"),
        more("text", text="a signature_delta of tool_use"),
        more("input_json", partial_json='{"id": "toolu_1"}'),
        more("signature", signature=""),
        event(
            "message_delta",
            delta={"stop_reason": "new", "container": {"id": "c"}},
            usage={"server_tool_use": {}},
        ),
        event(
            "message_start",
            message={"model": "named", "content": [], "usage": {"cache_creation": {"x": 9}}},
        ),
        b'data: {"type":"content_block_start","index":0,"content_block":{"type":"text","text":"\\u0041\\ud83d"}}\n\n',
    ],
)
def test_an_event_with_nothing_to_change_passes_as_it_came(raw: bytes) -> None:
    assert b"".join(heard(raw, stop())) == raw + stop()


def test_the_model_is_the_one_the_client_named() -> None:
    raw = b'event: message_start\nid: 1\ndata: {"type":"message_start","message":{"model" : "up","usage":{"x": 1.0}}}\n\n'
    assert heard(raw) == [raw.replace(b'"model" : "up"', b'"model":"named"')]


def test_an_event_of_several_lines_keeps_its_other_fields() -> None:
    raw = b'id: 1\nevent: message_start\ndata: {"type":"message_start",\ndata: "message":{"model":"up"}}\nretry: 5\n\n'
    assert heard(raw) == [
        b'id: 1\nevent: message_start\nretry: 5\ndata: {"type":"message_start","message":{"model":"named"}}\n\n'
    ]


def test_each_tool_call_gets_an_id_of_ours() -> None:
    call = {"type": "tool_use", "name": "f", "input": {}, "caller": {"type": "direct"}}
    events = [start(call | {"id": "toolu_1"}), more("input_json", partial_json="{}"), stop()]
    events += [start(call | {"id": "toolu_2"}, 1), stop(1), start(call | {"id": "", "name": ""}, 2)]
    found = [json.loads(sse.data_of(raw) or b"") for raw in heard(*events)]
    ids = [one["content_block"]["id"] for one in found if one["type"] == "content_block_start"]
    assert ids == ["call_0_0_toolu_1", "call_0_1_toolu_2", "call_0_2_"]
    assert all(
        one["content_block"]["caller"] for one in found if one["type"] == "content_block_start"
    )


def test_a_signature_is_the_clients_copy_however_many_pieces_it_comes_in() -> None:
    pieces = [more("signature", signature=piece) for piece in ("si", "gn", "ed")]
    begun = [
        start({"type": "thinking", "thinking": "t", "signature": ""}),
        more("thinking", thinking="u"),
    ]
    ping = event("ping")
    found = heard(*begun, pieces[0], ping, *pieces[1:], stop())
    copy = (
        pieces[0].replace(b'"si"', b'"sealed signed tu"').replace(b": ", b":").replace(b", ", b",")
    )
    assert found[:2] == begun
    assert found[2:-1] == [b"", ping, b"", b""]
    assert found[-1].replace(b": ", b":").replace(b", ", b",") == copy + stop().replace(
        b": ", b":"
    ).replace(b", ", b",")


def test_interleaved_thinking_is_sealed_piece_by_piece() -> None:
    events = []
    for at, text in ((0, "one"), (2, "two")):
        events += [
            start({"type": "thinking", "thinking": "", "signature": ""}, at),
            more("thinking", at, thinking=text),
        ]
        events += [more("signature", at, signature=f"s{at}"), stop(at)]
        events += [
            start({"type": "tool_use", "id": "t", "name": "f", "input": {}}, at + 1),
            stop(at + 1),
        ]
    out = b"".join(heard(*events))
    assert [copy in out for copy in (b"sealed s0 one", b"sealed s2 two")] == [True, True]
    assert b'"s0"' not in out


def test_the_next_block_ends_a_signature_whose_own_end_is_not_told() -> None:
    events = [
        start({"type": "thinking", "thinking": "t"}),
        more("signature", signature="s"),
        more("text", 1, text="a"),
    ]
    found = heard(*events)
    assert found[1] == b""
    assert b"sealed s t" in found[2]
    assert found[2].endswith(events[2])


def test_signatures_of_two_blocks_are_two() -> None:
    blocks = [start({"type": "thinking", "thinking": text}, at) for at, text in enumerate("tu")]
    found = heard(
        *blocks, more("signature", signature="a"), more("signature", 1, signature="b"), stop(1)
    )
    assert [b"sealed a t" in found[3], b"sealed b u" in found[4]] == [True, True]


def test_redacted_thinking_and_whole_blocks_are_copies() -> None:
    whole = {"type": "thinking", "thinking": "t", "signature": "s"}
    found = heard(
        start({"type": "redacted_thinking", "data": "d", "x": 1}), stop(), start(whole, 1)
    )
    assert [json.loads(sse.data_of(found[at]) or b"")["content_block"] for at in (0, 2)] == [
        {"type": "redacted_thinking", "data": "sealed d ", "x": 1},
        whole | {"signature": "sealed s t"},
    ]


def test_a_copy_that_cannot_be_put_into_words_is_not_told() -> None:
    begun = b'data: {"type":"content_block_start","index":0,"content_block":{"type":"thinking","thinking":"\\ud83d"}}\n\n'
    assert heard(begun, more("signature", signature="s"), stop()) == [begun, b"", stop()]


def test_deltas_are_those_of_the_reader_in_the_upstreams_words() -> None:
    relay, reader = stream(), MessagesReader()
    for raw in STREAMED:
        assert relay.feed(raw)[0] == reader.read(raw)
    assert relay.done


def test_an_error_tells_the_client_nothing_yet() -> None:
    relay = stream()
    relay.feed(BEGIN)
    raw = event("error", error={"type": "overloaded_error", "message": "Overloaded"})
    deltas, out = relay.feed(raw)
    assert (deltas, out, relay.done) == (
        [StreamError("Overloaded", 529, "overloaded_error")],
        b"",
        False,
    )


@pytest.mark.parametrize(
    "raw", [b"data: {\n\n", b"data: [1]\n\n", b'data: {"type":"ping","x":"\xff"}\n\n']
)
def test_what_cannot_be_read_is_an_error(raw: bytes) -> None:
    deltas, out = stream().feed(raw)
    assert isinstance(deltas[0], StreamError)
    assert out == b""


def test_the_end_is_told_where_the_upstream_does_not() -> None:
    relay = stream()
    deltas: list[Delta] = [delta for raw in (BEGIN, DONE) for delta in relay.feed(raw)[0]]
    accumulator = Accumulator()
    for delta in deltas:
        accumulator.add(delta)
    assert (relay.done, any(isinstance(delta, Finish) for delta in deltas)) == (False, True)
    assert accumulator.usage == Usage(prompt_tokens=3, completion_tokens=4)
    assert sse.data_of(relay.end()) == b'{"type":"message_stop"}'


def test_a_failure_is_an_event_of_the_format() -> None:
    raw = stream().fail(Problem(status=529, message="Overloaded", code="overloaded"))
    assert json.loads(sse.data_of(raw) or b"")["error"] == {
        "type": "overloaded_error",
        "message": "Overloaded",
    }


def test_pings_keep_an_answer_alive_that_has_begun() -> None:
    relay = stream()
    before = relay.keep_alive
    relay.feed(BEGIN)
    assert (before, sse.name_of(relay.keep_alive)) == (sse.KEEP_ALIVE, "ping")
