"""An upstream that keeps to the limit that it is sent overdraws no quota and no budget, whatever
its client asks for, in every format and at every upstream that comes to answer.
"""

import json

import pytest

from addon.exchange.exchange import Exchange
from addon.exchange.verdict import Again
from addon.formats.neutral.request import WireFormat
from shared.model import Limits, Principal
from shared.pricing import Price
from shared.store.prices import add_price
from tests.addon.callers import principal, user
from tests.addon.desk import Desk, error, open_exchange, reply_of, upstream
from tests.addon.exchange.dialogue import Dialogue
from tests.addon.exchange.test_exchange_state import WITH_STATE
from tests.addon.translation.clients import PATHS, Json, asking

PAIRS = [(client, api) for client in PATHS for api in PATHS]
LIMITS: dict[WireFormat, str] = {
    "chat": "max_tokens",
    "responses": "max_output_tokens",
    "messages": "max_tokens",
}
LEFT = 60_000
"""A quarter of it, without the prompt, is what an answer may have."""


def caller(**limits: int) -> Principal:
    return principal(user(limits=Limits(**limits)))


def opened(
    desk: Desk, client: WireFormat, by: Principal, *, members: Json, without: str = ""
) -> Exchange:
    body = asking(client, [("user", "hi")]) | {"model": "m"} | members
    body.pop(without, None)
    return open_exchange(desk.intake(principal=by, path=PATHS[client]), json.dumps(body).encode())


def sent(exchange: Exchange) -> Json:
    found: Json = json.loads(exchange.outgoing.body)
    return found


def held(desk: Desk) -> int:
    desk.memory.engine.flush()
    [(tokens,)] = desk.memory.engine.read("SELECT sum(reserved_tokens) FROM open_exchanges")
    return int(tokens)


@pytest.mark.parametrize(("client", "api"), PAIRS)
def test_a_limit_beyond_the_share_of_what_is_left_is_lowered_to_what_is_reserved(
    desk: Desk, client: WireFormat, api: WireFormat
) -> None:
    desk.upstreams = (upstream(api=api),)
    members = {LIMITS[client]: 64_000}
    exchange = opened(desk, client, caller(quota_tokens=LEFT), members=members)
    prompt = exchange.opened.demand.prompt_tokens
    limit = sent(exchange)[LIMITS[api]]
    assert limit == (LEFT - prompt) // 4 == held(desk) - prompt
    [note] = [one for one in exchange.outcome().notes if "quota" in one]
    assert note == (f"an answer of more than {limit:,} tokens: the quota has no room for it")


@pytest.mark.parametrize(("client", "api"), PAIRS)
def test_a_limit_that_fits_stays(desk: Desk, client: WireFormat, api: WireFormat) -> None:
    desk.upstreams = (upstream(api=api),)
    for by, limit in ((caller(quota_tokens=LEFT), 9000), (caller(), 64_000)):
        exchange = opened(desk, client, by, members={LIMITS[client]: limit})
        assert sent(exchange)[LIMITS[api]] == limit
        assert not any("quota" in note for note in exchange.outcome().notes)


@pytest.mark.parametrize(("client", "api"), PAIRS)
def test_a_request_without_a_limit_gets_one_where_little_is_left(
    desk: Desk, client: WireFormat, api: WireFormat
) -> None:
    desk.upstreams = (upstream(api=api),)
    little, much = (
        opened(desk, client, caller(quota_tokens=left), members={}, without=LIMITS[client])
        for left in (LEFT, 10**6)
    )
    share = (LEFT - little.opened.demand.prompt_tokens) // 4
    assert sent(little)[LIMITS[api]] == share
    # Messages demands a limit of everybody.
    assert sent(much).get(LIMITS[api]) == {"messages": 32_000}.get(api)


def test_openais_own_api_gets_the_limit_under_the_name_that_it_knows(desk: Desk) -> None:
    desk.upstreams = (upstream(base_url="https://api.openai.com/v1"),)
    exchange = opened(desk, "chat", caller(quota_tokens=LEFT), members={}, without="max_tokens")
    assert "max_tokens" not in sent(exchange)
    assert sent(exchange)["max_completion_tokens"] < LEFT // 4


def test_a_budget_of_thinking_stays_below_the_limit(desk: Desk) -> None:
    desk.upstreams = (upstream(api="messages"),)
    thinking = {"type": "enabled", "budget_tokens": 60_000}
    exchange = opened(
        desk,
        "messages",
        caller(quota_tokens=LEFT),
        members={"max_tokens": 64_000, "thinking": thinking},
    )
    body = sent(exchange)
    assert 1024 <= body["thinking"]["budget_tokens"] < body["max_tokens"]


def test_a_limit_without_room_for_thought_switches_thinking_off(desk: Desk) -> None:
    desk.upstreams = (upstream(api="messages"),)
    members = {"reasoning_effort": "high"}
    exchange = opened(desk, "chat", caller(quota_tokens=900), members=members, without="max_tokens")
    body = sent(exchange)
    assert body["max_tokens"] < 900
    assert body["thinking"]["type"] in ("disabled", "adaptive")


def test_several_choices_share_what_is_reserved(desk: Desk) -> None:
    exchange = opened(
        desk, "chat", caller(quota_tokens=LEFT), members={"max_tokens": 64_000, "n": 3}
    )
    assert sent(exchange)["max_tokens"] == (LEFT - exchange.opened.demand.prompt_tokens) // 4 // 3


def test_a_lower_limit_of_the_model_holds_too(desk: Desk) -> None:
    exchange = opened(desk, "chat", caller(quota_tokens=LEFT), members={"max_tokens": 64_000})
    says = "max_tokens is too large. This model supports at most 8192 tokens."
    assert exchange.refused(400, {}, error(says)) == Again()
    assert sent(exchange)["max_tokens"] == 8192


def test_a_reservation_that_comes_late_still_lowers_the_limit(desk: Desk) -> None:
    with desk.memory.locked():
        exchange = opened(desk, "chat", caller(quota_tokens=LEFT), members={"max_tokens": 64_000})
        assert not exchange.reserved
    assert exchange.reserve(give_up=False) is None
    assert sent(exchange)["max_tokens"] == (LEFT - exchange.opened.demand.prompt_tokens) // 4


# -- upstreams of other prices ---------------------------------------------------------------------


def priced(desk: Desk, **output_micros: int) -> None:
    """Give the upstreams of these names a price of completion tokens; prompts cost nothing."""
    desk.upstreams = (*map(upstream, output_micros),)
    for name, micros in output_micros.items():
        if micros:
            add_price(
                desk.memory.engine, upstream=name, model="m", from_day=0, price=Price(0, micros)
            )


def next_limits(exchange: Exchange) -> list[tuple[str, int]]:
    """The hosts that are asked, one after the other fails, and the limits that they are sent."""
    seen = []
    verdict = Again()
    while verdict == Again():
        seen.append((exchange.outgoing.host.split(".")[0], int(sent(exchange)["max_tokens"])))
        verdict = exchange.unreachable("refused")  # type: ignore[assignment]
    reply_of(verdict)
    return seen


def test_a_dearer_upstream_that_takes_over_may_answer_no_more_than_the_budget_has(
    desk: Desk,
) -> None:
    priced(desk, one=1_000_000, two=10_000_000)
    exchange = opened(
        desk, "chat", caller(quota_cost_micros=400_000), members={"max_tokens": 20_000}
    )
    assert next_limits(exchange) == [("one", 20_000), ("two", 10_000)]


def test_an_upstream_that_is_too_dear_for_the_budget_or_has_no_price_is_not_asked(
    desk: Desk,
) -> None:
    priced(desk, one=1_000_000, two=100_000_000, three=0, four=2_000_000)
    exchange = opened(
        desk, "chat", caller(quota_cost_micros=40_000), members={"max_tokens": 20_000}
    )
    assert next_limits(exchange) == [("one", 10_000), ("four", 5000)]


def test_a_quota_in_tokens_alone_asks_for_no_price(desk: Desk) -> None:
    priced(desk, one=1_000_000, two=0)
    exchange = opened(desk, "chat", caller(quota_tokens=LEFT), members={"max_tokens": 20_000})
    limit = (LEFT - exchange.opened.demand.prompt_tokens) // 4
    assert next_limits(exchange) == [("one", limit), ("two", limit)]


def test_a_conversation_leaves_an_account_that_has_become_too_dear(desk: Desk) -> None:
    """Although that has the state of its latest turn."""
    dear = upstream("dear", profile="gemini")
    desk.upstreams = (dear,)
    talk = Dialogue(desk, "chat")
    talk.hear(talk.open(), WITH_STATE["gemini"])
    priced(desk, cheap=1_000_000, dear=100_000_000)
    desk.upstreams = (upstream("cheap", profile="gemini"), dear)
    asked = {"model": "m", "messages": talk.items, "max_tokens": 20_000}
    seen = []
    for budget in (10_000_000, 40_000):
        by = principal(user(id=1, limits=Limits(quota_cost_micros=budget)))
        exchange = open_exchange(desk.intake(principal=by), json.dumps(asked).encode())
        seen.append(exchange.candidate.upstream.name)
        desk.meter.settle_untold(exchange.opened)
    assert seen == ["dear", "cheap"]
