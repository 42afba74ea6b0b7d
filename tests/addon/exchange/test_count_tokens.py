"""Questions for the tokens of a request."""

import json
from typing import Any

import pytest

from addon.exchange.count_tokens import CountTokens
from addon.exchange.intake import Intake
from addon.exchange.verdict import Reply
from addon.formats.paths import Endpoint
from shared.config.schema import Snapshot
from shared.model import Limits, Principal
from tests.addon.callers import principal, user
from tests.addon.desk import MODEL, USER, Desk, error, upstream

JSON = {"content-type": "application/json"}
ASKED = {"role": "user", "content": "fix it " * 400}
ANTHROPIC = upstream("anthropic", base_url="https://api.anthropic.com", api="messages")


def intake(desk: Desk, caller: Principal = USER) -> Intake:
    """A question of which the headers have come."""
    return Intake(
        desk.services(), Snapshot(upstreams=desk.upstreams), caller, Endpoint("count_tokens"), {}
    )


def asked(**members: Any) -> bytes:
    return json.dumps({"model": MODEL, "messages": [ASKED], **members}).encode()


def estimated(desk: Desk, **members: Any) -> Reply:
    """The reply to a question that needs no upstream."""
    reply = intake(desk).open(asked(**members))
    assert isinstance(reply, Reply)
    return reply


def counting(desk: Desk, **members: Any) -> CountTokens:
    """A question for an upstream."""
    call = intake(desk).open(asked(**members))
    assert isinstance(call, CountTokens)
    return call


def tokens(reply: object) -> int:
    assert isinstance(reply, Reply)
    return int(json.loads(reply.body)["input_tokens"])


def test_a_chat_upstreams_tokens_are_estimated_at_four_bytes_each_until_more_is_known(
    desk: Desk,
) -> None:
    reply = estimated(desk)
    assert 700 <= tokens(reply) <= 760
    assert reply.headers["x-thinkback-tokens"] == "estimated"


def test_a_picture_counts_as_one_however_many_bytes_it_has(desk: Desk) -> None:
    source = {"type": "base64", "media_type": "image/png", "data": "A" * 100_000}
    content = [{"type": "text", "text": ASKED["content"]}, {"type": "image", "source": source}]
    reply = estimated(desk, messages=[{"role": "user", "content": content}])
    assert 2_300 <= tokens(reply) <= 2_400


def test_a_messages_upstream_is_asked_for_what_counts_alone(desk: Desk) -> None:
    desk.upstreams = (ANTHROPIC,)
    one = counting(desk, stream=True, system="Be brief.", metadata={"user_id": "ada"})
    assert one.reserved
    assert one.outgoing.target == "/v1/messages/count_tokens"
    body = one.outgoing.body
    assert set(json.loads(body)) == {"model", "messages", "system"}
    assert dict(one.outgoing.headers)["content-length"] == str(len(body))
    assert tokens(one.whole(200, JSON, b'{"input_tokens": 77}')) == 77


def test_what_else_the_api_says_of_a_count_reaches_the_client(desk: Desk) -> None:
    desk.upstreams = (ANTHROPIC,)
    managed = {"edits": [{"type": "clear_tool_uses_20250919"}]}
    tools = [{"name": "f", "input_schema": {"type": "object"}}]
    thinking = {"type": "enabled", "budget_tokens": 16_000}
    one = counting(desk, context_management=managed, tools=tools, thinking=thinking)
    sent = json.loads(one.outgoing.body)
    assert (sent["context_management"], sent["thinking"]) == (managed, thinking)
    body = b'{"input_tokens":77,"context_management":{"original_input_tokens":99}}'
    reply = one.whole(200, JSON, body)
    assert isinstance(reply, Reply)
    assert reply.body == body


@pytest.mark.parametrize(
    ("members", "words"),
    [
        ({"model": None}, "model"),
        ({"messages": None}, "messages"),
        ({"messages": [7]}, "messages[0]"),
    ],
    ids=str,
)
def test_a_malformed_question_is_refused_in_the_apis_shape(
    desk: Desk, members: dict[str, Any], words: str
) -> None:
    reply = estimated(desk, **members)
    told = json.loads(reply.body)
    assert (reply.status, told["type"], told["error"]["type"]) == (
        400,
        "error",
        "invalid_request_error",
    )
    assert words in told["error"]["message"]


RESPONSES = upstream("azure", base_url="https://r.openai.azure.com/openai/v1", api="responses")


def responses_question(desk: Desk, **members: Any) -> CountTokens | Reply:
    body = {"model": MODEL, "input": [ASKED], "instructions": "Be brief.", **members}
    snapshot = Snapshot(upstreams=desk.upstreams)
    one = Intake(desk.services(), snapshot, USER, Endpoint("input_tokens"), {})
    found = one.open(json.dumps(body).encode())
    assert isinstance(found, CountTokens | Reply)
    return found


def test_a_responses_client_is_told_an_estimate_where_nobody_counts(desk: Desk) -> None:
    reply = responses_question(desk)
    assert isinstance(reply, Reply)
    assert 700 <= tokens(reply) <= 780
    assert json.loads(reply.body)["object"] == "response.input_tokens"
    assert reply.headers["x-thinkback-tokens"] == "estimated"


def test_a_responses_upstream_is_asked_for_what_counts_alone(desk: Desk) -> None:
    desk.upstreams = (RESPONSES,)
    one = responses_question(desk, store=False, max_output_tokens=9, reasoning={"effort": "low"})
    assert isinstance(one, CountTokens)
    assert one.outgoing.target == "/openai/v1/responses/input_tokens"
    assert set(json.loads(one.outgoing.body)) == {"model", "input", "instructions", "reasoning"}
    body = b'{"object":"response.input_tokens","input_tokens":77}'
    reply = one.whole(200, JSON, body)
    assert isinstance(reply, Reply)
    assert reply.body == body


def test_a_messages_upstream_counts_for_a_responses_client(desk: Desk) -> None:
    desk.upstreams = (ANTHROPIC,)
    one = responses_question(desk)
    assert isinstance(one, CountTokens)
    assert one.outgoing.target == "/v1/messages/count_tokens"
    assert "max_tokens" not in json.loads(one.outgoing.body)
    reply = one.whole(200, JSON, b'{"input_tokens": 77}')
    assert isinstance(reply, Reply)
    assert json.loads(reply.body) == {"object": "response.input_tokens", "input_tokens": 77}


def test_an_upstream_that_does_not_count_leaves_an_estimate(desk: Desk) -> None:
    desk.upstreams = (ANTHROPIC,)
    one = counting(desk)
    for reply in (
        one.refused(404, JSON, error("no")),
        one.unreachable("gone"),
        one.whole(200, JSON, b"{}"),
    ):
        assert 700 <= tokens(reply) <= 760


def test_a_question_is_in_no_books(desk: Desk) -> None:
    one = intake(desk)
    estimate = one.open(asked())
    assert isinstance(estimate, Reply)
    assert (one.kept, one.opened) == (False, None)


def test_only_models_that_a_caller_may_use_are_counted_for(desk: Desk) -> None:
    reply = intake(desk, principal(user(models=("other",)))).open(asked())
    assert isinstance(reply, Reply)
    assert (reply.status, b"not among those" in reply.body) == (403, True)


QUESTION = asked()


def limited(desk: Desk, **limits: Any) -> Intake:
    return intake(desk, principal(user(limits=Limits(**limits))))


@pytest.mark.parametrize(
    ("limits", "words"),
    [
        ({"rpm": 1}, "Too many requests per minute (1) for your account: try again in 60 s."),
        ({"concurrency": 1}, "Too many requests at once (1) for your account: try again in 2 s."),
        (
            {"quota_tokens": 0},
            "There is no token quota for your account yet: ask the administrator for one.",
        ),
    ],
    ids=["rate", "at once", "quota"],
)
def test_the_limits_of_a_caller_hold_for_questions_and_nothing_is_read_beyond_them(
    desk: Desk, limits: dict[str, int], words: str
) -> None:
    if "quota_tokens" not in limits:
        assert tokens(limited(desk, **limits).open(QUESTION)) > 0
    refused = limited(desk, **limits)
    reply = refused.open(QUESTION)
    assert isinstance(reply, Reply)
    assert refused.request is None, "it was read"
    assert reply.status == 429
    assert json.loads(reply.body) == {
        "type": "error",
        "error": {"type": "rate_limit_error", "message": words},
    }
    assert ("retry-after" in reply.headers) == ("try again in" in words)


def test_a_question_holds_its_place_until_it_is_closed(desk: Desk) -> None:
    statuses = []
    for body in (QUESTION, b"{", b'{"model": "m"}', QUESTION):
        one = limited(desk, concurrency=1)
        reply = one.open(body)
        assert isinstance(reply, Reply)
        statuses.append(reply.status)
        one.close()
        one.close()
    assert statuses == [200, 400, 400, 200]


def test_a_question_uses_no_quota(desk: Desk) -> None:
    for _ in range(3):
        reply = limited(desk, quota_tokens=1).open(QUESTION)
        assert isinstance(reply, Reply)
        assert reply.status == 200
    assert desk.memory.engine.read("SELECT COUNT(*) FROM open_exchanges") == [(0,)]
