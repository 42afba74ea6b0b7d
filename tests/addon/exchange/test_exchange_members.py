"""What an upstream refuses of a request's members is sent otherwise at once, and from then on, for
clients and upstreams of every format.
"""

import json
from typing import Any

import pytest

from addon.exchange.exchange import Exchange
from addon.exchange.verdict import Again, Reply
from addon.formats.neutral.protocols import Head
from addon.formats.neutral.request import WireFormat
from addon.formats.neutral.turn import Turn
from addon.formats.translate import CLIENTS
from tests.addon.desk import Desk, error, open_exchange, reply_of, upstream
from tests.addon.translation.clients import PATHS, Json, asking
from tests.support.grammar import own_state

PAIRS = [(client, api) for client in PATHS for api in PATHS]
LIMITS: dict[WireFormat, str] = {
    "chat": "max_tokens",
    "responses": "max_output_tokens",
    "messages": "max_tokens",
}
EFFORTS: dict[WireFormat, Json] = {
    "chat": {"reasoning_effort": "xhigh"},
    "responses": {"reasoning": {"effort": "xhigh"}},
    "messages": {"output_config": {"effort": "xhigh"}, "thinking": {"type": "adaptive"}},
}
"""What makes a client of each format ask for the same effort."""


def opened(desk: Desk, client: WireFormat, api: WireFormat, members: Json) -> Exchange:
    desk.upstreams = (upstream(api=api),)
    body = asking(client, [("user", "hi")]) | {"model": "m"} | members
    return open_exchange(desk.intake(path=PATHS[client]), json.dumps(body).encode())


def sent(exchange: Exchange) -> Json:
    found: Json = json.loads(exchange.outgoing.body)
    return found


def answer(exchange: Exchange, api: WireFormat) -> int:
    """The upstream answers; the status that the client gets."""
    request = CLIENTS[api].decode(exchange.outgoing.body)
    head, turn = Head("1", 7, "m"), Turn(text="OK", finish_reason="stop")
    body = CLIENTS[api].whole({0: turn}, None, request, head, lambda *ids: ids[2], own_state)
    return reply_of(exchange.whole(200, {"content-type": "application/json"}, body)).status


def refuse(exchange: Exchange, message: str, **members: Any) -> None:
    assert exchange.refused(400, {}, error(message, **members)) == Again()


@pytest.mark.parametrize(("client", "api"), PAIRS)
def test_a_limit_above_the_models_is_lowered(
    desk: Desk, client: WireFormat, api: WireFormat
) -> None:
    asked, name = {LIMITS[client]: 100_000}, LIMITS[api]
    exchange = opened(desk, client, api, asked)
    assert sent(exchange)[name] == 100_000
    refuse(exchange, f"{name} is too large: 100000. This model supports at most 16384 tokens.")
    assert sent(exchange)[name] == 16_384
    assert answer(exchange, api) == 200
    assert sent(opened(desk, client, api, asked))[name] == 16_384
    assert sent(opened(desk, client, api, {LIMITS[client]: 999}))[name] == 999


@pytest.mark.parametrize(("client", "api"), PAIRS)
def test_a_limit_above_the_room_that_is_left_is_lowered_for_once(
    desk: Desk, client: WireFormat, api: WireFormat
) -> None:
    asked, name = {LIMITS[client]: 100_000}, LIMITS[api]
    exchange = opened(desk, client, api, asked)
    refuse(exchange, "input length and `max_tokens` exceed context limit: 190000 + 100000 > 200000")
    assert sent(exchange)[name] == 10_000
    assert answer(exchange, api) == 200
    assert sent(opened(desk, client, api, asked))[name] == 100_000


@pytest.mark.parametrize("client", PATHS)
@pytest.mark.parametrize("api", ["chat", "responses"])
def test_an_effort_that_a_model_does_not_have_becomes_the_nearest(
    desk: Desk, client: WireFormat, api: WireFormat
) -> None:
    name = {"chat": "reasoning_effort", "responses": "reasoning.effort"}[api]
    exchange = opened(desk, client, api, EFFORTS[client])
    assert "xhigh" in json.dumps(sent(exchange))
    refuse(
        exchange,
        "Unsupported value: 'xhigh'. Supported values are: 'low', 'medium', and 'high'.",
        param=name,
    )
    assert '"high"' in json.dumps(sent(exchange))
    assert answer(exchange, api) == 200
    again = json.dumps(sent(opened(desk, client, api, EFFORTS[client])))
    assert '"high"' in again
    assert "xhigh" not in again


@pytest.mark.parametrize("member", ["temperature", "top_p"])
@pytest.mark.parametrize(("client", "api"), PAIRS)
def test_sampling_that_a_model_refuses_is_left_out(
    desk: Desk, client: WireFormat, api: WireFormat, member: str
) -> None:
    asked = {member: 0.5}
    exchange = opened(desk, client, api, asked)
    assert sent(exchange)[member] == 0.5
    refuse(exchange, f"Unsupported parameter: '{member}' is not supported with this model.")
    assert member not in sent(exchange)
    assert answer(exchange, api) == 200
    assert member not in sent(opened(desk, client, api, asked))
    assert [lesson.member for lesson in desk.written_lessons()] == [member]


@pytest.mark.parametrize("client", PATHS)
def test_a_model_that_does_not_reason_is_not_asked_for_its_state(
    desk: Desk, client: WireFormat
) -> None:
    exchange = opened(desk, client, "responses", {})
    assert sent(exchange)["include"] == ["reasoning.encrypted_content"]
    refuse(exchange, "Encrypted content is not supported with this model.", param="include")
    assert not sent(exchange).get("include")
    assert answer(exchange, "responses") == 200
    assert not sent(opened(desk, client, "responses", {})).get("include")


@pytest.mark.parametrize("client", PATHS)
def test_calls_and_results_are_put_right_where_an_upstream_refuses_them(
    desk: Desk, client: WireFormat
) -> None:
    said = [
        *(("user", "hi"), ("result", "lost"), ("user", "so"), ("call", "Read")),
        *(("user", "wait"), ("assistant", "well"), ("user", "on")),
    ]
    words = "input" if client == "responses" else "messages"
    asked = {words: asking(client, said)[words]}
    exchange = opened(desk, client, client, asked)
    assert sent(exchange)[words] == asked[words]
    refuse(exchange, "No tool output found for function call; must be followed by tool messages")
    found = CLIENTS[client].decode(exchange.outgoing.body).messages
    assert [(one.role, one.text) for one in found if one.text] == expected_of(client)
    assert [one.result_of for one in found if one.role == "tool"] == [
        call.id for one in found for call in one.calls
    ]
    assert answer(exchange, client) == 200
    again = opened(desk, client, client, asked)
    assert again.outgoing.body == exchange.outgoing.body
    fine = {words: asking(client, [("user", "hi"), ("call", "Read"), ("result", "x")])[words]}
    assert sent(opened(desk, client, client, fine))[words] == fine[words]


def expected_of(client: WireFormat) -> list[tuple[str, str]]:
    orphan = "[Result of a tool call that is not in the conversation]\n"
    lost = ("tool", "[The result of this tool call is not in the conversation.]")
    begin = [("user", "hi"), ("user", f"{orphan}lost"), ("user", "so")]
    if client == "messages":  # what the user says in a row is one message
        begin = [("user", f"hi{orphan}lostso")]
    return [*begin, lost, ("user", "wait"), ("assistant", "well"), ("user", "on")]


FORCED: dict[WireFormat, Json] = {
    "chat": {"tool_choice": "required"},
    "responses": {"tool_choice": {"type": "function", "name": "Read"}},
    "messages": {"tool_choice": {"type": "any"}},
}


@pytest.mark.parametrize("client", PATHS)
def test_a_tool_is_forced_without_thinking_where_both_are_refused(
    desk: Desk, client: WireFormat
) -> None:
    tools = {"tools": asking(client, [], tools=("Read",))["tools"]}
    asked = tools | FORCED[client]
    desk.profiles = {"deepseek-v4": {"hosts": ["one.example"]}}
    exchange = opened(desk, client, "chat", asked)
    assert "thinking" not in sent(exchange)
    refuse(exchange, "Thinking mode does not support this tool_choice")
    assert sent(exchange)["thinking"] == {"type": "disabled"}
    assert "tool_choice" in sent(exchange)
    assert answer(exchange, "chat") == 200
    assert sent(opened(desk, client, "chat", asked))["thinking"] == {"type": "disabled"}
    assert "thinking" not in sent(opened(desk, client, "chat", tools))


def test_a_later_lesson_about_a_limit_replaces_the_earlier_one(desk: Desk) -> None:
    for most in (64_000, 32_000):
        exchange = opened(desk, "chat", "chat", {"max_tokens": 100_000})
        refuse(exchange, f"the valid range of max_tokens is [1, {most}]")
        answer(exchange, "chat")
    assert [(one.kind, one.member) for one in desk.written_lessons()] == [("limit", "32000")]


def test_a_client_is_told_of_its_own_mistakes(desk: Desk) -> None:
    exchange = opened(desk, "chat", "chat", {"max_tokens": 5, "temperature": 9})
    for words in ("temperature must be between 0 and 2", "max_tokens must be at most 5"):
        assert reply_of(exchange.refused(400, {}, error(words))).status == 400


@pytest.mark.parametrize("member", ["max_tokens", "seed", "temperature", "reasoning_effort"])
def test_a_refusal_of_a_request_with_a_number_that_nobody_can_read_reaches_its_client(
    desk: Desk, member: str
) -> None:
    desk.upstreams = (upstream(),)
    huge = f', "{member}": {"1" * 5_000}}}'.encode()
    body = json.dumps(asking("chat", [("user", "hi")]) | {"model": "m"}).encode()[:-1] + huge
    exchange = desk.intake().open(body)
    if isinstance(exchange, Exchange):
        exchange = exchange.refused(400, {}, error(f"{member} is too large."))
    assert isinstance(exchange, Reply)
    assert exchange.status == 400
