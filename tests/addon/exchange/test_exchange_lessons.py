"""What one refusal teaches: of whom, how much, and for how long."""

import json
from typing import Any

import pytest

from addon.exchange.exchange import Exchange
from addon.exchange.verdict import Again
from shared.model import Principal
from shared.store.lessons import forget_lesson
from shared.store.versions import change_topic
from tests.addon.desk import Desk, Refused, error, reply_of, upstream, whole
from tests.addon.recall.chat import FIELD, Json
from tests.support.dialects import missing_reasoning
from tests.support.ledger import Foreign, Ledger, Scope
from tests.support.turns import Turn

GRACE = Principal(id="user:2", name="grace", key_suffix="wxyz")
MISSING = missing_reasoning("deepseek", 1)
SAYING = Turn(reasoning="thought", text="OK")
DAY = 86_400_000


def said(text: str) -> Json:
    return {"role": "user", "content": text}


def replied(text: str) -> Json:
    """A turn that the gateway has never seen."""
    return {"role": "assistant", "content": text}


def called(call_id: str = "theirs") -> list[Json]:
    """A turn with a call that the gateway has never seen, and its result."""
    function = {"name": "Read", "arguments": "{}"}
    call = {"id": call_id, "type": "function", "function": function}
    return [
        {"role": "assistant", "content": "", "tool_calls": [call]},
        {"role": "tool", "tool_call_id": call_id, "content": "fine"},
    ]


class Upstream:
    """What the strict provider would say of each body."""

    def __init__(self, scope: Scope, foreign: Foreign = "empty") -> None:
        self._ledger = Ledger(scope, foreign)
        self.refused = 0

    def answer(self, exchange: Exchange) -> Json:
        """Take the exchange to its answer; the body that the upstream took."""
        while rejection := self._ledger.check(sent(exchange)):
            self.refused += 1
            assert (
                exchange.refused(400, {}, missing_reasoning("deepseek", rejection.index)) == Again()
            )
        assert whole(exchange, SAYING).status == 200
        return sent(exchange)


def restart(desk: Desk) -> None:
    """The process ends and starts again, once all that was learnt is written."""
    desk.written_lessons()
    desk.restart()


def sent(exchange: Exchange) -> Json:
    body: Json = json.loads(exchange.outgoing.body)
    return body


def carried(body: Json) -> list[Any]:
    """What the assistant's messages carry."""
    return [one.get(FIELD) for one in body["messages"] if one["role"] == "assistant"]


def is_off(body: Json) -> bool:
    return body.get("thinking") == {"type": "disabled"}


@pytest.fixture
def desk(desk: Desk) -> Desk:
    desk.upstreams = (upstream(profile="glm"),)
    return desk


# -- the class of turns ----------------------------------------------------------------------------


def test_one_who_wants_reasoning_of_calls_teaches_nothing_of_other_turns(desk: Desk) -> None:
    strict = Upstream("tool_turns", "empty")
    first = [said("a"), *called(), replied("Elsewhere."), said("b")]
    assert carried(strict.answer(desk.open(first))) == ["", None]
    assert strict.refused == 1
    second = [said("c"), replied("Another."), *called(), said("d")]
    assert carried(strict.answer(desk.open(second, principal=GRACE))) == [None, ""]
    assert strict.refused == 1


def test_one_who_wants_it_of_all_is_asked_for_calls_first_and_known_from_then_on(
    desk: Desk,
) -> None:
    strict = Upstream("all")
    first = [said("a"), *called(), replied("Elsewhere."), said("b")]
    assert carried(strict.answer(desk.open(first))) == ["", ""]
    assert strict.refused == 2
    second = [said("c"), replied("Another."), *called(), said("d")]
    for _ in range(2):
        assert carried(strict.answer(desk.open(second, principal=GRACE))) == ["", ""]
        assert strict.refused == 2
        restart(desk)


def test_a_wider_class_is_learnt_when_it_is_met(desk: Desk) -> None:
    strict = Upstream("all")
    strict.answer(desk.open([said("a"), *called(), said("b")]))
    assert [lesson.scope for lesson in desk.written_lessons()] == ["calls"]
    strict.answer(desk.open([said("a"), replied("Elsewhere."), said("b")]))
    assert [lesson.scope for lesson in desk.written_lessons()] == ["foreign"]


def test_turns_without_reasoning_of_its_own_are_the_last_that_are_filled(desk: Desk) -> None:
    messages = [said("hi")]
    desk.converse(messages, Turn(reasoning=None, text="Nothing was thought."))
    exchange = desk.open([*messages, said("go on"), replied("Elsewhere."), said("b")])
    bodies = []
    for _ in range(3):
        bodies.append(carried(sent(exchange)))
        exchange.refused(400, {}, MISSING)
    assert bodies == [[None, None], [None, ""], ["", ""]]


def test_what_is_learnt_says_who_taught_it_in_which_words_and_without_keys(desk: Desk) -> None:
    exchange = desk.open([said("a"), *called(), said("b")])
    text = (
        "key sk-one-secret: missing reasoning_content field in the assistant message " + "x" * 999
    )
    assert exchange.refused(400, {}, error(text)) == Again()
    whole(exchange, SAYING)
    [lesson] = desk.written_lessons()
    assert (lesson.upstream, lesson.kind, lesson.scope) == ("one", "empty", "calls")
    assert lesson.learned_at == desk.memory.clock.now_ms()
    assert "missing reasoning_content field" in lesson.words
    assert "sk-one-secret" not in lesson.words
    assert len(lesson.words) < 400


# -- one conversation ------------------------------------------------------------------------------

COLD = [said("hi"), replied("Said elsewhere."), said("go on")]


@pytest.fixture
def stumbled(desk: Desk) -> Desk:
    """An upstream that once refused whatever it got until thinking was off."""
    desk.upstreams = (upstream(),)
    exchange = desk.open(COLD)
    while not is_off(sent(exchange)):
        assert exchange.refused(400, {}, MISSING) == Again()
    whole(exchange, SAYING)
    return desk


def test_thinking_stays_off_in_the_conversation_and_across_a_restart(stumbled: Desk) -> None:
    for _ in range(2):
        longer = [*COLD, replied("OK"), said("more")]
        assert is_off(sent(stumbled.open(longer)))
        restart(stumbled)


def test_nobody_else_and_no_other_conversation_stops_thinking(stumbled: Desk) -> None:
    other = [said("another"), replied("Said elsewhere."), said("go on")]
    assert not is_off(sent(stumbled.open(other)))
    assert not is_off(sent(stumbled.open(other, principal=GRACE)))
    assert not is_off(sent(stumbled.open(COLD, principal=GRACE)))
    assert stumbled.written_lessons() == []


def test_thinking_is_on_again_when_the_lost_turn_has_left_the_history(stumbled: Desk) -> None:
    assert not is_off(sent(stumbled.open([said("in short: we talked"), said("more")])))


def test_thinking_is_tried_again_after_a_day(stumbled: Desk) -> None:
    stumbled.memory.clock.pass_days(1)
    assert not is_off(sent(stumbled.open(COLD)))


def test_it_is_told_that_thinking_was_switched_off(stumbled: Desk) -> None:
    outcome = stumbled.open(COLD).outcome()
    assert outcome.policy == "deepseek-v4: off"
    assert outcome.notes == (
        "thinking was switched off: the reasoning of message 1 is not known, and the upstream "
        "wants it",
    )


def test_an_accident_without_unknown_turns_is_over_with_its_request(desk: Desk) -> None:
    desk.upstreams = (upstream(),)
    messages = [said("hi")]
    desk.converse(messages, SAYING)
    messages.append(said("more"))
    exchange = desk.open(messages)
    assert exchange.refused(400, {}, MISSING) == Again()
    assert is_off(sent(exchange))
    whole(exchange, SAYING)
    assert not is_off(sent(desk.open(messages)))


def test_a_conversation_is_shortened_for_itself_alone(desk: Desk) -> None:
    desk.upstreams = (upstream(profile="kimi-thinking"),)
    strict = Upstream("tool_turns", "reject")
    messages = [said("a"), *called(), said("b")]
    assert strict.answer(desk.open(messages))["messages"] == [said("b")]
    refused = strict.refused
    exchange = desk.open([*messages, replied("OK"), said("more")])
    kept = replied("OK") | {FIELD: SAYING.reasoning}
    assert strict.answer(exchange)["messages"] == [said("b"), kept, said("more")]
    assert strict.refused == refused
    assert exchange.outcome().notes[0].startswith("all before message 3 was left out: ")
    other = [said("c"), *called(), said("d")]
    assert len(sent(desk.open(other, principal=GRACE))["messages"]) == 4


def test_a_conversation_that_is_refused_in_words_is_the_only_one(desk: Desk) -> None:
    desk.profiles = {"strict": {"like": "glm", "missing": ["omit", "reject"]}}
    desk.upstreams = (upstream(profile="strict"),)
    assert desk.open(COLD).refused(400, {}, MISSING) != Again()
    with pytest.raises(Refused, match="message 1 is not known"):
        desk.open(COLD)
    other = [said("another"), replied("Said elsewhere."), said("go on")]
    assert whole(desk.open(other), SAYING).status == 200


# -- whether it still holds ------------------------------------------------------------------------


def cold(name: str) -> list[Json]:
    """A fresh conversation with unknown turns of both kinds."""
    return [said(name), *called(), replied(f"Elsewhere {name}."), said("go on")]


@pytest.fixture
def taught(desk: Desk) -> Desk:
    """An upstream that has taught that it wants reasoning of all turns, a day ago."""
    Upstream("all").answer(desk.open(cold("first")))
    desk.memory.clock.pass_days(1)
    return desk


def scopes(desk: Desk) -> list[str]:
    return [lesson.scope for lesson in desk.written_lessons()]


def test_a_lesson_is_not_tried_before_a_day(desk: Desk) -> None:
    Upstream("all").answer(desk.open(cold("first")))
    desk.memory.clock.pass_days(0.9)
    assert carried(sent(desk.open(cold("next")))) == ["", ""]


def test_what_is_milder_is_tried_by_one_request_and_forgotten_step_by_step(taught: Desk) -> None:
    lenient = Upstream("none")
    exchange = taught.open(cold("one"))
    assert carried(sent(exchange)) == ["", None]
    assert carried(sent(taught.open(cold("two")))) == ["", ""], "one request at a time"
    lenient.answer(exchange)
    assert scopes(taught) == ["calls"]
    assert carried(lenient.answer(taught.open(cold("three")))) == [None, None]
    assert scopes(taught) == []
    restart(taught)
    assert carried(sent(taught.open(cold("four"), principal=GRACE))) == [None, None]


@pytest.mark.parametrize(
    ("status", "refusal"),
    [(400, MISSING), (400, error("bad conversation")), (500, b"template error"), (413, b"")],
)
def test_a_trial_that_is_refused_is_repaired_in_the_request_and_confirms_the_lesson(
    taught: Desk, status: int, refusal: bytes
) -> None:
    exchange = taught.open(cold("one"))
    assert exchange.refused(status, {}, refusal) == Again()
    assert carried(sent(exchange)) == ["", ""]
    assert whole(exchange, SAYING).status == 200
    [lesson] = taught.written_lessons()
    assert (lesson.scope, lesson.learned_at) == ("foreign", taught.memory.clock.now_ms())
    taught.memory.clock.pass_days(0.9)
    assert carried(sent(taught.open(cold("two")))) == ["", ""]


def test_a_trial_that_comes_to_nothing_is_made_again_soon(taught: Desk) -> None:
    taught.open(cold("one")).unreachable("gone")
    assert carried(sent(taught.open(cold("two")))) == ["", ""]
    taught.memory.clock.pass_days(0.01)
    assert carried(sent(taught.open(cold("three")))) == ["", None]


def test_a_trial_goes_on_with_the_next_key(taught: Desk) -> None:
    taught.upstreams = (upstream(profile="glm", api_keys=("sk-a", "sk-b")),)
    exchange = taught.open(cold("one"))
    assert exchange.refused(429, {}, b"") == Again()
    assert carried(sent(exchange)) == ["", None]
    assert exchange.refused(400, {}, MISSING) == Again()
    assert carried(sent(exchange)) == ["", ""]


def test_a_request_that_would_show_nothing_tries_nothing(taught: Desk) -> None:
    messages = [said("hi")]
    taught.converse(messages, SAYING)
    assert scopes(taught) == ["foreign"]
    taught.memory.clock.pass_days(0.01)
    assert carried(sent(taught.open(cold("one")))) == ["", None]


def test_a_lesson_about_pictures_fades_too(desk: Desk) -> None:
    picture = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}
    asked = [{"role": "user", "content": [{"type": "text", "text": "What is this?"}, picture]}]
    refusal = error("this model does not support image input")
    exchange = desk.open(asked)
    assert exchange.refused(400, {}, refusal) == Again()
    whole(exchange, SAYING)
    desk.memory.clock.pass_days(1)
    exchange = desk.open(asked)
    assert b"image_url" in exchange.outgoing.body
    assert exchange.refused(400, {}, refusal) == Again()
    assert b"image_url" not in exchange.outgoing.body
    whole(exchange, SAYING)
    desk.memory.clock.pass_days(1)
    whole(desk.open(asked), SAYING)
    assert desk.written_lessons() == []


def test_what_was_forgotten_while_it_was_tried_stays_forgotten(taught: Desk) -> None:
    exchange = taught.open(cold("one"))
    [lesson] = taught.written_lessons()
    forget = forget_lesson(lesson.key)
    change_topic(taught.memory.engine, "learned", lambda work: work.run(*forget))
    taught.lessons.refresh()
    assert exchange.refused(400, {}, MISSING) == Again()
    whole(exchange, SAYING)
    assert taught.written_lessons() == []


# -- lessons of earlier versions -------------------------------------------------------------------


def test_what_an_earlier_version_switched_off_for_everybody_is_on_again(desk: Desk) -> None:
    sql = "INSERT INTO learned (endpoint, value, learned_at) VALUES (:endpoint, :value, 7)"
    policy = {"step": "off", "everywhere": True, "pictures": False}
    old = {
        "endpoint": "one deepseek-v4-pro",
        "value": json.dumps({"profile": "glm", "policy": policy}),
    }
    desk.memory.engine.transact(lambda work: work.run(sql, old), alone=())
    restart(desk)
    assert not is_off(sent(desk.open(COLD)))
    assert carried(sent(desk.open(COLD))) == [None]
    assert [lesson.kind for lesson in desk.written_lessons()] == ["pictures"]


def test_examples_that_begin_every_conversation_are_not_blamed(desk: Desk) -> None:
    examples = [said("How do I add?"), replied("Like this."), said("Now for real.")]
    assert whole(desk.open(examples), SAYING).status == 200
    lost = [*examples, *called(), said("go on")]
    exchange = desk.open(lost)
    while not is_off(sent(exchange)):
        assert exchange.refused(400, {}, MISSING) == Again()
    assert whole(exchange, SAYING).status == 200
    assert is_off(sent(desk.open(lost)))
    assert not is_off(sent(desk.open([*examples, replied("Another."), said("b")])))


@pytest.mark.parametrize(
    ("asked", "member", "instead"),
    [
        ({"stream": True}, "stream_options", {}),
        ({"prompt_cache_key": "k"}, "prompt_cache_key", {}),
        ({"max_tokens": 9}, "max_tokens", {"max_completion_tokens": 9}),
    ],
    ids=["one that the gateway adds", "one of the client", "a limit's name"],
)
def test_a_member_that_an_upstream_does_not_know_is_left_out_there_from_then_on(
    desk: Desk, asked: Json, member: str, instead: Json
) -> None:
    exchange = desk.open(**asked)
    assert member in sent(exchange)
    unknown = error(f"Unsupported parameter: '{member}' is not supported with this model.")
    assert exchange.refused(400, {}, unknown) == Again()
    assert member not in sent(exchange)
    assert sent(exchange) == sent(exchange) | instead
    whole(exchange, SAYING)
    restart(desk)
    assert member not in sent(desk.open(**asked, principal=GRACE))
    desk.upstreams = (upstream("two", profile="glm"),)
    assert member in sent(desk.open(**asked))


def test_an_upstream_that_goes_on_refusing_is_told_to_the_client(desk: Desk) -> None:
    exchange = desk.open(user="u")
    unknown = error("Unknown parameter: 'user'.")
    assert exchange.refused(400, {}, unknown) == Again()
    assert reply_of(exchange.refused(400, {}, unknown)).body == unknown
    assert "user" in sent(desk.open(user="u"))
