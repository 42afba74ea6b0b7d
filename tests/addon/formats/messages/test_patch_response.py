"""A whole Messages answer reaches a Messages client as it came, but for model, ids and
reasoning state.
"""

import json
from typing import Any

import pytest

from addon.formats.messages.patch_response import Answer, as_stream, decode
from addon.formats.neutral.turn import Reasoning, ToolCall, Usage
from addon.formats.wire import sse
from addon.formats.wire.splice import value
from tests.support.grammar import read_messages

type Json = dict[str, Any]

CITED = b'{"type":"text","text":"a\\u0041","citations":[ {"type":"x","start":1.0} ]}'
SEARCH = b'{"type":"server_tool_use","id":"srvtoolu_1","name":"web_search","input":{"q": 1e400}}'
FOUND = b'{"type":"web_search_tool_result","tool_use_id":"srvtoolu_1","content":[{"encrypted_content":"e"}]}'
REST = (
    b'"container":{"id":"c" , "expires_at":"t"},"stop_reason":"of_the_future","stop_sequence":null,"usage":'
    b'{"input_tokens":3,"output_tokens":4,"cache_creation":{"ephemeral_1h_input_tokens":9},"server_tool_use":{"x":1}},'
    b'"context_management":{"applied_edits":[]}'
)


def body(*blocks: bytes, model: str = "up") -> bytes:
    head = (
        b'{"id":"msg_1","type":"message","role":"assistant","model":"%b","content":['
        % model.encode()
    )
    return head + b",".join(blocks) + b"]," + REST + b"}"


def read(given: bytes) -> Answer:
    found = decode(given)
    assert found is not None
    return found


def sealed(reasoning: Reasoning) -> str:
    return f"sealed {reasoning.carrier} {reasoning.opaque} {reasoning.text}"


def patched(given: bytes, model: str = "named") -> bytes:
    return read(given).patched(
        model=model, mint=lambda choice, at, theirs: f"call_{choice}_{at}_{theirs}", seal=sealed
    )


@pytest.mark.parametrize("spaced", [False, True])
def test_an_answer_with_nothing_to_change_arrives_as_it_came(spaced: bool) -> None:
    given = body(CITED, SEARCH, FOUND, b'{"type":"compaction","content":null}', b"7", model="named")
    if spaced:
        given = b" " + given.replace(b'"id":"msg_1",', b'"id" : "msg_1" ,\n')
    assert patched(given) == given


def test_only_model_ids_and_state_change() -> None:
    call = b'{"type":"tool_use","name":"f","id":"toolu_%d","input":{"x" : 1.0},"caller":{"type":"direct"}}'
    thought = b'{"type":"thinking","thinking":"t\\u0041","signature":"%b","x":1}'
    hidden = b'{"y":[ ],"type":"redacted_thinking","data":"%b"}'
    given = body(thought % b"s", CITED, call % 1, SEARCH, hidden % b"d", call % 2, FOUND)
    mine = [call.replace(b"toolu_%d", name) for name in (b"call_0_0_toolu_1", b"call_0_1_toolu_2")]
    assert patched(given) == body(
        thought % b"sealed signature s tA",
        CITED,
        mine[0],
        SEARCH,
        hidden % b"sealed redacted_thinking d ",
        mine[1],
        FOUND,
        model="named",
    )


@pytest.mark.parametrize(
    "block",
    [
        b'{"type":"thinking","thinking":"t"}',
        b'{"type":"thinking","thinking":"t","signature":""}',
        b'{"type":"redacted_thinking","data":null}',
    ],
)
def test_reasoning_without_state_stays_as_it_is(block: bytes) -> None:
    assert patched(body(block, model="named")) == body(block, model="named")


def test_an_answer_is_read_for_the_books() -> None:
    found = read(body(b'{"type":"tool_use","id":"toolu_1","name":"f","input":{}}'))
    assert found.turns[0].calls == (ToolCall("toolu_1", "f", "{}"),)
    assert (found.usage, found.error) == (Usage(prompt_tokens=3, completion_tokens=4), None)


def test_an_error_is_an_error() -> None:
    found = read(b'{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}')
    assert found.error is not None
    assert (found.error.status, found.turns) == (529, {})


@pytest.mark.parametrize("given", [b"", b"[]", b"<html>", b'{"content":[}'])
def test_what_is_no_object_is_no_answer(given: bytes) -> None:
    assert decode(given) is None


@pytest.mark.parametrize(
    "given", [b"{}", b'{"content":"x","model":7}', b'{"content":null}', b'{"content":[null,[]]}']
)
def test_odd_answers_are_passed_on(given: bytes) -> None:
    assert json.loads(patched(given)) == json.loads(given) | (
        {"model": "named"} if b"model" in given else {}
    )


# -- as a stream -----------------------------------------------------------------------------------


def test_a_whole_answer_says_the_same_as_a_stream() -> None:
    blocks = [
        b'{"type":"thinking","thinking":"t","signature":"s"}',
        b'{"type":"redacted_thinking","data":"d"}',
        b'{"type":"text","text":"a"}',
        b'{"type":"tool_use","id":"t","name":"f","input":{"x":1}}',
    ]
    head = (
        b'{"id":"msg_1","type":"message","role":"assistant","model":"up","content":['
        + b",".join(blocks)
    )
    given = (
        head
        + b'],"stop_reason":"tool_use","stop_sequence":null,"usage":{"input_tokens":3,"output_tokens":4}}'
    )
    found = read_messages(as_stream(given))
    assert found["content"] == [json.loads(block) for block in blocks]
    assert (found["stop_reason"], found["usage"]["output_tokens"]) == ("tool_use", 4)


def test_a_stream_of_a_whole_answer_leaves_nothing_out() -> None:
    stream = as_stream(body(CITED, FOUND, SEARCH))
    events = [value(sse.data_of(raw) or b"") for raw in sse.Events().feed(stream)]
    begun, end = events[0]["message"], events[-2]
    assert (begun["container"], begun["usage"]["cache_creation"], begun["content"]) == (
        {"id": "c", "expires_at": "t"},
        {"ephemeral_1h_input_tokens": 9},
        [],
    )
    assert end["delta"]["container"] == begun["container"]
    assert (end["usage"], end["context_management"]) == (begun["usage"], {"applied_edits": []})
    assert b'"citations":[ {"type":"x","start":1.0} ]' in stream
    assert b'"content_block":' + FOUND in stream
    assert b'"partial_json":"{\\"q\\": 1e400}"' in stream


@pytest.mark.parametrize("given", [b"{}", b'{"content":null}', b'{"content":[null,{},{"type":7}]}'])
def test_any_answer_becomes_a_stream(given: bytes) -> None:
    assert as_stream(given).endswith(b'event: message_stop\ndata: {"type":"message_stop"}\n\n')
