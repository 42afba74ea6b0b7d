"""What the ledger gets of a finished exchange, however it ended, and what is learned of tokens."""

import json
from random import Random

import pytest
from msgspec.structs import replace

from addon.exchange.exchange import Exchange
from addon.exchange.verdict import Again
from addon.formats.neutral.turn import Turn as AnsweredTurn
from addon.formats.neutral.turn import Usage
from addon.formats.wire import sse
from addon.ledger.entry import entry_of, entry_so_far, entry_unread, learned_from
from shared.model import Limits
from shared.pricing import Price
from shared.store.prices import add_price
from shared.store.ratios import Learned, Ratio, learn_ratio
from tests.addon.callers import principal, user
from tests.addon.desk import MODEL, Desk, Refused, body, open_exchange, streamed, upstream, whole
from tests.addon.ledger.ended import CALLER, CALLING, PASSING, SAYING, delivery, entered
from tests.addon.recall.chat import Json
from tests.support.turns import Turn, events


def without_usage(exchange: Exchange, turn: Turn, *, cut: int | None = None) -> None:
    """The upstream streams and does not count; `cut` ends it after so many events."""
    answer = exchange.stream({})
    for event in list(events(turn, exchange.candidate.model, Random(1), usage=False))[:cut]:
        answer.feed(event)
        if not exchange.outcome().tries[-1].outcome:
            exchange.accepted()
    answer.stop()


# -- usage -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
def test_tokens_are_the_upstreams(desk: Desk, stream: bool) -> None:
    exchange = desk.open(principal=CALLER, stream=stream)
    streamed(exchange, SAYING) if stream else whole(exchange, SAYING)
    entry, usage = entered(desk, exchange), exchange.outcome().usage
    assert usage is not None
    assert (entry.prompt_tokens, entry.completion_tokens) == (
        usage.prompt_tokens,
        usage.completion_tokens,
    )
    assert (entry.estimated, entry.error_class, entry.status, entry.streamed) == (
        False,
        "",
        200,
        stream,
    )


@pytest.mark.parametrize(("cached", "entered_as"), [(5, 5), (50, 9)])
def test_no_more_of_a_prompt_is_cached_than_there_is(
    desk: Desk, cached: int, entered_as: int
) -> None:
    outcome = desk.open(principal=CALLER).outcome()
    counted = Usage(prompt_tokens=9, completion_tokens=4, reasoning_tokens=3, cached_tokens=cached)
    entry = entry_of(replace(outcome, usage=counted), delivery(), desk.meter)
    assert (entry.prompt_tokens, entry.completion_tokens) == (9, 4)
    assert (entry.reasoning_tokens, entry.cached_tokens) == (3, entered_as)


def test_times_are_told_in_milliseconds(desk: Desk) -> None:
    exchange = desk.open(principal=CALLER, stream=True)
    desk.memory.clock.ms += 1250
    streamed(exchange, SAYING)
    taken = replace(delivery(), seconds=2.5, user_agent="a" * 300)
    entry = entry_of(exchange.outcome(), taken, desk.meter)
    assert (entry.first_byte_ms, entry.duration_ms) == (1250, 2500)
    assert entry.user_agent == "a" * 200
    assert (entry.restored, entry.missing) == (0, 0)


def test_who_asked_for_what_and_who_answered_is_told(desk: Desk) -> None:
    desk.upstreams = (upstream("one", model_rewrites=()),)
    exchange = desk.open(principal=CALLER)
    whole(exchange, SAYING)
    entry = entered(desk, exchange)
    assert (entry.user_id, entry.username, entry.key_id, entry.key_suffix) == (7, "ada", 3, "abcd")
    assert (entry.model, entry.upstream_model, entry.upstream, entry.upstream_key) == (
        MODEL,
        MODEL,
        "one",
        "cret",
    )
    assert (entry.duration_ms, entry.first_byte_ms, entry.attempts, entry.client) == (
        2000,
        0,
        1,
        "203.0.113.5",
    )


def test_an_answer_that_is_not_counted_is_guessed_from_its_bytes(desk: Desk) -> None:
    exchange = desk.open(principal=CALLER, stream=True)
    without_usage(exchange, SAYING)
    entry = entered(desk, exchange)
    said = len((SAYING.reasoning or "") + SAYING.text)
    assert (entry.estimated, entry.completion_tokens) == (True, round(said / 4))
    assert entry.prompt_tokens == round(len(exchange.outgoing.body) / 4)


def test_the_guess_goes_by_what_the_model_was_seen_to_count(desk: Desk) -> None:
    statement = learn_ratio(MODEL, Learned(Ratio(2000, 1000, 1000, 1000)))
    desk.memory.engine.transact(lambda work: work.run(*statement), alone=())
    exchange = desk.open(principal=CALLER, stream=True)
    without_usage(exchange, SAYING)
    entry = entered(desk, exchange)
    assert entry.completion_tokens == len((SAYING.reasoning or "") + SAYING.text)
    assert entry.prompt_tokens == round(len(exchange.outgoing.body) / 2)


def test_a_client_that_leaves_pays_for_what_came_so_far(desk: Desk) -> None:
    exchange = desk.open(principal=CALLER, stream=True)
    without_usage(exchange, SAYING, cut=3)
    entry = entered(desk, exchange, "gone", client_left=True)
    assert (entry.error_class, entry.status, entry.estimated) == ("client_left", 0, True)
    assert 0 < entry.completion_tokens < len(SAYING.text)


def test_what_came_is_guessed_where_only_the_prompt_was_counted_at_the_beginning(
    desk: Desk,
) -> None:
    desk.upstreams = (upstream("one", api="messages"),)
    exchange = desk.open(principal=CALLER, stream=True)
    start = {"type": "message", "role": "assistant", "content": []}
    text = {"type": "text_delta", "text": "w" * 400}
    answer = exchange.stream({})
    for event in (
        {
            "type": "message_start",
            "message": start | {"usage": {"input_tokens": 33, "output_tokens": 1}},
        },
        {"type": "content_block_delta", "index": 0, "delta": text},
    ):
        answer.feed(sse.event(json.dumps(event).encode(), str(event["type"])))
    exchange.accepted()
    entry = entered(desk, exchange, "gone", client_left=True)
    assert (entry.prompt_tokens, entry.completion_tokens, entry.estimated) == (33, 100, True)
    assert learned_from(exchange.outcome()) is None


def test_what_a_running_exchange_has_used_so_far_can_be_told(desk: Desk) -> None:
    exchange = desk.open(principal=CALLER, stream=True)
    without_usage(exchange, SAYING, cut=3)
    so_far, left = (
        entry_so_far(exchange.outcome(), desk.meter),
        entered(desk, exchange, "gone", client_left=True),
    )
    assert so_far.completion_tokens == left.completion_tokens > 0
    assert so_far.prompt_tokens == left.prompt_tokens > 0


def test_a_client_that_leaves_before_the_answer_pays_for_the_prompt(desk: Desk) -> None:
    entry = entered(desk, desk.open(principal=CALLER), "gone", client_left=True)
    assert entry.prompt_tokens > 0
    assert (entry.completion_tokens, entry.estimated) == (0, True)


def test_what_an_upstream_refused_costs_nothing(desk: Desk) -> None:
    exchange = desk.open(principal=CALLER)
    exchange.refused(422, {}, b"{}")
    entry = entered(desk, exchange, "422")
    assert (entry.prompt_tokens, entry.cost_micros, entry.estimated) == (0, 0, False)
    assert (entry.error_class, entry.status) == ("upstream_422", 422)


def test_a_code_that_no_database_could_hold_is_cleaned(desk: Desk) -> None:
    exchange = desk.open(principal=CALLER, stream=True)
    answer = exchange.stream({})
    answer.feed(sse.event(b'{"error":{"message":"x","code":"\\ud800' + b"x" * 100 + b'"}}'))
    entry = entered(desk, exchange, "200")
    assert entry.error_class == "?" + "x" * 63
    desk.meter.settle(entry, exchange.opened, None)
    assert answer.error is not None
    assert exchange.failed_end(exchange.stream_problem(answer.error))


def test_an_attempt_that_failed_does_not_outshine_the_next_one(desk: Desk) -> None:
    desk.upstreams = (upstream("one"), upstream("two"))
    exchange = desk.open(principal=CALLER, stream=True)
    exchange.stream({}).feed(sse.event(b'{"error":{"message":"down","code":503}}'))
    assert exchange.refused(503, {}, b"{}") == Again()
    whole(exchange, SAYING)
    entry = entered(desk, exchange)
    assert (entry.error_class, entry.estimated, entry.upstream) == ("", False, "two")


def test_what_a_quota_refused_takes_no_place_of_those_at_once(desk: Desk) -> None:
    limits = Limits(quota_tokens=1, concurrency=1)
    limited = principal(user(limits=limits))
    for _ in range(2):
        intake = desk.intake(principal=limited)
        with pytest.raises(Refused, match="token quota"):
            open_exchange(intake, body())
        desk.meter.settle(entered(desk, intake, "429"), intake.opened, None)


def test_an_unreachable_upstream_is_named_by_its_error(desk: Desk) -> None:
    exchange = desk.open(principal=CALLER)
    exchange.unreachable("connection refused")
    assert entered(desk, exchange, "502").error_class == "upstream_unreachable"


def test_a_request_that_was_never_understood_is_an_entry_too(desk: Desk) -> None:
    entry = entered(desk, desk.intake(principal=CALLER), "413")
    assert (entry.user_id, entry.model, entry.attempts, entry.error_class) == (7, "", 0, "http_413")


def test_a_caller_with_an_upstreams_key_is_nobody(desk: Desk) -> None:
    exchange = desk.open(principal=PASSING)
    whole(exchange, SAYING)
    entry = entered(desk, exchange)
    assert (entry.user_id, entry.username, entry.key_id) == (None, "", None)


# -- money -----------------------------------------------------------------------------------------


def test_the_cost_is_that_of_the_days_price(desk: Desk) -> None:
    add_price(
        desk.memory.engine,
        upstream="one",
        model=MODEL,
        from_day=20200101,
        price=Price(1_000_000, 10_000_000),
    )
    exchange = desk.open(principal=CALLER)
    whole(exchange, SAYING)
    entry = entered(desk, exchange)
    assert entry.cost_micros == entry.prompt_tokens + 10 * entry.completion_tokens


def test_without_a_price_there_is_no_cost(desk: Desk) -> None:
    exchange = desk.open(principal=CALLER)
    whole(exchange, SAYING)
    assert entered(desk, exchange).cost_micros is None


# -- recall ----------------------------------------------------------------------------------------


def test_restored_and_missing_turns_are_counted_and_listed(desk: Desk) -> None:
    messages: list[Json] = [{"role": "user", "content": "hi"}]
    desk.converse(messages, CALLING)
    elsewhere = {"role": "assistant", "content": "Never said here."}
    entry = entered(
        desk,
        desk.open([*messages, elsewhere, {"role": "user", "content": "go on"}], principal=CALLER),
    )
    assert (entry.restored, entry.missing) == (0, 2), "another user's turns are not this caller's"
    own: list[Json] = [{"role": "user", "content": "hi"}]
    desk.converse(own, CALLING, principal=CALLER)
    entry = entered(
        desk, desk.open([*own, elsewhere, {"role": "user", "content": "go on"}], principal=CALLER)
    )
    details = json.loads(entry.details)
    assert (entry.restored, entry.missing) == (1, 1)
    assert [(turn["rule"], turn.get("why", "")) for turn in details["turns"]] == [
        ("id", ""),
        ("missing", "no remembered turn has this text here; needed: the turn's text, unchanged"),
    ]
    assert details["tries"] == [{"upstream": "one", "key": "cret", "model": MODEL, "outcome": ""}]


def test_of_a_long_conversation_misses_and_the_latest_are_listed_and_all_are_counted(
    desk: Desk,
) -> None:
    messages: list[Json] = [{"role": "user", "content": "hi"}]
    desk.converse(messages, CALLING, principal=CALLER)
    found = messages[1:]
    elsewhere = {"role": "assistant", "content": "Never said here."}
    messages += [*found * 150, elsewhere, *found * 150, *[elsewhere] * 99, *found]
    entry = entered(desk, desk.open([*messages, messages[0]], principal=CALLER))
    details = json.loads(entry.details)
    assert details["rules"] == {"id": 302, "missing": 100}
    assert len(details["turns"]) == 100
    latest = details["turns"][-1]
    assert (latest["turn"], latest["at"], latest["rule"]) == (402, len(messages) - 2, "id")
    assert len(entry.details) < 20_000


def test_a_short_conversation_s_turns_are_all_listed_with_their_numbers_and_reasons(
    desk: Desk,
) -> None:
    messages: list[Json] = [{"role": "user", "content": "hi"}]
    desk.converse(messages, CALLING, principal=CALLER)
    messages += [{"role": "assistant", "content": "Never said here."}, messages[0]]
    entry = entered(desk, desk.open(messages, principal=CALLER))
    found, missed = json.loads(entry.details)["turns"]
    assert found == {"turn": 1, "at": 1, "rule": "id"}
    assert missed.pop("why")
    assert missed == {"turn": 2, "at": 3, "rule": "missing"}


def test_what_was_never_understood_has_details_of_nothing(desk: Desk) -> None:
    details = json.loads(entered(desk, desk.intake(principal=CALLER), "413").details)
    assert details == {"tries": [], "turns": [], "rules": {}, "notes": [], "policy": ""}


def test_the_policy_for_turns_that_are_not_known_is_told(desk: Desk) -> None:
    entry = entered(desk, desk.open(principal=CALLER))
    assert json.loads(entry.details)["policy"] == "deepseek-v4: empty"


def test_what_the_upstream_does_not_get_is_told(desk: Desk) -> None:
    desk.upstreams = (upstream("one", images=False),)
    intake = desk.intake(principal=CALLER, path="/v1/responses")
    picture = {"type": "input_image", "image_url": "data:image/png;base64,AAAA"}
    asked = [{"role": "user", "content": [{"type": "input_text", "text": "see"}, picture]}]
    exchange = open_exchange(intake, json.dumps({"model": MODEL, "input": asked}).encode())
    [note] = json.loads(entered(desk, exchange).details)["notes"]
    assert note == "the image in message 0 was left out: the upstream takes none"


def test_requests_of_one_conversation_have_its_name_from_the_beginning(desk: Desk) -> None:
    messages: list[Json] = [{"role": "user", "content": "hi"}]
    desk.converse(messages, CALLING, principal=CALLER)
    again, other = (
        desk.open(messages, principal=CALLER),
        desk.open([{"role": "user", "content": "no"}]),
    )
    names = {
        entered(desk, one).conversation
        for one in (again, desk.open(messages[:1], principal=CALLER))
    }
    assert names == {again.opened.entry.conversation}
    assert names.isdisjoint({"", entered(desk, other).conversation})


# -- what is learned -------------------------------------------------------------------------------


def test_a_counted_answer_teaches_how_many_bytes_a_token_has(desk: Desk) -> None:
    exchange = desk.open(principal=CALLER)
    whole(exchange, SAYING)
    usage, said = exchange.outcome().usage, len((SAYING.reasoning or "") + SAYING.text)
    assert usage is not None
    assert learned_from(exchange.outcome()) == Ratio(
        len(exchange.outgoing.body), usage.prompt_tokens, said, usage.completion_tokens
    )


def test_a_padded_body_teaches_nothing(desk: Desk) -> None:
    exchange = open_exchange(desk.intake(principal=CALLER), body() + b" " * 100_000)
    whole(exchange, SAYING)
    assert exchange.outcome().usage is not None
    assert learned_from(exchange.outcome()) is None


@pytest.mark.parametrize(
    ("changed", "learned"),
    [
        ({}, Ratio(1800, 100, 3, 7)),
        ({"sent_bytes": 1801}, None),
        ({"sent_bytes": 0}, None),
        ({"usage": Usage(completion_tokens=7)}, None),
        ({"usage": None}, None),
        ({"trouble": "upstream_cut"}, None),
        ({"turns": {0: AnsweredTurn(text="…")}}, None),
    ],
    ids=["whole", "padded", "not sent", "no prompt", "not counted", "in trouble", "cut"],
)
def test_an_answer_teaches_when_it_is_whole_and_its_body_is_not_padded(
    desk: Desk, changed: dict[str, object], learned: Ratio | None
) -> None:
    outcome = replace(
        desk.open(principal=CALLER).outcome(),
        sent_bytes=1800,
        usage=Usage(prompt_tokens=100, completion_tokens=7),
        turns={0: AnsweredTurn(text="…", finish_reason="stop")},
    )
    assert learned_from(replace(outcome, **changed)) == learned


def test_what_was_not_counted_teaches_nothing(desk: Desk) -> None:
    exchange = desk.open(principal=CALLER, stream=True)
    without_usage(exchange, SAYING)
    assert learned_from(exchange.outcome()) is None


# -- when nothing can be read ----------------------------------------------------------------------


def test_what_the_upstream_counted_stands_though_nothing_can_be_read(desk: Desk) -> None:
    exchange = desk.open(principal=CALLER)
    whole(exchange, SAYING)
    guess = replace(entered(desk, exchange), prompt_tokens=1, completion_tokens=1)
    usage = exchange.outcome().usage
    assert usage is not None
    entry = entry_unread(exchange.outcome(), delivery(), guess)
    assert (entry.prompt_tokens, entry.completion_tokens) == (
        usage.prompt_tokens,
        usage.completion_tokens,
    )


def test_what_was_guessed_stands_for_what_nobody_counted(desk: Desk) -> None:
    exchange = desk.open(principal=CALLER, stream=True)
    without_usage(exchange, SAYING)
    guess = replace(entered(desk, exchange), prompt_tokens=4321, cost_micros=9)
    entry = entry_unread(exchange.outcome(), delivery(), guess)
    assert (entry.prompt_tokens, entry.cost_micros) == (4321, 9)


def test_nothing_is_guessed_for_what_was_never_sent(desk: Desk) -> None:
    intake = desk.intake()
    guess = replace(intake.outcome().entry, prompt_tokens=4321, cost_micros=9)
    entry = entry_unread(intake.outcome(), delivery("400"), guess)
    assert (entry.prompt_tokens, entry.cost_micros) == (0, None)
