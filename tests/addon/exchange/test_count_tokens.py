"""Questions for the tokens of a request."""

import json
from contextlib import suppress
from typing import Any

import pytest

from addon.exchange.count_tokens import Counting
from addon.exchange.exchange import Reply
from addon.formats.neutral.problem import RequestError
from addon.formats.paths import Endpoint
from shared.config.schema import Snapshot
from shared.model import Limits
from tests.addon.callers import principal, user
from tests.addon.desk import MODEL, USER, Desk, error, upstream

JSON = {"content-type": "application/json"}
ASKED = {"role": "user", "content": "fix it " * 400}
ANTHROPIC = upstream("anthropic", base_url="https://api.anthropic.com", api="messages")


def counting(desk: Desk, **members: Any) -> tuple[Counting, Reply | None]:
    """A question, opened, and its reply if it needs no upstream."""
    one = Counting(
        desk.services(), Snapshot(upstreams=desk.upstreams), USER, Endpoint("count_tokens"), {}
    )
    return one, one.open(json.dumps({"model": MODEL, "messages": [ASKED], **members}).encode())


def tokens(reply: Reply | None) -> int:
    assert reply is not None
    return int(json.loads(reply.body)["input_tokens"])


def test_a_chat_upstreams_tokens_are_estimated_at_four_bytes_each_until_more_is_known(
    desk: Desk,
) -> None:
    _, reply = counting(desk)
    assert 700 <= tokens(reply) <= 760
    assert reply is not None
    assert reply.headers["x-thinkback-tokens"] == "estimated"


def test_a_picture_counts_as_one_however_many_bytes_it_has(desk: Desk) -> None:
    source = {"type": "base64", "media_type": "image/png", "data": "A" * 100_000}
    content = [{"type": "text", "text": ASKED["content"]}, {"type": "image", "source": source}]
    _, reply = counting(desk, messages=[{"role": "user", "content": content}])
    assert 2_300 <= tokens(reply) <= 2_400


def test_a_messages_upstream_is_asked_for_what_counts_alone(desk: Desk) -> None:
    desk.upstreams = (ANTHROPIC,)
    one, reply = counting(desk, stream=True, system="Be brief.", metadata={"user_id": "ada"})
    assert reply is None
    assert one.reserved
    assert one.outgoing.target == "/v1/messages/count_tokens"
    body = one.outgoing.body
    assert set(json.loads(body)) == {"model", "messages", "system"}
    assert dict(one.outgoing.headers)["content-length"] == str(len(body))
    assert tokens(one.whole(200, JSON, b'{"input_tokens": 77}')) == 77


def test_an_upstream_that_does_not_count_leaves_an_estimate(desk: Desk) -> None:
    desk.upstreams = (ANTHROPIC,)
    one, _ = counting(desk)
    for reply in (
        one.refused(404, JSON, error("no")),
        one.unreachable("gone"),
        one.whole(200, JSON, b"{}"),
    ):
        assert 700 <= tokens(reply) <= 760


def test_a_question_is_in_no_books(desk: Desk) -> None:
    one, _ = counting(desk)
    assert (one.kept, one.opened) == (False, None)


def test_only_models_that_a_caller_may_use_are_counted_for(desk: Desk) -> None:
    limited = principal(user(models=("other",)))
    one = Counting(
        desk.services(), Snapshot(upstreams=desk.upstreams), limited, Endpoint("count_tokens"), {}
    )
    with pytest.raises(RequestError, match="not among those"):
        one.open(json.dumps({"model": MODEL, "messages": [ASKED]}).encode())


QUESTION = json.dumps({"model": MODEL, "messages": [ASKED]}).encode()


def limited(desk: Desk, **limits: Any) -> Counting:
    caller = principal(user(limits=Limits(**limits)))
    return Counting(
        desk.services(), Snapshot(upstreams=desk.upstreams), caller, Endpoint("count_tokens"), {}
    )


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
        limited(desk, **limits).open(QUESTION)
    refused = limited(desk, **limits)
    with pytest.raises(RequestError) as error:
        refused.open(QUESTION)
    assert refused.request is None, "it was read"
    reply = refused.reply(error.value.problem)
    assert reply.status == 429
    assert json.loads(reply.body) == {
        "type": "error",
        "error": {"type": "rate_limit_error", "message": words},
    }
    assert ("retry-after" in reply.headers) == ("try again in" in words)


def test_a_question_holds_its_place_until_it_is_closed(desk: Desk) -> None:
    for body in (QUESTION, b"{", b'{"model": "m"}', QUESTION):
        one = limited(desk, concurrency=1)
        with suppress(RequestError):
            one.open(body)
        one.close()
        one.close()


def test_a_question_uses_no_quota(desk: Desk) -> None:
    for _ in range(3):
        limited(desk, quota_tokens=1).open(QUESTION)
    assert desk.memory.engine.read("SELECT COUNT(*) FROM open_exchanges") == [(0,)]
