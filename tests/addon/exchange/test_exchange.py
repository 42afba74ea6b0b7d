"""One request's life: routed, rewritten, restored, tried again where that helps, answered,
remembered in time.
"""

import gzip
import json
from collections.abc import Callable
from random import Random

import brotli
import pytest
import zstandard

from addon.exchange.exchange import Exchange
from addon.exchange.upstream_request import returned
from addon.exchange.verdict import Again, Reply
from addon.formats.neutral.deltas import StreamError
from addon.formats.wire.inflate import Unreadable
from shared.config.schema import ModelRewrite, Upstream
from shared.model import Limits
from tests.addon.callers import principal, user
from tests.addon.desk import (
    CURSOR,
    MODEL,
    Desk,
    Refused,
    body,
    error,
    open_exchange,
    reply_of,
    streamed,
    upstream,
    whole,
)
from tests.addon.recall.chat import FIELD, Json
from tests.support.turns import Call, Turn, completion, events

CALLING = Turn(reasoning="thought of a call", calls=(Call("call_0", "Read", '{"path": "a.py"}'),))
SAYING = Turn(reasoning="thought of words", text="All of it is done.")


def sent(exchange: Exchange) -> Json:
    """The body of the attempt to make now."""
    found: Json = json.loads(exchange.outgoing.body)
    return found


def carried(exchange: Exchange) -> list[str | None]:
    return [
        message.get(FIELD)
        for message in sent(exchange)["messages"]
        if message["role"] == "assistant"
    ]


def bearer(exchange: Exchange) -> str:
    return dict(exchange.outgoing.headers)["authorization"].removeprefix("Bearer ")


def message_of(reply: Reply | None) -> str:
    assert reply is not None
    return str(json.loads(reply.body)["error"]["message"])


# -- routing ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("headers", "status"), [({}, 503), (CURSOR, 400)], ids=["others", "cursor"]
)
def test_without_an_upstream_the_client_is_told_what_to_do(
    desk: Desk, headers: dict[str, str], status: int
) -> None:
    desk.upstreams = ()
    reply = desk.intake(headers).open(body())
    assert isinstance(reply, Reply)
    assert reply.status == status
    assert "UPSTREAM_BASE_URL" in message_of(reply)


def test_an_unknown_model_is_named_with_the_models_there_are(desk: Desk) -> None:
    rewrite = ModelRewrite(from_="alias", to="mimo-v2")
    desk.upstreams = (
        upstream("one", models=("mimo-v2",), model_rewrites=(rewrite,)),
        upstream("two", models=("glm",)),
    )
    with pytest.raises(Refused) as refused:
        desk.open(model="gpt-9")
    problem = refused.value.problem
    assert (problem.status, problem.code) == (400, "model_not_found")
    assert (
        problem.message
        == "The model 'gpt-9' is not served here. Models there are: mimo-v2, alias, glm."
    )


def test_a_broken_request_is_refused_before_anything_is_tried(desk: Desk) -> None:
    intake = desk.intake()
    assert isinstance(intake.open(b"{"), Reply)
    outcome = intake.outcome()
    assert (outcome.tries, list(outcome.summary())) == ((), [])


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
def test_the_model_is_rewritten_on_the_way_in_and_echoed_on_the_way_back(
    desk: Desk, stream: bool
) -> None:
    desk.upstreams = (upstream(model_rewrites=(ModelRewrite(from_="alias", to=MODEL),)),)
    exchange = desk.open(model="alias", stream=stream)
    assert sent(exchange)["model"] == MODEL
    if stream:
        out = exchange.stream({}).feed(b"".join(events(SAYING, MODEL, Random(1))))
        models = {
            json.loads(line[6:])["model"]
            for line in out.split(b"\n\n")
            if line.startswith(b"data: {")
        }
    else:
        models = {json.loads(whole(exchange, SAYING).body)["model"]}
    assert models == {"alias"}


def test_a_request_that_needs_no_change_keeps_its_bytes(desk: Desk) -> None:
    asked = b'{ "messages" : [ {"role":"user","content":"hi"} ],\n "x": 1.0, "model":"deepseek-v4-pro" }'
    exchange = open_exchange(desk.intake(), asked)
    assert exchange.outgoing.body == asked


# -- what goes out ---------------------------------------------------------------------------------


def test_only_listed_headers_go_out_and_never_a_client_s_credential(desk: Desk) -> None:
    exchange = desk.open(
        headers={
            "authorization": "Bearer sk-client",
            "api-key": "sk-client",
            "x-api-key": "sk-client",
            "cookie": "session=1",
            "user-agent": "ua",
            "accept": "text/event-stream",
            "x-forwarded-for": "10.0.0.1",
            "x-title": "t",
            "host": "gateway",
            "accept-encoding": "br",
            "content-length": "1",
        }
    )
    assert sorted(exchange.outgoing.headers) == sorted(
        {
            "accept": "text/event-stream",
            "user-agent": "ua",
            "x-title": "t",
            "host": "one.example",
            "accept-encoding": "identity",
            "content-type": "application/json",
            "authorization": "Bearer sk-one-secret",
            "content-length": str(len(exchange.outgoing.body)),
        }.items()
    )


def test_an_upstream_s_own_headers_win_whatever_their_case(desk: Desk) -> None:
    desk.upstreams = (
        upstream(
            headers={"Authorization": "Basic own", "User-Agent": "gateway", "Api-Key": "azure"}
        ),
    )
    headers = desk.open(headers={"user-agent": "client"}).outgoing.headers
    names = [name.lower() for name, _ in headers]
    assert len(names) == len(set(names))
    assert {("Authorization", "Basic own"), ("User-Agent", "gateway"), ("Api-Key", "azure")} <= set(
        headers
    )


@pytest.mark.parametrize(
    ("base_url", "where"),
    [
        ("https://a.example", (True, "a.example", 443, "a.example", "/v1/chat/completions")),
        (
            "https://a.example:8443/v4",
            (True, "a.example", 8443, "a.example:8443", "/v4/chat/completions"),
        ),
        ("http://127.0.0.1:80", (False, "127.0.0.1", 80, "127.0.0.1", "/v1/chat/completions")),
        ("http://[::1]:8000", (False, "::1", 8000, "[::1]:8000", "/v1/chat/completions")),
    ],
)
def test_the_attempt_goes_where_the_upstream_is(
    desk: Desk, base_url: str, where: tuple[object, ...]
) -> None:
    desk.upstreams = (upstream(base_url=base_url),)
    out = desk.open().outgoing
    assert (out.tls, out.host, out.port, dict(out.headers)["host"], out.target) == where


def test_an_upstream_without_keys_gets_none(desk: Desk) -> None:
    desk.upstreams = (upstream(api_keys=()),)
    assert "authorization" not in dict(
        desk.open(headers={"authorization": "Bearer sk-client"}).outgoing.headers
    )


# -- what the client is told -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "shown"), [(400, 400), (404, 400), (413, 400), (422, 400), (429, 429), (500, 500)]
)
def test_cursor_gets_what_its_user_must_read_as_400(desk: Desk, status: int, shown: int) -> None:
    reply = reply_of(desk.open(headers=CURSOR).refused(status, {}, error("no")))
    assert (reply.status, message_of(reply)) == (shown, "no")


def test_retry_after_and_request_ids_are_kept_and_other_headers_are_not(desk: Desk) -> None:
    given = {
        "retry-after": "7",
        "x-request-id": "r",
        "x-ratelimit-remaining-tokens": "0",
        "content-type": "application/json",
        "set-cookie": "c=1",
        "server": "s",
        "content-encoding": "identity",
        "x-upstream-account": "secret",
    }
    reply = reply_of(desk.open().refused(429, given, error("slow down")))
    assert reply.status == 429
    assert set(reply.headers) == {
        "retry-after",
        "x-request-id",
        "x-ratelimit-remaining-tokens",
        "content-type",
    }
    assert returned(given) == reply.headers


@pytest.mark.parametrize("status", [400, 404, 500])
def test_keys_are_never_echoed(desk: Desk, status: int) -> None:
    own = {"api-key": "azure-own-key", "X-Auth": "Token other-own-key", "X-Region": "eu"}
    desk.upstreams = (upstream(headers=own),)
    said = "used sk-one-secret, azure-own-key and other-own-key in eu"
    exchange = desk.open()
    told = exchange.stream_problem(StreamError(said)).message
    reply = exchange.refused(status, {}, error(said))
    assert told == message_of(reply) == "used …cret, …-key and …-key in eu"


@pytest.mark.parametrize("coding", ["gzip", "identity"])
def test_a_compressed_refusal_is_read_and_passed_on_plain(desk: Desk, coding: str) -> None:
    packed = gzip.compress(error("no")) if coding == "gzip" else error("no")
    reply = desk.open().refused(400, {"content-encoding": coding}, packed)
    label = {"content-type": "application/json"}
    assert reply == Reply(400, label, error("no"), "upstream_400")


# -- answers ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
def test_an_error_inside_a_200_is_an_error(desk: Desk, stream: bool) -> None:
    desk.upstreams = (upstream(api_keys=("sk-a", "sk-b")),)
    exchange = desk.open(stream=stream)
    assert exchange.whole(200, {}, error("busy", code=429)) == Again()
    assert (bearer(exchange), exchange.outcome().tries[0].outcome) == ("sk-b", "429")
    reply = reply_of(exchange.whole(200, {}, error("busy", code=429)))
    assert (reply.status, message_of(reply)) == (429, "busy")


def test_a_whole_answer_to_a_streamed_request_is_streamed(desk: Desk) -> None:
    messages: list[Json] = [{"role": "user", "content": "hi"}]
    exchange = desk.open(messages, stream=True)
    reply = whole(exchange, CALLING)
    chunks = [
        json.loads(line[6:]) for line in reply.body.split(b"\n\n") if line.startswith(b"data: {")
    ]
    assert (reply.headers["content-type"], reply.body[-14:]) == (
        "text/event-stream",
        b"data: [DONE]\n\n",
    )
    message = {"role": "assistant"} | chunks[0]["choices"][0]["delta"]
    del message[FIELD]
    assert carried(desk.open([*messages, message])) == ["thought of a call"]


@pytest.mark.parametrize(
    ("headers", "answer"),
    [
        ({}, b"<html>"),
        ({}, b"[]"),
        ({}, b""),
        ({"content-encoding": "bz2"}, b"{}"),
        ({"content-encoding": "gzip"}, b"{}"),
    ],
)
def test_an_answer_that_cannot_be_read_is_the_upstream_s_fault(
    desk: Desk, headers: dict[str, str], answer: bytes
) -> None:
    reply = reply_of(desk.open().whole(200, headers, answer))
    assert (reply.status, json.loads(reply.body)["error"]["code"]) == (502, "upstream_malformed")


@pytest.mark.parametrize(
    ("coding", "compress"),
    [("gzip", gzip.compress), ("br", brotli.compress), ("zstd", zstandard.compress)],
    ids=["gzip", "br", "zstd"],
)
def test_a_compressed_answer_is_read(
    desk: Desk, coding: str, compress: Callable[[bytes], bytes]
) -> None:
    body = compress(completion(SAYING, MODEL))
    reply = reply_of(desk.open().whole(200, {"content-encoding": coding}, body))
    assert json.loads(reply.body)["choices"][0]["message"]["content"] == SAYING.text
    with pytest.raises(Unreadable):
        desk.open(stream=True).stream({"content-encoding": "bz2"})


def test_usage_is_known_after_the_answer(desk: Desk) -> None:
    one, other = desk.open(), desk.open(stream=True)
    assert (one.outcome().usage, one.outcome().first_byte) == (None, None)
    whole(one, SAYING)
    streamed(other, SAYING)
    assert one.outcome().usage == other.outcome().usage
    assert one.outcome().usage is not None
    assert one.outcome().usage.prompt_tokens == 100


def test_the_summary_tells_each_message_and_its_turn(desk: Desk) -> None:
    messages: list[Json] = [{"role": "user", "content": "hi"}]
    desk.converse(messages, CALLING)
    messages.append({"role": "assistant", "content": "Said elsewhere."})
    lines = list(desk.open(messages).outcome().summary())
    assert lines[:3] == ["[0] user: hi", "[1] assistant calls=Read turn=id: ", "[2] tool: fine"]
    assert (
        lines[3]
        == "[3] assistant turn=missing no remembered turn has this text here: Said elsewhere."
    )


# -- remembered in time ----------------------------------------------------------------------------


@pytest.mark.parametrize("turn", [CALLING, SAYING], ids=["call", "text"])
def test_a_turn_is_remembered_before_the_client_sees_its_end(desk: Desk, turn: Turn) -> None:
    messages: list[Json] = [{"role": "user", "content": "hi"}]
    answer = desk.open(messages, stream=True).stream({})
    message: Json = {"role": "assistant", "content": turn.text}
    for event in events(turn, MODEL, Random(1)):
        out = answer.feed(event)
        if b'"id":"call_' in out and b"tool_calls" in out:
            made = json.loads(out[6:])["choices"][0]["delta"]["tool_calls"][0]
            message["tool_calls"] = [
                {"id": made["id"], "type": "function", "function": made["function"]}
            ]
            assert carried(desk.open([*messages, message])) == [turn.reasoning]
        if b'"finish_reason":"' in out:
            desk.restart()
            assert carried(desk.open([*messages, message])) == [turn.reasoning]
            return
    pytest.fail("the stream has no end")


def test_a_stopped_stream_is_remembered_as_far_as_it_came(desk: Desk) -> None:
    messages: list[Json] = [{"role": "user", "content": "hi"}]
    answer = desk.open(messages, stream=True).stream({})
    given = Turn(
        reasoning="thought of a stop",
        text="This goes on and on and on, and nobody waits for it. " * 3,
    )
    seen = b"".join(answer.feed(event) for event in events(given, MODEL, Random(1))[:-6])
    answer.stop()
    chunks = [json.loads(line[6:]) for line in seen.split(b"\n\n") if line]
    text = "".join(chunk["choices"][0]["delta"].get("content") or "" for chunk in chunks)
    assert 40 < len(text) < len(given.text)
    desk.restart()
    for known in (text, text[:40]):
        assert carried(desk.open([*messages, {"role": "assistant", "content": known}])) == [
            "thought of a stop"
        ]


# -- what does not matter --------------------------------------------------------------------------

CHANGES: dict[str, Callable[[Upstream], Upstream]] = {
    "key": lambda _: upstream(api_keys=("sk-new",)),
    "address": lambda _: upstream("renamed", base_url="http://10.0.0.1:9/v4"),
    "alias": lambda _: upstream(
        model_rewrites=(ModelRewrite(from_=MODEL, to="deepseek-v4-flash"),)
    ),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_29_another_key_address_or_model_of_the_family(
    desk: Desk, change: Callable[[Upstream], Upstream]
) -> None:
    messages: list[Json] = [{"role": "user", "content": "hi"}]
    desk.converse(messages, CALLING)
    desk.converse(messages, SAYING)
    desk.upstreams = (change(desk.upstreams[0]),)
    exchange = desk.open(messages, reasoning_effort="max", temperature=0)
    assert carried(exchange) == ["thought of a call", "thought of words"]


def test_32_whole_and_streamed_answers_in_one_conversation(desk: Desk) -> None:
    messages: list[Json] = [{"role": "user", "content": "hi"}]
    given = [
        Turn(reasoning=f"thought {at}", text=text)
        for at, text in enumerate(["née\r\n", " b ", "é 🧠", "d"])
    ]
    for at, turn in enumerate(given):
        desk.converse(messages, turn, stream=at % 2 == 1)
        messages.append({"role": "user", "content": f"go on {at}"})
    assert carried(desk.open(messages)) == ["thought 0", "thought 1", "thought 2", "thought 3"]


# -- limits ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "asked",
    [b"{", body(model="unknown"), json.dumps({"model": MODEL}).encode()],
    ids=["no JSON", "model", "messages"],
)
def test_a_request_that_is_refused_counts_for_its_minute_and_holds_nothing(
    desk: Desk, asked: bytes
) -> None:
    desk.upstreams = (upstream(models=(MODEL,)),)
    caller = principal(user(limits=Limits(rpm=1, concurrency=1)))
    intake = desk.intake(principal=caller)
    assert isinstance(intake.open(asked), Reply)
    intake.close()
    again = desk.intake(principal=caller)
    with pytest.raises(Refused, match="Too many requests per minute"):
        open_exchange(again, body())
    assert again.request is None, "it was read"
    desk.memory.clock.ms += 60_000
    open_exchange(desk.intake(principal=caller), body())
