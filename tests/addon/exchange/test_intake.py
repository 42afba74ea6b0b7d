"""What a request wants to know of the store is asked for at once, before it goes out; what
its end waits for is noted.
"""

import json

from msgspec.structs import replace

from addon.exchange.exchange import Exchange
from addon.exchange.intake import Intake
from addon.formats.paths import Endpoint
from shared.config.schema import Snapshot
from shared.store.lookup import Found, Wanted, look_up
from tests.addon.desk import MODEL, USER, Desk, body, open_exchange, whole
from tests.addon.exchange.test_exchange import CALLING, SAYING, carried
from tests.addon.recall.chat import Json


def listened(
    desk: Desk, messages: list[Json], *, sealed: bool = False
) -> tuple[Exchange, list[Wanted]]:
    """The exchange that the messages open, and what was asked of the store for it; `sealed`:
    it answers no more after that.
    """
    asked: list[Wanted] = []

    def listen(wanted: Wanted) -> Found:
        asked.append(wanted)
        found = look_up(desk.memory.engine, wanted)
        if sealed:
            for table in ("recall_turns", "prices", "token_ratios"):
                desk.memory.engine.transact(
                    lambda work, table=table: work.run(f"DROP TABLE {table}"), alone=()
                )
        return found

    services = replace(desk.services(), look_up=listen)
    snapshot = Snapshot(upstreams=desk.upstreams, server=desk.server)
    intake = Intake(services, snapshot, USER, Endpoint("chat"), {})
    return open_exchange(intake, body(messages)), asked


def test_price_ratio_and_all_named_turns_are_asked_for_in_one_go(desk: Desk) -> None:
    messages: list[Json] = [{"role": "user", "content": "hi"}]
    for _ in range(3):
        desk.converse(messages, CALLING)
    desk.restart()
    exchange, [wanted] = listened(desk, messages, sealed=True)
    [tokens] = wanted.turns.values()
    assert len(tokens) == 3
    assert (wanted.ratio, wanted.price is not None) == (MODEL, True)
    assert carried(exchange) == [CALLING.reasoning] * 3


def test_what_memory_holds_is_not_asked_for(desk: Desk) -> None:
    messages: list[Json] = [{"role": "user", "content": "hi"}]
    desk.converse(messages, CALLING)
    exchange, [wanted] = listened(desk, messages)
    assert wanted.turns == {}
    assert carried(exchange) == [CALLING.reasoning]


def test_turns_without_a_name_are_found_all_the_same(desk: Desk) -> None:
    messages: list[Json] = [{"role": "user", "content": "hi"}]
    desk.converse(messages, SAYING)
    desk.restart()
    exchange, [wanted] = listened(desk, [*messages, {"role": "user", "content": "go on"}])
    assert wanted.turns == {}
    assert carried(exchange) == [SAYING.reasoning]


def test_the_end_waits_for_the_turn_and_for_the_stored_answer(desk: Desk) -> None:
    asked = {"model": MODEL, "input": "hi"}
    exchange = open_exchange(desk.intake(path="/v1/responses"), json.dumps(asked).encode())
    engine = desk.memory.engine
    with desk.memory.locked():
        whole(exchange, SAYING)
        assert not exchange.storing.over
        assert engine.read("SELECT id FROM answers") == []
        assert engine.read("SELECT token FROM recall_turns") == []
    engine.flush()
    assert exchange.storing.over
    assert len(engine.read("SELECT id FROM answers")) == 1
    assert len(engine.read("SELECT token FROM recall_turns")) == 1
