"""An upstream that demands reasoning the gateway does not have: one repair, and a lesson."""

import json

import pytest

from addon.exchange.exchange import Exchange
from addon.exchange.verdict import Again, Reply
from tests.addon.desk import (
    CURSOR,
    MODEL,
    Desk,
    body,
    error,
    open_exchange,
    reply_of,
    upstream,
    whole,
)
from tests.addon.recall.chat import FIELD, Json
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
    return exchange.refused(400, {}, MISSING) != Again()


@pytest.mark.parametrize("dialect", ["deepseek", "deepseek-legacy", "mimo", "kimi", "siliconflow"])
@pytest.mark.parametrize("status", [400, 422])
def test_each_provider_s_way_to_say_it_is_repaired_once(
    desk: Desk, dialect: Dialect, status: int
) -> None:
    desk.upstreams = (upstream(profile="glm"),)
    exchange = desk.open(COLD)
    assert unknown(exchange) is None
    assert exchange.refused(status, {}, missing_reasoning(dialect, 1)) == Again()
    assert unknown(exchange) == ""
    assert whole(exchange, SAYING).status == 200
    assert [one.outcome for one in exchange.outcome().tries] == [str(status), "200"]


def test_a_wrapped_error_is_understood(desk: Desk) -> None:
    wrapped = error(
        "Provider returned error",
        code=400,
        metadata={"raw": MISSING.decode(), "provider_name": "x"},
    )
    for take in (
        lambda one: one.refused(400, {}, wrapped),
        lambda one: one.whole(200, {}, wrapped),
    ):
        exchange = desk.open(COLD)
        assert take(exchange) == Again()
        assert unknown(exchange) == "off"


def test_an_error_at_the_head_of_a_stream_is_repaired_whatever_its_status(desk: Desk) -> None:
    exchange = desk.open(COLD, stream=True)
    assert exchange.refused(502, {}, MISSING) == Again()
    assert unknown(exchange) == "off"


@pytest.mark.parametrize(
    ("profile", "steps"),
    [
        ("deepseek-v4", ["", "off"]),
        ("mimo", [None, "", "off"]),
        ("kimi", [None, "off", " "]),
        ("glm", [None, "", "off"]),
        ("field-generic", [None, ""]),
    ],
)
def test_a_request_goes_down_step_by_step_and_nothing_is_learnt_of_what_was_never_taken(
    desk: Desk, profile: str, steps: list[str | None]
) -> None:
    desk.upstreams = (upstream(profile=profile),)
    for _ in range(2):
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
    assert exchange.refused(400, {}, error("context too long")) != Again()
    assert unknown(desk.open(COLD)) == ""


def test_the_second_refusal_is_told(desk: Desk) -> None:
    exchange = desk.open(COLD, headers=CURSOR)
    refuse(exchange)
    reply = reply_of(exchange.refused(400, {}, MISSING))
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
    assert len(exchange.outcome().tries) == 1


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
    assert exchange.refused(400, {}, error(message)) != Again()
    assert (exchange.outgoing.body, len(exchange.outcome().tries)) == (before, 1)


def test_the_off_switch_is_the_profile_s_own(desk: Desk) -> None:
    desk.upstreams = (upstream(profile="qwen"),)
    exchange = desk.open(COLD, enable_thinking=True)
    while not refuse(exchange):
        pass
    made = sent(exchange)
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
    assert exchange.refused(429, {}, b"") == Again()
    assert exchange.outgoing.body == repaired
    assert refuse(exchange)


def test_the_next_upstream_has_a_repair_of_its_own_and_learns_nothing_of_the_first_one_s(
    desk: Desk,
) -> None:
    desk.upstreams = (upstream("one", profile="glm"), upstream("two", profile="mimo"))
    exchange = desk.open(COLD)
    refuse(exchange)
    assert exchange.refused(500, {}, b"") == Again()
    assert unknown(exchange) is None
    assert not refuse(exchange)
    assert unknown(exchange) == ""
    assert exchange.refused(503, {}, b"") != Again()
    desk.upstreams = desk.upstreams[::-1]
    assert unknown(desk.open(COLD)) is None


STRICT = {"strict": {"like": "deepseek-v4", "missing": ["reject"]}}
"""A profile that refuses what is not known."""


@pytest.mark.parametrize("headers", [{}, CURSOR], ids=["others", "cursor"])
def test_a_strict_policy_names_the_message_and_the_remedy(
    desk: Desk, headers: dict[str, str]
) -> None:
    desk.profiles, desk.upstreams = STRICT, (upstream(profile="strict"),)
    reply = desk.intake(headers).open(body(COLD))
    assert isinstance(reply, Reply)
    told = json.loads(reply.body)["error"]
    assert (reply.status, told["code"], told["param"]) == (
        400,
        "reasoning_not_known",
        "messages[1]",
    )
    assert (
        "message 1 is not known (no remembered turn has this text here): start a new chat"
        in told["message"]
    )


def test_a_strict_upstream_is_no_help_to_one_that_failed(desk: Desk) -> None:
    desk.upstreams = (
        upstream("one", profile="glm"),
        upstream("two", profile="strict", api_keys=("sk-a", "sk-b")),
    )
    desk.profiles = STRICT
    exchange = desk.open(COLD)
    reply = reply_of(exchange.refused(503, {}, error("down for now")))
    assert (reply.status, reply.body) == (503, error("down for now"))
    assert [one.candidate.upstream.name for one in exchange.outcome().tries] == ["one"]


# -- what else an upstream refuses -----------------------------------------------------------------

PICTURE = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}


def test_pictures_that_an_upstream_refuses_are_left_out_from_then_on(desk: Desk) -> None:
    asked = [{"role": "user", "content": [{"type": "text", "text": "What is this?"}, PICTURE]}]
    exchange = desk.open(asked)
    refusal = error("messages[0]: unknown variant `image_url`, expected `text`")
    assert exchange.refused(400, {}, refusal) == Again()
    assert b"image_url" not in exchange.outgoing.body
    whole(exchange, SAYING)
    assert "a picture or file in message 0 was left out" in exchange.outcome().notes[0]
    assert b"image_url" not in desk.open(asked).outgoing.body


def test_messages_in_a_row_that_an_upstream_refuses_are_joined_from_then_on(desk: Desk) -> None:
    asked = [{"role": "user", "content": "one"}, {"role": "user", "content": "two"}]
    exchange = desk.open(asked)
    refusal = error("Conversation roles must alternate user/assistant/user/assistant/...")
    assert exchange.refused(400, {}, refusal) == Again()
    whole(exchange, SAYING)
    desk.restart()
    for later in (exchange, desk.open(asked)):
        [message] = json.loads(later.outgoing.body)["messages"]
        assert [part["text"] for part in message["content"]] == ["one", "two"]


def test_what_was_left_out_already_is_told_when_it_is_refused_again(desk: Desk) -> None:
    exchange = desk.open([{"role": "user", "content": [PICTURE]}])
    refusal = error("this model does not support image input")
    assert exchange.refused(400, {}, refusal) == Again()
    assert exchange.refused(400, {}, refusal) != Again()


@pytest.mark.parametrize(
    ("host", "given", "reached"),
    [
        ("one.example", {"max_completion_tokens": 7}, {"max_completion_tokens": 7}),
        ("one.example", {"max_tokens": 7}, {"max_tokens": 7}),
        ("api.openai.com", {"max_tokens": 7}, {"max_completion_tokens": 7}),
        ("eu.api.openai.com", {"max_completion_tokens": 7}, {"max_completion_tokens": 7}),
    ],
)
def test_a_limit_goes_by_the_name_that_its_upstream_knows(
    desk: Desk, host: str, given: dict[str, int], reached: dict[str, int]
) -> None:
    desk.upstreams = (upstream("one", base_url=f"https://{host}"),)
    sent = json.loads(desk.open(None, **given).outgoing.body)
    assert {name: kept for name, kept in sent.items() if name.startswith("max_")} == reached


def test_what_came_before_tools_reaches_a_chat_upstream_as_it_is(desk: Desk) -> None:
    function = {"name": "Read", "parameters": {"type": "object"}}
    asked = {
        "model": MODEL,
        "messages": [{"role": "user", "content": "hi"}],
        "functions": [function],
    }
    called = json.dumps(asked | {"function_call": {"name": "Read"}}).encode()
    exchange = open_exchange(desk.intake(), called)
    assert json.loads(exchange.outgoing.body) == asked | {"function_call": {"name": "Read"}}


def test_a_schema_is_said_to_be_an_objects_and_all_else_stays(desk: Desk) -> None:
    start = f'{{"model":"{MODEL}","n":2,"messages":[{{"role":"user","name":"ada","content":"hi"}}],"tools":['
    tool = '{"type":"function","function":{"name":"Read","parameters":{"properties":{"a":{"minimum":1.0}}%s}}}'
    exchange = open_exchange(desk.intake(), (start + tool % "" + "]}").encode())
    assert exchange.outgoing.body == (start + tool % ',"type":"object"' + "]}").encode()


@pytest.mark.parametrize(
    "refusal",
    [
        "image/svg+xml images are not supported. Use png",
        "this model does not support image generation",
    ],
)
def test_an_error_about_something_else_teaches_nothing_about_pictures(
    desk: Desk, refusal: str
) -> None:
    assert (
        desk.open([{"role": "user", "content": "draw"}]).refused(400, {}, error(refusal))
        is not None
    )
    assert b"image_url" in desk.open([{"role": "user", "content": [PICTURE]}]).outgoing.body


def test_nothing_is_learnt_of_a_body_that_could_not_be_mended(desk: Desk) -> None:
    refusal = error("this model does not support image input")
    assert (
        desk.open([{"role": "user", "content": "no picture"}]).refused(400, {}, refusal) != Again()
    )
    assert b"image_url" in desk.open([{"role": "user", "content": [PICTURE]}]).outgoing.body


def test_members_that_an_upstream_does_not_know_are_kept_from_it(desk: Desk) -> None:
    desk.upstreams = (upstream("one", base_url="https://api.fireworks.ai/inference/v1"),)
    exchange = desk.open()
    assert b"reasoning_history" in exchange.outgoing.body
    refusal = error(
        "Extra inputs are not permitted, field: 'reasoning_history', value: 'preserved'"
    )
    assert exchange.refused(400, {}, refusal) == Again()
    whole(exchange, SAYING)
    assert b"reasoning_history" not in desk.open().outgoing.body


def test_an_effort_stays_the_clients_where_the_upstream_is_only_guessed(desk: Desk) -> None:
    desk.upstreams = (upstream("one", base_url="https://unknown.example"),)
    sent = json.loads(desk.open(None, model="qwen3-max", reasoning_effort="high").outgoing.body)
    assert (sent["reasoning_effort"], "enable_thinking" in sent) == ("high", False)


def test_thinking_stays_on_for_others_when_one_conversation_could_not_be_mended(desk: Desk) -> None:
    asked = [{"role": "user", "content": "hi"}]
    exchange = desk.open([*asked, {"role": "assistant", "content": "Elsewhere."}, *asked])
    refusal = error("The reasoning_content in the thinking mode must be passed back to the API.")
    while exchange.refused(400, {}, refusal) is None:
        pass
    known = list(asked)
    desk.converse(known, Turn(reasoning=None, text="Without thinking."))
    assert "thinking" not in json.loads(desk.open([*known, *asked]).outgoing.body)
