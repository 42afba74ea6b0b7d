"""A conversation that is too long is told as a usage where that is wanted."""

import json

import pytest

from addon.exchange.exchange import Exchange
from tests.addon.desk import Desk, open_exchange, reply_of, upstream
from tests.addon.routing.test_complaints import OTHERS, TOO_LONG


def asking(desk: Desk, *, compact_signal: bool = True, **members: object) -> Exchange:
    desk.upstreams = (upstream(compact_signal=compact_signal),)
    return desk.open(**members)


def test_the_answer_is_empty_and_its_usage_says_too_much(desk: Desk) -> None:
    exchange = asking(desk)
    reply = reply_of(exchange.refused(400, {}, TOO_LONG["openai"]))
    found = json.loads(reply.body)
    assert (reply.status, found["usage"]["prompt_tokens"]) == (200, 1_000_000)
    assert found["choices"] == [
        {"index": 0, "message": {"role": "assistant", "content": ""}, "finish_reason": "stop"}
    ]


def test_a_client_that_streams_gets_a_stream(desk: Desk) -> None:
    exchange = asking(desk, stream=True, stream_options={"include_usage": True})
    reply = reply_of(exchange.refused(400, {}, TOO_LONG["kimi"]))
    *chunks, done, rest = reply.body.split(b"\n\n")
    assert (reply.headers["content-type"], done, rest) == (
        "text/event-stream",
        b"data: [DONE]",
        b"",
    )
    said, usage = (json.loads(chunk[6:]) for chunk in chunks)
    assert (said["choices"][0]["finish_reason"], usage["choices"]) == ("stop", [])
    assert usage["usage"]["prompt_tokens"] == 1_000_000


def test_nothing_is_counted_for_it(desk: Desk) -> None:
    exchange = asking(desk)
    exchange.refused(400, {}, TOO_LONG["glm"])
    outcome = exchange.outcome()
    assert (outcome.usage, outcome.sent_bytes, outcome.turns) == (None, 0, {})
    assert exchange.outcome().error_class == "context_overflow"


@pytest.mark.parametrize(
    "members", [{"compact_signal": False}, {"stream": True}], ids=["off", "usage not asked for"]
)
def test_without_a_usage_to_tell_it_by_the_error_is_told(
    desk: Desk, members: dict[str, bool]
) -> None:
    reply = reply_of(asking(desk, **members).refused(400, {}, TOO_LONG["deepseek"]))
    assert (reply.status, b"maximum context length" in reply.body) == (400, True)


def test_clients_of_other_formats_get_the_error(desk: Desk) -> None:
    desk.upstreams = (upstream(compact_signal=True),)
    exchange = open_exchange(
        desk.intake(path="/v1/responses"), b'{"model": "deepseek-v4-pro", "input": "hi"}'
    )
    reply = reply_of(exchange.refused(400, {}, TOO_LONG["deepseek"]))
    assert reply.status == 400


def test_another_error_is_told_as_ever(desk: Desk) -> None:
    reply = reply_of(asking(desk).refused(400, {}, OTHERS["answer"]))
    assert reply.status == 400
