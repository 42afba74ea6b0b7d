"""A Responses client gets a Responses upstream's answer as it came, but for what is ours in it."""

import json
from typing import Any

import pytest

from addon.formats.neutral.protocols import Head
from addon.formats.neutral.request import Request
from addon.formats.neutral.turn import Reasoning, ToolCall, Usage
from addon.formats.responses.patch_response import Answer, as_stream, decode
from addon.formats.responses.request import decode as decode_request
from addon.formats.wire.splice import elements, members
from tests.support.grammar import read_responses
from tests.support.well_formed import check_stream

type Json = dict[str, Any]

NAME = "0123456789abcdef01234567"
SAID = (
    b'{"id":"msg_up","type":"message","status":"completed","role":"assistant","phase":"final_answer",'
    b'"content":[{"type":"output_text","text":"caf\\u00e9",'
    b'"annotations":[{"type":"novel", "at" : 1.0e+2}],"logprobs":[]}]}'
)
CALL = b'{"id":"fc_up","type":"function_call","status":"completed","arguments":"{ }","call_id":"call_up","name":"f"}'
CUSTOM = b'{"id":"ctc_up","type":"custom_tool_call","status":"completed","call_id":"call_up2","input":"raw","name":"g"}'
THOUGHT = b'{"id":"rs_up","type":"reasoning","encrypted_content":"state","summary":[{"type":"summary_text","text":"s"}]}'
QUOTED = b'{"id":"rs_q","type":"reasoning","summary":[],"content":[{"type":"reasoning_text","text":"word"}]}'
COMPACTION = b'{"id":"cmp_up","type":"compaction","encrypted_content":"blob"}'
SEARCH = b'{"id":"ws_up","type":"web_search_call","status":"completed","action":{"type":"search","query":"q"}}'
USAGE = b'{"input_tokens":5,"input_tokens_details":{"cached_tokens":1,"novel":2},"output_tokens":7,"total_tokens":12}'


def body(*items: bytes, more: bytes = b"") -> bytes:
    return (
        b'{"id":"resp_up", "object" : "response","model":"upstreams-2026","status":"completed","store":false,"output":['
        + b",".join(items)
        + b'],"usage":'
        + USAGE
        + b',"created_at":1.5,"error":null,"novel":{ "a" : [1e400] }'
        + more
        + b"}"
    )


def asking(**members: Any) -> Request:
    """A request whose answer is not stored, unless `past` says that answers are."""
    return decode_request(json.dumps({"model": "mine", "input": [], **members}).encode())


def storing(**members: Any) -> Request:
    request = asking(**members)
    request.own_items = []
    return request


CARRYING = asking(include=["reasoning.encrypted_content"])


def minted(choice: int, index: int, call_id: str) -> str:
    return f"call_ours{choice}{index}"


def sealed(reasoning: Reasoning) -> str:
    return f"sealed {reasoning.opaque or reasoning.text} of {reasoning.id}"


class Kept:
    """What was stored."""

    def __init__(self) -> None:
        self.responses: list[tuple[str, bytes]] = []

    def keep(self, request: Request, answer_id: str, response: bytes) -> None:
        self.responses.append((answer_id, response))


def patched(given: bytes, request: Request = CARRYING, kept: Kept | None = None) -> bytes:
    head = Head(NAME, 7, "mine", kept.keep if kept else None)
    answer = decode(given)
    assert answer is not None
    return answer.patched(request, head, mint=minted, seal=sealed)


def ours(given: bytes) -> bytes:
    """The same with what is always ours."""
    ids = given.replace(b"resp_up", b"resp_" + NAME.encode()).replace(b"upstreams-2026", b"mine")
    return ids.replace(b'"object" : ', b'"object":').replace(b', "object"', b',"object"')


# -- reading ---------------------------------------------------------------------------------------


def test_an_answer_is_read_beside() -> None:
    answer = Answer(body(THOUGHT, SAID, CALL))
    assert answer.turns[0].text == "café"
    assert answer.turns[0].calls == (ToolCall("call_up", "f", "{ }"),)
    assert answer.usage == Usage(prompt_tokens=5, completion_tokens=7, cached_tokens=1)
    assert answer.error is None


def test_an_error_is_told() -> None:
    answer = decode(
        b'{"status":"failed","error":{"code":"rate_limit_exceeded","message":"slow down"}}'
    )
    assert answer is not None
    assert answer.error is not None
    assert answer.error.status == 429


@pytest.mark.parametrize("given", [b"", b"[]", b"<html>", b"7"])
def test_what_is_no_answer_is_none(given: bytes) -> None:
    assert decode(given) is None


# -- patching --------------------------------------------------------------------------------------


def test_all_but_ids_and_model_keeps_its_bytes() -> None:
    given = body(SAID, COMPACTION, SEARCH, b'{"type":"novel","id":"x"}', b"7")
    assert patched(given) == ours(given)


def test_an_answer_that_has_our_names_already_keeps_all_its_bytes() -> None:
    given = (
        b'{ "id":"resp_%b", "model":"mine", "output": [ 7 ], "status":"completed" }' % NAME.encode()
    )
    assert patched(given) == given


def test_calls_get_our_ids() -> None:
    given = body(CALL, SAID, CUSTOM, b'{"type":"program_output","call_id":"call_up"}')
    assert patched(given) == ours(given).replace(b'"call_up"', b'"call_ours00"').replace(
        b"call_up2", b"call_ours01"
    )


def test_a_call_without_an_id_gets_one() -> None:
    found = json.loads(patched(body(CALL.replace(b'"call_id":"call_up",', b""))))
    assert found["output"][0]["call_id"] == "call_ours00"


def test_state_is_sealed_for_a_client_that_carries_it() -> None:
    assert patched(body(THOUGHT)) == ours(body(THOUGHT)).replace(
        b'"state"', b'"sealed state of rs_up"'
    )


def test_what_was_thought_word_for_word_is_carried_too() -> None:
    given = body(QUOTED)
    assert patched(given) == ours(given).replace(
        b"]}]", b'],"encrypted_content":"sealed word of "}]', 1
    )


def test_no_state_reaches_a_client_that_did_not_ask_for_it() -> None:
    assert patched(body(THOUGHT), asking()) == ours(body(THOUGHT)).replace(
        b'"encrypted_content":"state",', b""
    )
    assert patched(body(QUOTED), asking()) == ours(body(QUOTED))


def test_reasoning_that_says_nothing_has_no_copy() -> None:
    given = body(b'{"type":"reasoning","id":"rs_e","summary":[],"encrypted_content":null}')
    assert patched(given) == ours(given)


def test_what_can_not_be_sealed_has_no_state() -> None:
    answer = decode(body(THOUGHT))
    assert answer is not None
    found = answer.patched(CARRYING, Head(NAME, 7, "mine"), mint=minted, seal=lambda reasoning: "")
    assert b"encrypted_content" not in found


def test_the_answer_that_was_gone_on_from_is_named() -> None:
    request = asking()
    request.previous_response_id = "resp_before"
    found = dict(members(patched(body(more=b',"previous_response_id":null'), request)))
    assert found["previous_response_id"] == b'"resp_before"'


# -- storing ---------------------------------------------------------------------------------------


def test_a_stored_answer_says_so_and_names_its_items() -> None:
    kept = Kept()
    given = body(THOUGHT, SAID, CALL, COMPACTION)
    found = patched(given, storing(), kept)
    expected = (
        ours(given)
        .replace(b'"store":false', b'"store":true')
        .replace(b'"call_up"', b'"call_ours00"')
    )
    for at, (theirs, prefix) in enumerate(
        [(b"rs_up", b"rs"), (b"msg_up", b"msg"), (b"fc_up", b"fc")]
    ):
        expected = expected.replace(theirs, b"%b_%b%d" % (prefix, NAME.encode(), at))
    assert found == expected.replace(b'"encrypted_content":"state",', b"")
    [(answer_id, stored)] = kept.responses
    assert answer_id == f"resp_{NAME}"
    assert stored == expected.replace(b'"state"', b'"sealed state of rs_up"')


@pytest.mark.parametrize("kept", [Kept(), None])
def test_what_is_not_to_be_stored_keeps_the_ids_of_its_items(kept: Kept | None) -> None:
    request = CARRYING if kept else storing(include=["reasoning.encrypted_content"])
    assert patched(body(SAID, SEARCH), request, kept) == ours(body(SAID, SEARCH))
    assert not (kept and kept.responses)


# -- as a stream -----------------------------------------------------------------------------------


def test_a_whole_answer_becomes_a_stream_that_says_the_same() -> None:
    thought = THOUGHT.replace(b'"encrypted_content":"state",', b"")
    refusal = b'{"type":"refusal","refusal":"no"}'
    declining = SAID.replace(b'"content":[', b'"content":[' + refusal + b",").replace(
        b"novel", b"url_citation"
    )
    cited = declining.replace(
        b'"at" : 1.0e+2', b'"start_index":0,"end_index":1,"title":"t","url":"u"'
    )
    whole = json.loads(body(thought, cited, CALL, CUSTOM).replace(b"1e400", b"1"))
    whole |= {
        "parallel_tool_calls": True,
        "tool_choice": "auto",
        "tools": [],
        "incomplete_details": None,
    }
    whole["usage"] |= {"output_tokens_details": {"reasoning_tokens": 0}}
    whole["usage"]["input_tokens_details"]["cache_write_tokens"] = 0
    assert read_responses(as_stream(json.dumps(whole).encode())) == whole


def test_its_items_keep_their_bytes() -> None:
    given = body(SAID, SEARCH, b'{"type":"novel" , "id":"x"}', QUOTED, b"7")
    stream = as_stream(given)
    for item in elements(dict(members(given))["output"]):
        assert b'"item":' + item + b"," in stream
    assert stream.endswith(
        b'"response":' + given + b',"sequence_number":%d}\n\n' % (stream.count(b"\ndata:") - 1)
    )


def test_an_answer_that_was_cut_ends_as_one() -> None:
    given = body(more=b',"incomplete_details":{"reason":"max_output_tokens"}').replace(
        b'"completed"', b'"incomplete"'
    )
    assert b"event: response.incomplete\n" in as_stream(given)


def test_the_models_own_thoughts_are_told_in_deltas_like_their_summary() -> None:
    content = [{"type": "reasoning_text", "text": said} for said in ("a", "b")]
    summary = [{"type": "summary_text", "text": "s"}]
    thought = {"type": "reasoning", "id": "rs_1", "summary": summary, "content": content}
    whole = {
        "id": "resp_1",
        "object": "response",
        "created_at": 1,
        "status": "completed",
        "model": "m",
        "parallel_tool_calls": True,
        "tool_choice": "auto",
        "tools": [],
        "output": [thought],
    }
    stream = as_stream(json.dumps(whole).encode())
    assert check_stream("responses", stream) == whole
    assert stream.count(b"event: response.reasoning_text.delta\n") == 2
