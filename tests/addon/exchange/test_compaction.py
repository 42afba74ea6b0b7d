"""A conversation that is too long is recognised by what upstreams say, and told as a usage
where that is wanted.
"""

import json

import pytest

from addon.exchange.compaction import is_context_overflow
from addon.exchange.exchange import Exchange
from addon.formats.tolerant.error_body import full_text
from tests.addon.desk import Desk, error, upstream

TOO_LONG = {
    "openai": error(
        "Your input exceeds the context window of this model.", code="context_length_exceeded"
    ),
    "deepseek": error(
        "This model's maximum context length is 131072 tokens. However, you "
        "requested 140000 tokens."
    ),
    "openrouter": error(
        "Provider returned error", metadata={"raw": error("maximum context length is 9").decode()}
    ),
    "anthropic": b'{"type":"error","error":{"type":"invalid_request_error","message":"prompt is too long: 9 > 8"}}',
    "anthropic, with the answer": error(
        "input length and `max_tokens` exceed context limit: 195000 + 21333 > 204698"
    ),
    "kimi": error(
        "Invalid request: Your request exceeded model token limit: 262144 (requested: 269030)"
    ),
    "glm": b'{"error":{"code":"1261","message":"Prompt \xe8\xb6\x85\xe9\x95\xbf"}}',
    "llama.cpp": error("the request exceeds the available context size", n_ctx=4096),
    "xai": error(
        "This model's maximum prompt length is 131072 but the request contains 150000 tokens."
    ),
    "gemini": error(
        "The input token count (1200000) exceeds the maximum number of tokens allowed (1048576)."
    ),
    "minimax": error("invalid params, context window exceeds limit (2013)"),
    "qwen": error("Range of input length should be [1, 129024]"),
}
OTHERS = {
    "rate": error(
        "Request too large for model on tokens per minute (TPM): Limit 10000, Requested 21247"
    ),
    "answer": error("max_tokens must be less than or equal to 16384"),
    "password": error("The password is too long"),
    "number": error("Order 1261 is unknown"),
    "empty": b"",
}


@pytest.mark.parametrize("body", TOO_LONG.values(), ids=TOO_LONG)
def test_a_conversation_that_is_too_long_is_recognised(body: bytes) -> None:
    assert is_context_overflow(full_text(body))


@pytest.mark.parametrize("body", OTHERS.values(), ids=OTHERS)
def test_other_errors_are_not_taken_for_it(body: bytes) -> None:
    assert not is_context_overflow(full_text(body))


def asking(desk: Desk, *, compact_signal: bool = True, **members: object) -> Exchange:
    desk.upstreams = (upstream(compact_signal=compact_signal),)
    return desk.open(**members)


def test_the_answer_is_empty_and_its_usage_says_too_much(desk: Desk) -> None:
    exchange = asking(desk)
    reply = exchange.refused(400, {}, TOO_LONG["openai"])
    assert reply is not None
    found = json.loads(reply.body)
    assert (reply.status, found["usage"]["prompt_tokens"]) == (200, 1_000_000)
    assert found["choices"] == [
        {"index": 0, "message": {"role": "assistant", "content": ""}, "finish_reason": "stop"}
    ]


def test_a_client_that_streams_gets_a_stream(desk: Desk) -> None:
    reply = asking(desk, stream=True, stream_options={"include_usage": True}).refused(
        400, {}, TOO_LONG["kimi"]
    )
    assert reply is not None
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
    assert exchange.error_class == "context_overflow"


@pytest.mark.parametrize(
    "members", [{"compact_signal": False}, {"stream": True}], ids=["off", "usage not asked for"]
)
def test_without_a_usage_to_tell_it_by_the_error_is_told(
    desk: Desk, members: dict[str, bool]
) -> None:
    reply = asking(desk, **members).refused(400, {}, TOO_LONG["deepseek"])
    assert reply is not None
    assert (reply.status, b"maximum context length" in reply.body) == (400, True)


def test_clients_of_other_formats_get_the_error(desk: Desk) -> None:
    desk.upstreams = (upstream(compact_signal=True),)
    exchange = desk.exchange(path="/v1/responses")
    exchange.open(b'{"model": "deepseek-v4-pro", "input": "hi"}')
    reply = exchange.refused(400, {}, TOO_LONG["deepseek"])
    assert reply is not None
    assert reply.status == 400


def test_another_error_is_told_as_ever(desk: Desk) -> None:
    reply = asking(desk).refused(400, {}, OTHERS["answer"])
    assert reply is not None
    assert reply.status == 400
