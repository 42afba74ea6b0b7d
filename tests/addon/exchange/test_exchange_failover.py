"""Which key and which upstream an attempt has, and which one the next, when it is refused."""

import json

import pytest

from addon.exchange.verdict import Again, Reply
from shared.model import Principal
from tests.addon.desk import MODEL, Desk, Refused, error, reply_of, upstream, whole
from tests.addon.exchange.test_exchange import CALLING, SAYING, bearer, carried, message_of, sent
from tests.addon.recall.chat import FIELD, Json


def test_two_bad_keys_and_a_good_one_make_one_answer_and_the_next_request_starts_at_the_good_one(
    desk: Desk,
) -> None:
    desk.upstreams = (upstream(api_keys=("sk-bad-1", "sk-bad-2", "sk-good")),)
    exchange = desk.open()
    assert [exchange.refused(401, {}, error("no")), exchange.refused(401, {}, error("no"))] == [
        Again(),
        Again(),
    ]
    assert whole(exchange, SAYING).status == 200
    assert [one.outcome for one in exchange.outcome().tries] == ["401", "401", "200"]
    assert [bearer(desk.open()) for _ in range(4)] == ["sk-good"] * 4


def test_keys_take_turns(desk: Desk) -> None:
    desk.upstreams = (upstream(api_keys=("sk-a", "sk-b", "sk-c")),)
    assert [bearer(desk.open()) for _ in range(4)] == ["sk-a", "sk-b", "sk-c", "sk-a"]


def test_another_key_of_the_upstream_gets_the_same_bytes(desk: Desk) -> None:
    desk.upstreams = (upstream(api_keys=("sk-a", "sk-b")),)
    exchange = desk.open()
    first = exchange.outgoing.body
    assert exchange.refused(403, {}, b"") == Again()
    assert (exchange.outgoing.body, bearer(exchange)) == (first, "sk-b")


def test_when_all_keys_are_refused_the_operator_is_told_which(desk: Desk) -> None:
    desk.upstreams = (
        upstream("other", api_keys=("sk-other-9999",)),
        upstream(api_keys=("sk-bad-1111", "sk-bad-2222")),
    )
    exchange = desk.open()
    assert exchange.refused(500, {}, b"") == Again()
    assert exchange.refused(401, {}, b"") == Again()
    reply = reply_of(exchange.refused(401, {}, error("Invalid key sk-bad-2222")))
    assert reply.status == 502
    assert "'one' rejected key …1111, …2222 (401)" in message_of(reply)
    assert b"sk-bad" not in reply.body


@pytest.mark.parametrize("status", [401, 402, 403, 408, 429, 500, 502, 503, 529])
def test_what_another_key_may_not_have_goes_to_the_next_one(desk: Desk, status: int) -> None:
    desk.upstreams = (upstream(api_keys=("sk-a", "sk-b")),)
    exchange = desk.open()
    assert exchange.refused(status, {}, error("no")) == Again()
    assert bearer(exchange) == "sk-b"


@pytest.mark.parametrize("status", [400, 404, 409, 413, 415, 422])
def test_what_no_other_key_would_mend_goes_to_the_client(desk: Desk, status: int) -> None:
    desk.upstreams = (upstream(api_keys=("sk-a", "sk-b")),)
    refused = error("messages must not be empty")
    reply = desk.open().refused(status, {"content-type": "application/json"}, refused)
    assert reply == Reply(
        status, {"content-type": "application/json"}, refused, f"upstream_{status}"
    )


def test_an_upstream_that_cannot_be_reached_is_followed_by_the_next(desk: Desk) -> None:
    desk.upstreams = (upstream("one"), upstream("two"))
    exchange = desk.open()
    assert exchange.unreachable("connection refused") == Again()
    assert exchange.outgoing.host == "two.example"
    reply = reply_of(exchange.unreachable("timed out"))
    assert (reply.status, "'two' could not be reached (timed out)" in message_of(reply)) == (
        502,
        True,
    )
    assert desk.open().candidate.upstream.name in ("one", "two")


def test_reasoning_is_restored_anew_for_an_upstream_of_another_profile(desk: Desk) -> None:
    messages: list[Json] = [{"role": "user", "content": "hi"}]
    desk.converse(messages, CALLING)
    desk.upstreams = (upstream("one", profile="glm"), upstream("two", profile="deepseek-v4"))
    exchange = desk.open(messages)
    assert (
        carried(exchange),
        sent(exchange)["messages"][1]["tool_calls"][0]["id"] != "call_0",
    ) == ([None], True)
    assert exchange.refused(500, {}, b"") == Again()
    assert (carried(exchange), sent(exchange)["messages"][1]["tool_calls"][0]["id"]) == (
        ["thought of a call"],
        "call_0",
    )


def test_an_answer_after_failover_belongs_to_the_upstream_that_gave_it(desk: Desk) -> None:
    desk.upstreams = (upstream("one", profile="glm"), upstream("two", profile="kimi"))
    messages: list[Json] = [{"role": "user", "content": "hi"}]
    exchange = desk.open(messages)
    exchange.refused(500, {}, b"")
    messages.append(
        json.loads(whole(exchange, CALLING).body)["choices"][0]["message"] | {FIELD: None}
    )
    desk.upstreams = (upstream("two", profile="kimi"),)
    assert carried(desk.open(messages)) == ["thought of a call"]


def passthrough(name: str = "two") -> Principal:
    key = f"sk-{name}-secret"
    return Principal(
        id="upstream:abc", name="passthrough", key_suffix="cret", upstream=name, upstream_key=key
    )


def test_a_caller_with_an_upstream_s_key_gets_that_upstream_and_key_alone(desk: Desk) -> None:
    desk.upstreams = (
        upstream("one"),
        upstream("two", api_keys=("sk-other", "sk-two-secret")),
        upstream("three"),
    )
    exchange = desk.open(principal=passthrough())
    assert (exchange.outgoing.host, bearer(exchange)) == ("two.example", "sk-two-secret")
    reply = reply_of(exchange.refused(401, {}, error("bad key sk-two-secret")))
    assert (reply.status, b"sk-two" in reply.body) == (401, False)


def test_a_caller_with_an_upstream_s_key_gets_no_other_upstream_s_models(desk: Desk) -> None:
    desk.upstreams = (upstream("one", models=(MODEL,)), upstream("two", models=("glm",)))
    with pytest.raises(Refused, match="not served here"):
        desk.open(principal=passthrough())


def test_a_key_rests_as_long_as_the_upstream_asks(desk: Desk) -> None:
    desk.upstreams = (upstream(api_keys=("sk-a", "sk-b")),)
    desk.open().refused(429, {"retry-after": "30"}, b"")
    desk.memory.clock.ms += 29_000
    assert [bearer(desk.open()) for _ in range(3)] == ["sk-b"] * 3
    desk.memory.clock.ms += 2_000
    assert {bearer(desk.open()) for _ in range(2)} == {"sk-a", "sk-b"}
