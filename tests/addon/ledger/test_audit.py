"""What the audit gets of a finished exchange."""

import json
import zlib

import pytest
from msgspec.structs import replace

from addon.exchange.exchange import Exchange
from addon.ledger.audit import Audit, audit_record
from shared.model import Principal
from shared.store.audit import AuditFilter, AuditRecord, find_record, search
from tests.addon.desk import MODEL, Desk
from tests.addon.ledger.ended import CALLER, CALLING, PASSING, SAYING, entered
from tests.addon.recall.chat import Json
from tests.support.breaths import breaths
from tests.support.calls import calls_of
from tests.support.turns import completion


def recorded(desk: Desk, exchange: Exchange, mode: str) -> AuditRecord | None:
    return audit_record(exchange.outcome(), entered(desk, exchange), mode)


ASKED = [
    {"role": "system", "content": "You are an agent."},
    {"role": "user", "content": "first"},
    {"role": "user", "content": [{"type": "text", "text": "请修复\0这个错误 \ud800"}]},
]


def test_the_last_user_message_is_kept_as_a_database_can_take_it(desk: Desk) -> None:
    exchange = desk.open(ASKED, principal=CALLER)
    record = recorded(desk, exchange, "last")
    assert record is not None
    assert (record.text, record.conversation, record.user_id) == ("请修复␀这个错误 ?", None, 7)


@pytest.mark.parametrize(
    ("mode", "principal"), [("off", CALLER), ("full", PASSING)], ids=["off", "passthrough"]
)
def test_nothing_is_kept_where_nothing_may_be(desk: Desk, mode: str, principal: Principal) -> None:
    exchange = desk.open(ASKED, principal=principal)
    assert recorded(desk, exchange, mode) is None


def test_a_whole_conversation_shows_the_reasoning_that_was_restored(desk: Desk) -> None:
    messages: list[Json] = [{"role": "user", "content": "hi"}]
    desk.converse(messages, CALLING, principal=CALLER)
    exchange = desk.open(messages, principal=CALLER)
    exchange.whole(200, {}, completion(SAYING, MODEL))
    record = recorded(desk, exchange, "full")
    assert record is not None
    assert record.conversation is not None
    kept = json.loads(zlib.decompress(record.conversation))
    assert kept["messages"][1] == {
        "role": "assistant",
        "text": "",
        "calls": [{"name": "Read", "arguments": '{"path": "a.py"}'}],
        "reasoning": "thought of a call",
        "restored": "id",
    }
    assert kept["answer"] == {"text": SAYING.text, "calls": [], "reasoning": SAYING.reasoning}


def test_a_whole_conversation_shows_why_reasoning_was_not_found(desk: Desk) -> None:
    elsewhere: Json = {"role": "assistant", "content": "Said elsewhere."}
    asked: Json = {"role": "user", "content": "hi"}
    record = recorded(desk, desk.open([asked, elsewhere, asked], principal=CALLER), "full")
    assert record is not None
    assert record.conversation is not None
    turn = json.loads(zlib.decompress(record.conversation))["messages"][1]
    assert turn.pop("missed")
    assert turn == {"role": "assistant", "text": "Said elsewhere."}, "an empty one is none"


def test_of_an_endless_conversation_the_end_is_kept(desk: Desk) -> None:
    long = [{"role": "user", "content": f"{number}" + "x" * 99_000} for number in range(60)]
    exchange = desk.open(long, principal=CALLER)
    record = recorded(desk, exchange, "full")
    assert record is not None
    assert record.conversation is not None
    kept = json.loads(zlib.decompress(record.conversation))["messages"]
    assert 30 < len(kept) < 60
    assert kept[-1]["text"].startswith("59x")


def test_a_record_has_four_mebibytes_of_a_conversation_and_not_a_message_more(desk: Desk) -> None:
    kilobyte = 1024 - len('{"role":"user","text":""}')
    asked = {"role": "user", "content": "x" * kilobyte}
    record = recorded(desk, desk.open([asked] * 4_200, principal=CALLER), "full")
    assert record is not None
    assert record.conversation is not None
    kept = json.loads(zlib.decompress(record.conversation))["messages"]
    assert len(kept) == 4 * 1024


def test_an_answer_without_reasoning_shows_none(desk: Desk) -> None:
    exchange = desk.open(ASKED, principal=CALLER)
    choice = {"message": {"role": "assistant", "content": "Done."}, "finish_reason": "stop"}
    exchange.whole(200, {}, json.dumps({"choices": [choice]}).encode())
    record = recorded(desk, exchange, "full")
    assert record is not None
    assert record.conversation is not None
    answer = json.loads(zlib.decompress(record.conversation))["answer"]
    assert answer == {"text": "Done.", "calls": []}


def test_a_conversation_that_was_made_for_no_upstream_is_kept_as_it_came(desk: Desk) -> None:
    outcome = replace(desk.open(ASKED, principal=CALLER).outcome(), restoration=None)
    record = audit_record(outcome, outcome.entry, "full")
    assert record is not None
    assert record.conversation is not None
    kept = json.loads(zlib.decompress(record.conversation))["messages"]
    assert kept[0] == {"role": "system", "text": "You are an agent."}


LONG = [{"role": "user", "content": f"{number}" + "x" * 9_000} for number in range(60)]


def noted(desk: Desk) -> AuditRecord:
    """The only record in the database."""
    desk.memory.engine.flush()
    [found], _ = search(desk.memory.engine, AuditFilter(), limit=9)
    record = find_record(desk.memory.engine, found.id)
    assert record is not None
    return record


def test_the_record_of_a_long_conversation_is_noted_as_any_other(desk: Desk) -> None:
    exchange = desk.open(LONG, principal=CALLER)
    audit, outcome, entry = Audit(desk.memory.engine), exchange.outcome(), entered(desk, exchange)
    called = calls_of(lambda: audit.note(outcome, entry, "full"))
    assert called["audit_record"] == 0, "the event loop is not held up by it"
    audit.close()
    made = recorded(desk, exchange, "full")
    assert made is not None
    record = noted(desk)
    assert (record.text, record.conversation) == (made.text, made.conversation)


def test_what_is_noted_at_the_end_gets_there_too(desk: Desk) -> None:
    exchange = desk.open(LONG, principal=CALLER)
    audit = Audit(desk.memory.engine)
    audit.close()
    audit.note(exchange.outcome(), entered(desk, exchange), "full")
    assert noted(desk).exchange == exchange.opened.entry.exchange


def test_others_go_on_between_the_messages_of_a_record(desk: Desk) -> None:
    exchange = desk.open(LONG, principal=CALLER)
    _, count = breaths(lambda: recorded(desk, exchange, "full"))
    assert count >= len(LONG)
