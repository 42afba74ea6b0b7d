"""What becomes of an attempt that failed is decided in the order of the ladder."""

import json
from typing import Any

import pytest

from addon.exchange.exchange import Exchange
from addon.exchange.refusal import LADDER, stream_problem
from addon.exchange.verdict import Again
from addon.formats.neutral.deltas import StreamError
from addon.formats.tolerant.error_words import has_shape, message_of
from tests.addon.desk import Desk, error, open_exchange, reply_of, upstream
from tests.addon.exchange.test_exchange_repair import COLD, MISSING
from tests.addon.formats.tolerant.test_error_words import SHAPES
from tests.addon.routing.test_complaints import TOO_LONG


def opened(desk: Desk, **settings: Any) -> Exchange:
    """An exchange with a turn whose reasoning nobody knows, and a second upstream."""
    desk.upstreams = (upstream("one", **settings), upstream("two"))
    return desk.open(COLD)


def test_the_ladder_is_what_its_table_says() -> None:
    steps = ["repair", "signal", "move_on", "blame_keys", "end_trial"]
    assert [step.__name__ for step in LADDER] == steps


def test_what_can_be_mended_is_mended_before_the_next_is_tried(desk: Desk) -> None:
    exchange = opened(desk)
    assert exchange.refused(500, {}, MISSING) == Again()
    assert exchange.candidate.upstream.name == "one"
    assert exchange.refused(500, {}, error("down")) == Again()
    assert exchange.candidate.upstream.name == "two"


def test_a_conversation_that_is_too_long_is_signalled_before_the_next_is_tried(desk: Desk) -> None:
    reply = reply_of(opened(desk, compact_signal=True).refused(429, {}, TOO_LONG["openai"]))
    assert (reply.status, reply.error_class) == (200, "context_overflow")
    assert opened(desk).refused(429, {}, TOO_LONG["openai"]) == Again()


@pytest.mark.parametrize("status", [401, 402, 403, 408, 429, 500, 502, 503, 504, 529])
def test_the_next_is_tried_after_what_it_may_not_refuse(desk: Desk, status: int) -> None:
    assert opened(desk).refused(status, {}, error("no")) == Again()


@pytest.mark.parametrize("status", [400, 404, 413, 422])
def test_the_client_is_told_what_everybody_would_refuse(desk: Desk, status: int) -> None:
    reply = reply_of(opened(desk).refused(status, {}, error("no")))
    assert (reply.status, reply.body, reply.error_class) == (
        status,
        error("no"),
        f"upstream_{status}",
    )


@pytest.mark.parametrize("status", [401, 403])
def test_keys_are_blamed_when_the_last_one_was_refused(desk: Desk, status: int) -> None:
    exchange = opened(desk)
    assert exchange.refused(status, {}, error("no")) == Again()
    reply = reply_of(exchange.refused(status, {}, error("bad key sk-two-secret")))
    assert (reply.status, reply.error_class) == (502, "upstream_auth_error")
    assert "sk-two-secret" not in json.loads(reply.body)["error"]["message"]


PATHS = {
    "chat": "/v1/chat/completions",
    "responses": "/v1/responses",
    "messages": "/v1/messages",
}


def body_for(wire_format: str, stream: bool) -> bytes:
    """A request of a client of this format."""
    words = [{"role": "user", "content": "hi"}]
    question = "input" if wire_format == "responses" else "messages"
    members = {"model": "m", "max_tokens": 9, "stream": stream, question: words}
    return json.dumps(members).encode()


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize("api", PATHS)
@pytest.mark.parametrize("wire_format", PATHS)
@pytest.mark.parametrize(("said", "words"), SHAPES.values(), ids=SHAPES)
def test_an_upstreams_words_reach_every_client_in_its_own_shape(
    desk: Desk, said: bytes, words: str, wire_format: str, api: str, stream: bool
) -> None:
    desk.upstreams = (upstream("one", api=api),)
    headers = {"retry-after": "17", "content-type": "text/html", "x-request-id": "r"}
    for status in (400, 503):
        exchange = open_exchange(
            desk.intake(path=PATHS[wire_format]), body_for(wire_format, stream)
        )
        reply = reply_of(exchange.refused(status, headers, said))
        assert has_shape(wire_format, reply.body)
        assert (words or f"({status})") in message_of(reply.body)
        assert reply.status == status
        assert (reply.headers["retry-after"], reply.headers["x-request-id"]) == ("17", "r")


@pytest.mark.parametrize(
    "labelled",
    [
        {"content-type": "text/event-stream"},
        {"content-type": "text/html; profile=json"},
        {"content-type": "text/html"},
        {},
    ],
)
def test_an_error_that_is_passed_on_is_labelled_what_it_is(
    desk: Desk, labelled: dict[str, str]
) -> None:
    reply = reply_of(desk.open().refused(400, labelled, error("<script>")))
    assert reply.headers == {"content-type": "application/json"}


def test_a_redirect_of_an_upstream_is_its_fault(desk: Desk) -> None:
    exchange = desk.open()
    reply = reply_of(exchange.refused(302, {"location": "http://10.0.0.1/"}, b""))
    assert (reply.status, reply.error_class) == (502, "upstream_302")
    assert "10.0.0.1" not in str(reply)


def test_a_stream_that_failed_names_no_key(desk: Desk) -> None:
    exchange = opened(desk)
    problem = stream_problem(StreamError("bad sk-one-secret \ud800"), exchange.outcome().tries)
    assert "sk-one-secret" not in problem.message
    assert (problem.status, problem.code) == (502, "upstream_error")
