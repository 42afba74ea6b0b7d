"""A conversation that ends with the assistant's words ends as an upstream takes it."""

import json
from typing import Any

import pytest

from addon.exchange.exchange import Exchange
from addon.exchange.verdict import Again
from addon.formats.neutral.request import WireFormat
from addon.formats.translate import CLIENTS
from addon.translation.ending import as_prefill, ended_by_user
from tests.addon.desk import Desk, error, open_exchange, upstream
from tests.addon.translation.clients import CALLED, PATHS, Json, Said, asking

PAIRS = [(client, api) for client in PATHS for api in PATHS]
BEGUN = [("user", "hi"), ("assistant", "So")]
WORDS = {"chat": "messages", "responses": "input", "messages": "messages"}


def text(body: Json) -> bytes:
    return json.dumps(body).encode()


@pytest.mark.parametrize("api", PATHS)
def test_the_user_asks_for_the_rest(api: WireFormat) -> None:
    body = asking(api, BEGUN)
    found = json.loads(ended_by_user(text(body), api))
    assert found[WORDS[api]][:-1] == body[WORDS[api]]
    assert found[WORDS[api]][-1]["role"] == "user"


@pytest.mark.parametrize("api", PATHS)
@pytest.mark.parametrize(
    "said", [[], [("user", "hi")], [("user", "hi"), ("call", "Read")]], ids=str
)
def test_nothing_else_is_added_to(api: WireFormat, said: list[tuple[str, str]]) -> None:
    body = text(asking(api, said))
    assert ended_by_user(body, api) == body
    assert as_prefill(body, "partial") == body


def test_the_last_message_is_marked() -> None:
    found = json.loads(as_prefill(text(asking("chat", BEGUN)), "partial"))
    assert [one.get("partial") for one in found["messages"]] == [None, True]
    assert as_prefill(text(asking("chat", BEGUN)), "") == text(asking("chat", BEGUN))


# -- over all formats ------------------------------------------------------------------------------


def opened(
    desk: Desk, client: WireFormat, api: WireFormat, body: Json, **settings: Any
) -> Exchange:
    desk.upstreams = (upstream(api=api, **settings),)
    return open_exchange(desk.intake(path=PATHS[client]), text(body))


@pytest.mark.parametrize(
    "model", ["claude-sonnet-4-6", "claude-opus-4-8", "anthropic/claude-fable-5"]
)
@pytest.mark.parametrize("client", PATHS)
def test_new_claudes_are_asked_to_go_on_with_an_answer_that_is_begun(
    desk: Desk, client: WireFormat, model: str
) -> None:
    said: list[Said] = [("user", "hi"), ("assistant", "So")]
    exchange = opened(desk, client, "messages", asking(client, said) | {"model": model})
    messages = CLIENTS["messages"].decode(exchange.outgoing.body).messages
    assert [one.role for one in messages] == ["user", "assistant", "user"]
    assert messages[1].text == "So"
    assert "Go on with your answer" in messages[2].text
    assert "asks to go on" in "".join(exchange.outcome().notes)


def test_a_call_at_the_end_is_nothing_to_go_on_with(desk: Desk) -> None:
    exchange = opened(
        desk,
        "messages",
        "messages",
        asking("messages", CALLED[:2]) | {"model": "claude-sonnet-4-6"},
    )
    found = json.loads(exchange.outgoing.body)
    assert [one["role"] for one in found["messages"]] == ["user", "assistant"]


@pytest.mark.parametrize(("client", "api"), PAIRS)
def test_an_upstream_that_goes_on_with_no_answer_is_asked_to(
    desk: Desk, client: WireFormat, api: WireFormat
) -> None:
    exchange = opened(desk, client, api, asking(client, [("user", "hi"), ("assistant", "So")]))
    refusal = error("Expected last role User or Tool (or Assistant with prefix True) but got")
    assert exchange.refused(400, {}, refusal) == Again()
    messages = CLIENTS[api].decode(exchange.outgoing.body).messages
    assert [one.role for one in messages] == ["user", "assistant", "user"]


@pytest.mark.parametrize(
    ("client", "profile", "partial"),
    [
        ("messages", "kimi", True),
        ("messages", "glm", False),
        ("chat", "kimi", False),
    ],
)
def test_kimi_is_told_that_an_answer_is_begun(
    desk: Desk, client: WireFormat, profile: str, partial: bool
) -> None:
    said: list[Said] = [("user", "hi"), ("assistant", "So")]
    exchange = opened(desk, client, "chat", asking(client, said), profile=profile)
    found = json.loads(exchange.outgoing.body)
    assert [one.get("partial", False) for one in found["messages"]] == [False, partial]
