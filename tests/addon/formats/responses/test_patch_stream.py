"""A Responses client hears a Responses upstream's events as they came, but for what is ours
in them.
"""

import json
from typing import Any

import pytest

from addon.exchange.answer import StreamedAnswer
from addon.formats.neutral.accumulate import Accumulator
from addon.formats.neutral.deltas import Delta, StreamError
from addon.formats.neutral.problem import Problem
from addon.formats.neutral.protocols import Head
from addon.formats.neutral.request import Request
from addon.formats.neutral.turn import Turn, Usage
from addon.formats.responses.patch_stream import PatchStream
from addon.formats.wire import sse
from tests.addon.formats.responses.test_patch_response import (
    CALL,
    CARRYING,
    COMPACTION,
    CUSTOM,
    NAME,
    SAID,
    SEARCH,
    THOUGHT,
    Kept,
    asking,
    body,
    minted,
    ours,
    sealed,
    storing,
)
from tests.support.grammar import read_responses

type Json = dict[str, Any]

PROBLEM = Problem(status=502, message="cut", code="upstream_cut")
DELTA = (
    b'event: response.output_text.delta\ndata: {"type":"response.output_text.delta","item_id":"msg_up",'
    b'"output_index":1,"content_index":0,"delta":"caf\\u00e9",'
    b'"logprobs":[],"obfuscation":"xyz" , "sequence_number":7}\n\n'
)
NOVEL = b'id: 9\r\nevent: codex.rate_limits\r\ndata: {"type" : "codex.rate_limits", "left":1.0e+2}\r\n\r\n'


def event(kind: str, **members: bytes) -> bytes:
    rest = b"".join(b',"%b":%b' % (name.encode(), raw) for name, raw in members.items())
    return b'event: %b\ndata: {"type":"%b"%b}\n\n' % (kind.encode(), kind.encode(), rest)


def begun(kind: str = "created") -> bytes:
    return event(f"response.{kind}", response=body().replace(b'"completed"', b'"in_progress"'))


def added(item: bytes, at: int = 0) -> bytes:
    return event("response.output_item.added", output_index=b"%d" % at, item=item)


def done(item: bytes, at: int = 0) -> bytes:
    return event("response.output_item.done", output_index=b"%d" % at, item=item)


def ended(*items: bytes) -> bytes:
    return event("response.completed", response=body(*items))


def stream(request: Request = CARRYING, kept: Kept | None = None) -> PatchStream:
    head = Head(NAME, 7, "mine", kept.keep if kept else None)
    return PatchStream(request, head, mint=minted, seal=sealed)


def heard(*events: bytes, request: Request = CARRYING, kept: Kept | None = None) -> bytes:
    relay = stream(request, kept)
    return b"".join(relay.feed(raw)[1] for raw in events)


def turn_of(*events: bytes) -> Turn:
    accumulator, relay = Accumulator(), stream()
    for raw in events:
        for delta in relay.feed(raw)[0]:
            accumulator.add(delta)
    assert accumulator.usage == Usage(prompt_tokens=5, completion_tokens=7, cached_tokens=1)
    return accumulator.turns()[0]


def with_call_ids(events: bytes) -> bytes:
    return events.replace(b'"call_up"', b'"call_ours00"').replace(b'"call_up2"', b'"call_ours01"')


# -- what passes -----------------------------------------------------------------------------------

WHOLE = [
    begun(),
    begun("in_progress"),
    added(THOUGHT),
    done(THOUGHT),
    added(SAID, 1),
    DELTA,
    NOVEL,
    done(SAID, 1),
    added(CALL, 2),
    added(CUSTOM, 3),
    event(
        "response.function_call_arguments.delta",
        item_id=b'"fc_up"',
        output_index=b"2",
        delta=b'"{ }"',
    ),
    done(CALL, 2),
    done(CUSTOM, 3),
    added(SEARCH, 4),
    event("response.web_search_call.searching", item_id=b'"ws_up"', output_index=b"4"),
    done(SEARCH, 4),
    done(COMPACTION, 5),
    ended(THOUGHT, SAID, CALL, CUSTOM, SEARCH, COMPACTION),
]


def test_all_but_ids_state_and_model_keeps_its_bytes() -> None:
    assert heard(*WHOLE) == with_call_ids(ours(b"".join(WHOLE))).replace(
        b'"state"', b'"sealed state of rs_up"'
    )


def test_the_turn_is_read_beside() -> None:
    turn = turn_of(*WHOLE)
    assert turn.text == "café"
    assert [call.id for call in turn.calls] == ["call_up", "call_up2"]
    assert turn.finish_reason == "tool_calls"


def test_events_that_say_nothing_to_us_pass() -> None:
    relay = stream()
    relay.feed(done(SEARCH))
    odd = [
        NOVEL,
        b"data: [1]\n\n",
        b"event: ping\n\n",
        b"data: [DONE]\n\n",
        b'data: {"type":7}\n\n',
        b": hm\n\n",
    ]
    assert [relay.feed(raw)[1] for raw in odd] == odd


def test_the_other_fields_of_an_event_keep_their_bytes() -> None:
    [first, *rest] = json.dumps(
        {"type": "response.output_item.added", "output_index": 0, "item": 1}
    ).split(", ")
    lines = [first, *rest[:-1], '"item": ' + CALL.decode() + "}"]
    raw = (
        b": c\nid: 7\n"
        + b"".join(b"data: " + line.encode() + b",\n" for line in lines)[:-2]
        + b"\n\n"
    )
    out = heard(raw)
    assert out.startswith(b": c\nid: 7\ndata: ")
    assert json.loads(sse.data_of(out) or b"")["item"]["call_id"] == "call_ours00"


def test_the_end_is_announced() -> None:
    relay = stream()
    relay.feed(begun())
    assert not relay.done
    relay.feed(ended(SAID))
    assert relay.done
    assert relay.end() == b""


# -- ids -------------------------------------------------------------------------------------------


def test_an_id_is_the_same_wherever_it_stands() -> None:
    later = event("response.novel", call_id=b'"call_up"', response_id=b'"resp_up"')
    assert with_call_ids(ours(later)) == heard(added(CALL), later).removeprefix(heard(added(CALL)))


def test_calls_are_told_apart_where_nothing_says_their_place() -> None:
    first, second = (event("response.output_item.done", item=item) for item in (CALL, CUSTOM))
    assert heard(first, second) == with_call_ids(first + second)


def test_the_end_has_the_copies_that_came_before() -> None:
    numbers = iter(range(9))
    relay = PatchStream(
        CARRYING, Head(NAME, 7, "mine"), mint=minted, seal=lambda reasoning: f"copy {next(numbers)}"
    )
    out = relay.feed(done(THOUGHT))[1] + relay.feed(ended(THOUGHT))[1]
    assert out.count(b'"copy 0"') == 2


def test_no_state_reaches_a_client_that_did_not_ask_for_it() -> None:
    out = heard(added(THOUGHT), done(THOUGHT), ended(THOUGHT), request=asking())
    assert out.count(b"rs_up") == 3
    assert b"encrypted_content" not in out


def test_the_items_of_a_stored_answer_are_named_by_it() -> None:
    kept = Kept()
    out = heard(*WHOLE, request=storing(), kept=kept)
    names = {b"rs_up": b"rs", b"msg_up": b"msg", b"fc_up": b"fc", b"ctc_up": b"ctc"}
    for at, (theirs, prefix) in enumerate(names.items()):
        assert theirs not in out
        assert b'"%b_%b%d"' % (prefix, NAME.encode(), at) in out
    assert b'"item_id":"ws_up"' in out
    [(answer_id, stored)] = kept.responses
    assert answer_id == f"resp_{NAME}"
    assert b'"sealed state of rs_up"' in stored
    assert b'"store":true' in stored
    told = json.loads(out.split(b"data: ")[-1])["response"]
    told["output"][0]["encrypted_content"] = "sealed state of rs_up"
    assert json.loads(stored) == told


# -- what fails ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("raw", "status"),
    [
        (event("error", code=b'"rate_limit_exceeded"', message=b'"slow"'), 429),
        (
            event(
                "response.failed",
                response=b'{"error":{"code":"server_is_overloaded","message":"m"}}',
            ),
            503,
        ),
        (event("response.cancelled", response=b"{}"), 502),
        (b"data: {nonsense\n\n", 502),
        (b'data: {"type":"response.completed","response":{"output":[}}\n\n', 502),
    ],
)
def test_an_error_is_told_by_whoever_asks(raw: bytes, status: int) -> None:
    relay = stream()
    deltas, out = relay.feed(raw)
    assert [delta.status for delta in deltas if isinstance(delta, StreamError)] == [status]
    assert out == b""
    assert not relay.done


def test_what_begins_an_answer_is_held_until_it_says_something() -> None:
    relay = stream()
    assert relay.feed(begun()) == ([], b"")
    assert relay.feed(NOVEL) == ([], b"")
    assert relay.feed(b": alive\n\n") == ([], b": alive\n\n")
    assert relay.feed(DELTA)[1] == ours(begun()) + NOVEL + DELTA


def test_an_answer_that_fails_before_it_began_is_told_from_its_beginning() -> None:
    found = read_responses(stream(asking()).fail(PROBLEM))
    assert (found["status"], found["error"]["message"]) == ("failed", "cut")


def failing(
    *events: bytes, kept: Kept | None = None, request: Request = CARRYING
) -> tuple[bytes, bytes]:
    relay = stream(request, kept)
    return b"".join(relay.feed(raw)[1] for raw in events), relay.fail(PROBLEM)


def test_an_answer_that_fails_tells_what_was_whole() -> None:
    _, out = failing(begun(), added(SAID), DELTA, done(SAID), added(CALL, 1))
    assert sse.name_of(out) == "response.failed"
    assert SAID in out
    found = json.loads(sse.data_of(out) or b"")
    assert found["sequence_number"] == 8
    response = found["response"]
    assert (response["id"], response["model"], response["status"]) == (
        f"resp_{NAME}",
        "mine",
        "failed",
    )
    assert response["error"] == {"code": "server_error", "message": "cut"}
    assert len(response["output"]) == 1
    assert response["novel"] == {"a": [float("inf")]}


def test_an_answer_that_fails_says_first_what_was_held() -> None:
    out, end = failing(begun())
    assert out == b""
    assert end.startswith(ours(begun()) + b"event: response.failed\n")


def test_an_answer_that_fails_is_stored_as_one() -> None:
    kept = Kept()
    failing(begun(), done(THOUGHT), kept=kept, request=storing())
    [(_, stored)] = kept.responses
    assert json.loads(stored)["status"] == "failed"
    assert json.loads(stored)["output"][0]["encrypted_content"] == "sealed state of rs_up"


# -- in an exchange --------------------------------------------------------------------------------


def test_an_exchange_remembers_the_turn_before_its_end_is_seen() -> None:
    turns: list[tuple[str, bool]] = []

    def remember(found: dict[int, Turn], *, complete: bool, durable: bool) -> None:
        turns.extend((turn.text, complete) for turn in found.values())

    answer = StreamedAnswer(stream(), remember=remember)
    out = b"".join(
        answer.feed(b"".join(WHOLE)[at : at + 7]) for at in range(0, len(b"".join(WHOLE)), 7)
    )
    assert out == heard(*WHOLE)
    assert answer.done
    assert turns[-1] == ("café", True)


def test_an_upstream_that_closes_too_soon_has_not_ended_its_answer() -> None:
    answer = StreamedAnswer(stream(), remember=lambda turns, *, complete, durable: None)
    answer.feed(begun() + DELTA)
    assert answer.end() == b""
    assert answer.error is not None


def test_deltas_are_those_of_the_reader() -> None:
    relay = stream()
    found: list[Delta] = relay.feed(DELTA)[0]
    assert len(found) == 1
