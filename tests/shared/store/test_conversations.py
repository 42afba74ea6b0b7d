"""Conversations: sums that agree with their entries, found in bounded time."""

from typing import Any

import pytest

from shared.store.conversations import ConversationFilter, find_conversation, recent_conversations
from shared.store.engine import Engine, Statement, Work, apply_change
from shared.store.ledger import Entry, drop_old, drop_old_conversations, settle
from shared.store.reports import EntryFilter, recent_entries
from tests.shared.store.plans import Explained, only_sqlite

NOON = 1_795_176_000_000
"""2026-11-20 12:00 UTC."""


def run(engine: Engine, *statements: Statement | Work[object]) -> None:
    engine.transact(lambda work: apply_change(work, statements), alone=())


def entry(exchange: str, conversation: str = "c", **members: Any) -> Entry:
    usual = {
        "at": NOON,
        "user_id": 1,
        "username": "ada",
        "model": "m",
        "upstream": "main",
        "prompt_tokens": 100,
    }
    return Entry(exchange=exchange, conversation=conversation, **usual | members)


def settled(engine: Engine, *entries: Entry) -> None:
    run(engine, *(statement for one in entries for statement in settle(one)))


def found(engine: Engine, **conditions: Any) -> list[str]:
    return [
        one.conversation
        for one in recent_conversations(engine, ConversationFilter(**conditions))[0]
    ]


def test_a_conversation_is_what_its_entries_are_together(engine: Engine) -> None:
    settled(
        engine,
        entry("x1", cached_tokens=0, cost_micros=5, restored=1),
        entry("x2", at=NOON + 60, cached_tokens=90, completion_tokens=7, missing=2, estimated=True),
        entry("x3", "other"),
        entry("x4", at=NOON + 70, error_class="upstream_cut", status=502),
    )
    one = find_conversation(engine, "c")
    assert one is not None
    assert (one.requests, one.failures, one.estimated, one.unpriced) == (3, 1, 1, 2)
    assert (one.prompt_tokens, one.completion_tokens, one.cached_tokens, one.cost_micros) == (
        300,
        7,
        90,
        5,
    )
    assert (one.restored, one.missing, one.first_at, one.last_at) == (1, 2, NOON, NOON + 70)


def test_the_latest_exchange_says_where_it_is_now(engine: Engine) -> None:
    settled(
        engine,
        entry("x1", user_agent="Cursor/1"),
        entry("x2", upstream="spare", model="n", user_agent="Cursor/2"),
    )
    one = find_conversation(engine, "c")
    assert one is not None
    assert (one.upstream, one.model, one.username, one.user_agent) == (
        "spare",
        "n",
        "ada",
        "Cursor/2",
    )


def test_an_exchange_that_is_settled_again_changes_no_conversation(engine: Engine) -> None:
    settled(engine, entry("x1"), entry("x2"), entry("x1"), entry("x2"))
    one = find_conversation(engine, "c")
    assert one is not None
    assert one.requests == 2


def test_an_exchange_that_is_in_the_ledger_without_a_conversation_joins_none(
    engine: Engine,
) -> None:
    settled(engine, entry("x1", ""), entry("x1", "c"))
    assert found(engine) == []


def test_what_is_settled_late_does_not_turn_back_the_time(engine: Engine) -> None:
    settled(engine, entry("x1", at=NOON), entry("x2", at=NOON - 500))
    one = find_conversation(engine, "c")
    assert one is not None
    assert (one.first_at, one.last_at) == (NOON - 500, NOON)


def test_entries_without_a_conversation_make_none(engine: Engine) -> None:
    settled(engine, entry("x1", ""))
    assert found(engine) == []
    assert find_conversation(engine, "") is None


def test_a_caller_with_an_upstreams_key_has_conversations_too(engine: Engine) -> None:
    settled(engine, entry("x1", "nobody's", user_id=None, username=""))
    assert found(engine, user_id=0) == ["nobody's"]


@pytest.mark.parametrize(
    ("conditions", "conversations"),
    [
        ({}, ["c", "b", "a"]),
        ({"user_id": 1}, ["c", "a"]),
        ({"model": "n"}, ["b"]),
        ({"upstream": "spare"}, ["c", "b"]),
        ({"user_id": 1, "upstream": "spare"}, ["c"]),
        ({"user_id": 9}, []),
    ],
    ids=["all", "user", "model", "upstream", "both", "nobody"],
)
def test_the_one_that_was_active_last_comes_first(
    engine: Engine, conditions: dict[str, Any], conversations: list[str]
) -> None:
    settled(
        engine,
        entry("x1", "c"),
        entry("x2", "a"),
        entry("x3", "b", user_id=2, model="n", upstream="spare"),
    )
    settled(engine, entry("x4", "c", upstream="spare"))
    assert found(engine, **conditions) == conversations


def test_conversations_are_paged(engine: Engine) -> None:
    settled(engine, *(entry(f"x{at}", f"c{at}") for at in range(5)))
    pages, before = [], 2**53
    while before:
        page, following = recent_conversations(engine, ConversationFilter(), before=before, limit=2)
        pages.append([one.conversation for one in page])
        before = following or 0
    assert pages == [["c4", "c3"], ["c2", "c1"], ["c0"]]


@only_sqlite
@pytest.mark.parametrize(
    "wanted",
    [
        ConversationFilter(),
        ConversationFilter(user_id=1),
        ConversationFilter(model="m"),
        ConversationFilter(user_id=0),
    ],
    ids=["all", "user", "model", "nobody"],
)
def test_no_page_reads_all_conversations_or_sorts_them(
    engine: Engine, wanted: ConversationFilter
) -> None:
    watched = Explained(engine)
    recent_conversations(watched, wanted)
    assert all(step.startswith("SEARCH") for step in watched.plans[-1])
    assert not [step for step in watched.steps if "B-TREE" in step or step == "SCAN conversations"]


def test_the_entries_of_a_conversation_are_found_for_those_who_may_see_them(engine: Engine) -> None:
    settled(
        engine,
        entry("x1"),
        entry("x2", "other"),
        entry("x3"),
        entry("x4", "nobody's", user_id=None),
    )
    wanted = (
        EntryFilter(conversation="c"),
        EntryFilter(conversation="c", user_id=1),
        EntryFilter(conversation="c", user_id=2),
        EntryFilter(conversation="nobody's", user_id=0),
    )
    pages = [recent_entries(engine, each)[0] for each in wanted]
    assert [[number for number, _ in page] for page in pages] == [[3, 1], [3, 1], [], [4]]


def test_a_conversation_goes_with_the_last_of_its_entries(engine: Engine) -> None:
    settled(engine, entry("x1", "old"), entry("x2"), entry("x3", at=NOON + 500))
    run(engine, drop_old(NOON + 1), drop_old_conversations())
    assert found(engine) == ["c"]
    run(engine, drop_old(NOON + 501), drop_old_conversations())
    assert found(engine) == []
