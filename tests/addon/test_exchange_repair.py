"""An upstream that demands reasoning the gateway does not have: one repair, and a lesson."""

import json

import pytest

from addon.exchange import Exchange
from addon.formats.errors import RequestError
from addon.reasoning.restore import Policy
from shared.profiles import builtin_profiles
from tests.addon.desk import CURSOR, MODEL, Desk, body, error, upstream, whole
from tests.addon.reasoning.chat import FIELD, Json
from tests.support.dialects import Dialect, missing_reasoning
from tests.support.turns import Turn

MISSING = missing_reasoning("deepseek", 1)
SAYING = Turn(reasoning="thought", text="OK")
COLD: list[Json] = [
    {"role": "user", "content": "hi"},
    {"role": "assistant", "content": "Said elsewhere."},
    {"role": "user", "content": "go on"},
]


def sent(exchange: Exchange) -> Json:
    found: Json = json.loads(exchange.outgoing.body)
    return found


def unknown(exchange: Exchange) -> object:
    """What the unknown turn carries, or that thinking is off."""
    made = sent(exchange)
    return "off" if made.get("thinking") == {"type": "disabled"} else made["messages"][1].get(FIELD)


def refuse(exchange: Exchange) -> bool:
    """The upstream says that reasoning is missing; whether the client is told."""
    return exchange.refused(400, {}, MISSING) is not None


@pytest.mark.parametrize("dialect", ["deepseek", "deepseek-legacy", "mimo", "kimi", "siliconflow"])
@pytest.mark.parametrize("status", [400, 422])
def test_each_provider_s_way_to_say_it_is_repaired_once(desk: Desk, dialect: Dialect, status: int) -> None:
    desk.upstreams = (upstream(profile="glm"),)
    exchange = desk.open(COLD)
    assert unknown(exchange) is None
    assert exchange.refused(status, {}, missing_reasoning(dialect, 1)) is None
    assert unknown(exchange) == ""
    assert whole(exchange, SAYING).status == 200
    assert [one.outcome for one in exchange.tried] == [str(status), "200"]


def test_a_wrapped_error_is_understood(desk: Desk) -> None:
    wrapped = error("Provider returned error", code=400, metadata={"raw": MISSING.decode(), "provider_name": "x"})
    for take in (lambda one: one.refused(400, {}, wrapped), lambda one: one.whole(200, {}, wrapped)):
        exchange = desk.open(COLD)
        assert take(exchange) is None
        assert unknown(exchange) == "off"


def test_an_error_at_the_head_of_a_stream_is_repaired_whatever_its_status(desk: Desk) -> None:
    exchange = desk.open(COLD, stream=True)
    assert exchange.refused(502, {}, MISSING) is None
    assert unknown(exchange) == "off"


@pytest.mark.parametrize(
    ("profile", "requests"),
    [
        ("deepseek-v4", [["", "off"], ["", "off"]]),
        ("mimo", [[None, ""], ["off"], ["off"]]),
        ("kimi", [[None, "off"], [" "], [" "]]),
        ("glm", [[None, ""], ["off"], ["off"]]),
        ("field-generic", [[None, ""], [None, ""]]),
    ],
)
def test_each_request_goes_one_step_down_and_begins_below_what_was_refused(
    desk: Desk, profile: str, requests: list[list[str | None]]
) -> None:
    desk.upstreams = (upstream(profile=profile),)
    for steps in requests:
        exchange = desk.open(COLD)
        for step in steps:
            assert unknown(exchange) == step
            told = refuse(exchange)
        assert told


def test_a_lesson_holds_from_the_next_request_on_and_after_a_restart(desk: Desk) -> None:
    exchange = desk.open(COLD)
    refuse(exchange)
    whole(exchange, SAYING)
    for _ in range(2):
        assert unknown(desk.open(COLD)) == "off"
        desk.restart()


def test_a_lesson_is_the_endpoint_s_alone(desk: Desk) -> None:
    exchange = desk.open(COLD)
    refuse(exchange)
    whole(exchange, SAYING)
    assert unknown(desk.open(COLD, model="deepseek-v4-flash")) == ""
    desk.upstreams = (upstream("another"),)
    assert unknown(desk.open(COLD)) == ""


def test_a_lesson_under_another_profile_is_ignored(desk: Desk) -> None:
    exchange = desk.open(COLD)
    refuse(exchange)
    whole(exchange, SAYING)
    desk.upstreams = (upstream(profile="kimi"),)
    assert unknown(desk.open(COLD)) is None


def test_nothing_is_learnt_from_a_repair_that_was_refused_for_another_reason(desk: Desk) -> None:
    exchange = desk.open(COLD)
    refuse(exchange)
    assert exchange.refused(400, {}, error("context too long")) is not None
    assert unknown(desk.open(COLD)) == ""


def test_the_second_refusal_is_told(desk: Desk) -> None:
    exchange = desk.open(COLD, headers=CURSOR)
    refuse(exchange)
    reply = exchange.refused(400, {}, MISSING)
    assert reply is not None
    assert (reply.status, reply.body) == (400, MISSING)


def test_what_was_refused_binds_nothing(desk: Desk) -> None:
    desk.upstreams = (upstream(profile="glm"),)
    exchange = desk.open(COLD)
    refuse(exchange)
    whole(exchange, SAYING)
    bodies = set()
    for _ in range(3):
        again = desk.open(COLD)
        bodies.add(again.outgoing.body)
        whole(again, SAYING)
    assert len(bodies) == 1
    assert unknown(again) == ""


def test_a_request_in_which_nothing_would_change_is_not_sent_again(desk: Desk) -> None:
    desk.upstreams = (upstream(profile="field-generic"),)
    messages: list[Json] = [{"role": "user", "content": "hi"}]
    desk.converse(messages, SAYING)
    exchange = desk.open(messages)
    assert refuse(exchange)
    assert len(exchange.tried) == 1


@pytest.mark.parametrize("profile", ["none", "deepseek-r1"])
def test_a_profile_without_steps_repairs_nothing(desk: Desk, profile: str) -> None:
    desk.upstreams = (upstream(profile=profile),)
    assert refuse(desk.open(COLD))


@pytest.mark.parametrize(
    "message", ["messages must not be empty", "context length exceeded", "reasoning_effort is odd"]
)
def test_other_refusals_are_left_alone(desk: Desk, message: str) -> None:
    exchange = desk.open(COLD)
    before = exchange.outgoing.body
    assert exchange.refused(400, {}, error(message)) is not None
    assert (exchange.outgoing.body, len(exchange.tried)) == (before, 1)


def test_the_off_switch_is_the_profile_s_own(desk: Desk) -> None:
    desk.upstreams = (upstream(profile="qwen"),)
    for _ in range(2):
        exchange = desk.open(COLD, enable_thinking=True)
        while not refuse(exchange):
            pass
    made = sent(desk.open(COLD, enable_thinking=True))
    assert (made["enable_thinking"], "thinking" in made) == (False, False)


def test_thinking_stays_on_for_requests_without_unknown_turns(desk: Desk) -> None:
    exchange = desk.open(COLD)
    refuse(exchange)
    whole(exchange, SAYING)
    assert "thinking" not in sent(desk.open())


def test_a_repaired_request_goes_to_the_next_key_as_it_is(desk: Desk) -> None:
    desk.upstreams = (upstream(api_keys=("sk-a", "sk-b")),)
    exchange = desk.open(COLD)
    refuse(exchange)
    repaired = exchange.outgoing.body
    assert exchange.refused(429, {}, b"") is None
    assert exchange.outgoing.body == repaired
    assert refuse(exchange)


def test_the_next_upstream_has_a_repair_of_its_own_and_learns_nothing_of_the_first_one_s(desk: Desk) -> None:
    desk.upstreams = (upstream("one", profile="glm"), upstream("two", profile="mimo"))
    exchange = desk.open(COLD)
    refuse(exchange)
    assert exchange.refused(500, {}, b"") is None
    assert unknown(exchange) is None
    assert not refuse(exchange)
    assert unknown(exchange) == ""
    assert exchange.refused(503, {}, b"") is not None
    desk.upstreams = desk.upstreams[::-1]
    assert unknown(desk.open(COLD)) is None


def strict(desk: Desk, name: str, profile: str) -> None:
    """Let an upstream's policy be to refuse what is not known."""
    desk.lessons.learn(f"{name} {MODEL}", builtin_profiles()[profile], Policy("reject", everywhere=True))


@pytest.mark.parametrize("headers", [{}, CURSOR], ids=["others", "cursor"])
def test_a_strict_policy_names_the_message_and_the_remedy(desk: Desk, headers: dict[str, str]) -> None:
    strict(desk, "one", "deepseek-v4")
    exchange = desk.exchange(headers)
    with pytest.raises(RequestError) as refused:
        exchange.open(body(COLD))
    reply = exchange.reply(refused.value.problem)
    told = json.loads(reply.body)["error"]
    assert (reply.status, told["code"], told["param"]) == (400, "reasoning_not_known", "messages[1]")
    assert "message 1 is not known (no remembered turn has this text here): start a new chat" in told["message"]


def test_a_strict_upstream_is_no_help_to_one_that_failed(desk: Desk) -> None:
    desk.upstreams = (upstream("one", profile="glm"), upstream("two", profile="mimo", api_keys=("sk-a", "sk-b")))
    strict(desk, "two", "mimo")
    exchange = desk.open(COLD)
    reply = exchange.refused(503, {}, error("down for now"))
    assert reply is not None
    assert (reply.status, reply.body) == (503, error("down for now"))
    assert [one.candidate.upstream.name for one in exchange.tried] == ["one"]


# -- what else an upstream refuses ------------------------------------------------------------------------------------

PICTURE = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}


def test_pictures_that_an_upstream_refuses_are_left_out_from_then_on(desk: Desk) -> None:
    asked = [{"role": "user", "content": [{"type": "text", "text": "What is this?"}, PICTURE]}]
    exchange = desk.open(asked)
    refusal = error("messages[0]: unknown variant `image_url`, expected `text`")
    assert exchange.refused(400, {}, refusal) is None
    assert b"image_url" not in exchange.outgoing.body
    assert "the image in message 0 was left out" in exchange.notes[0]
    assert b"image_url" not in desk.open(asked).outgoing.body


def test_messages_in_a_row_that_an_upstream_refuses_are_joined_from_then_on(desk: Desk) -> None:
    asked = [{"role": "user", "content": "one"}, {"role": "user", "content": "two"}]
    exchange = desk.open(asked)
    refusal = error("Conversation roles must alternate user/assistant/user/assistant/...")
    assert exchange.refused(400, {}, refusal) is None
    desk.restart()
    for later in (exchange, desk.open(asked)):
        [message] = json.loads(later.outgoing.body)["messages"]
        assert [part["text"] for part in message["content"]] == ["one", "two"]


def test_what_was_left_out_already_is_told_when_it_is_refused_again(desk: Desk) -> None:
    exchange = desk.open([{"role": "user", "content": [PICTURE]}])
    refusal = error("this model does not support image input")
    assert exchange.refused(400, {}, refusal) is None
    assert exchange.refused(400, {}, refusal) is not None


@pytest.mark.parametrize(
    ("host", "given", "reached"),
    [
        ("one.example", {"max_completion_tokens": 7}, {"max_tokens": 7}),
        ("one.example", {"max_tokens": 7, "max_completion_tokens": 8}, {"max_tokens": 7, "max_completion_tokens": 8}),
        ("api.openai.com", {"max_tokens": 7}, {"max_completion_tokens": 7}),
    ],
)
def test_a_limit_goes_by_the_name_that_its_upstream_knows(
    desk: Desk, host: str, given: dict[str, int], reached: dict[str, int]
) -> None:
    desk.upstreams = (upstream("one", base_url=f"https://{host}"),)
    sent = json.loads(desk.open(None, **given).outgoing.body)
    assert {name: kept for name, kept in sent.items() if name.startswith("max_")} == reached


def test_functions_reach_an_upstream_as_tools(desk: Desk) -> None:
    exchange = desk.exchange()
    function = {"name": "Read", "parameters": {"type": "object"}}
    asked = {"model": MODEL, "messages": [{"role": "user", "content": "hi"}], "functions": [function]}
    exchange.open(json.dumps(asked | {"function_call": {"name": "Read"}}).encode())
    sent = json.loads(exchange.outgoing.body)
    assert sent["tools"] == [{"type": "function", "function": function}]
    assert sent["tool_choice"] == {"type": "function", "function": {"name": "Read"}}
    assert "functions" not in sent
