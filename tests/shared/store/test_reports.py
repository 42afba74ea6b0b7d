"""What was used, by whom and of what; single exchanges; how upstreams do."""

from typing import Any

import msgspec
import pytest

from shared.store.engine import Engine, Statement, Work, apply_change
from shared.store.feed import recent_numbers
from shared.store.ledger import Entry, Opening, open_exchange, settle
from shared.store.reports import (
    Details,
    Dimension,
    EntryFilter,
    Group,
    Sums,
    Tokens,
    Try,
    TurnNote,
    UsageFilter,
    asked_keys,
    daily_tokens,
    entries_after,
    largest_usage,
    newest_entry,
    read_details,
    recent_entries,
    running_exchanges,
    usage_by,
    usage_by_day_and_model,
    usage_of,
)
from tests.shared.store.plans import Explained, only_sqlite

DAY = 86_400_000
NOON = 1_795_176_000_000
"""2026-11-20 12:00 UTC."""

CONVERSATION_STEP = (
    "SEARCH ledger USING INDEX ledger_conversation (conversation=? AND id>? AND id<?)"
)


def entry(exchange: str, **members: Any) -> Entry:
    usual = {
        "at": NOON,
        "user_id": 1,
        "username": "ada",
        "key_id": 1,
        "model": "m",
        "upstream": "main",
        "upstream_model": "m",
        "status": 200,
        "prompt_tokens": 100,
        "completion_tokens": 20,
        "cost_micros": 50,
    }
    return Entry(exchange=exchange, **usual | members)


def run(engine: Engine, *statements: Statement | Work[object]) -> None:
    engine.transact(lambda work: apply_change(work, statements), alone=())


def settled(engine: Engine, **members: Any) -> Entry:
    """An entry of its own in the ledger."""
    made = entry(f"x{newest_entry(engine) + 1}", **members)
    run(engine, *settle(made))
    return made


def recent(engine: Engine, **conditions: Any) -> list[int]:
    entries, following = recent_entries(engine, EntryFilter(**conditions))
    assert following is None
    return [number for number, _ in entries]


# -- sums ------------------------------------------------------------------------------------------


def test_a_users_exchanges_are_summed_from_a_day_on(engine: Engine) -> None:
    settled(engine, reasoning_tokens=5, cached_tokens=60, restored=3, missing=1)
    settled(engine, at=NOON + DAY, error_class="upstream_cut", estimated=True, cost_micros=None)
    settled(engine, user_id=2)
    tokens = {
        "prompt_tokens": 200,
        "completion_tokens": 40,
        "reasoning_tokens": 5,
        "cached_tokens": 60,
    }
    marks = {"failures": 1, "estimated": 1, "unpriced": 1, "restored": 3, "missing": 1}
    assert usage_of(engine, 1) == Sums(requests=2, cost_micros=50, **tokens, **marks)
    assert usage_of(engine, 1, since_day=2026_11_21).requests == 1
    assert usage_of(engine, 1, since_day=2026_11_22) == usage_of(engine, 3) == Sums()


def test_a_users_days_are_summed_by_model(engine: Engine) -> None:
    settled(engine, at=NOON + DAY, model="b")
    settled(engine, model="b", upstream="spare")
    settled(engine, model="b", key_id=9)
    settled(engine, model="a")
    settled(engine, at=NOON - DAY)
    settled(engine, user_id=2)
    found = usage_by_day_and_model(engine, 1, first_day=2026_11_20, last_day=2026_11_21)
    assert [(day, model, sums.requests) for day, model, sums in found] == [
        (2026_11_20, "a", 1),
        (2026_11_20, "b", 2),
        (2026_11_21, "b", 1),
    ]


@pytest.fixture
def used(engine: Engine) -> Engine:
    """Ada has the id 1 and the key 1; the user 2 is deleted; one exchange was of nobody."""
    user = (
        "INSERT INTO users (username, password_hash, role, created_at) VALUES ('ada', "
        "'hash', 'user', 0)"
    )
    key = """
        INSERT INTO virtual_keys (user_id, name, digest, suffix, scope, created_at)
        VALUES (1, 'laptop', :digest, 'wxyz', 'inference', 0)
    """
    run(engine, (user, {}), (key, {"digest": "0" * 64}))
    settled(engine, username="ada as she was called")
    settled(engine, user_id=2, username="bob", key_id=2, model="b", at=NOON + DAY)
    settled(engine, user_id=None, username="", key_id=None, upstream="spare", at=NOON + 2 * DAY)
    return engine


@pytest.mark.parametrize(
    ("by", "groups"),
    [
        ("user", [(0, ""), (1, "ada"), (2, "bob")]),
        ("key", [(0, ""), (1, "ada: laptop …wxyz"), (2, "")]),
        ("model", [("b", ""), ("m", "")]),
        ("upstream", [("main", ""), ("spare", "")]),
        ("day", [(2026_11_22, ""), (2026_11_21, ""), (2026_11_20, "")]),
    ],
)
def test_usage_is_grouped(used: Engine, by: Dimension, groups: list[tuple[int | str, str]]) -> None:
    found = usage_by(used, by, UsageFilter())
    assert [(each.group, each.name) for each in found] == groups
    assert sum(each.requests for each in found) == 3


def test_the_largest_groups_come_first(used: Engine) -> None:
    settled(used, model="b", prompt_tokens=1_000)
    settled(used, model="tiny", prompt_tokens=0, completion_tokens=1)
    found = largest_usage(used, "model", UsageFilter(), limit=2)
    assert [(each.group, each.prompt_tokens) for each in found] == [("b", 1_100), ("m", 200)]
    assert [each.name for each in largest_usage(used, "user", UsageFilter(user_id=1))] == ["ada"]


def test_the_tokens_of_a_few_groups_are_told_by_day(used: Engine) -> None:
    found = daily_tokens(used, "model", UsageFilter(last_day=2026_11_21), ["m", "b", "none"])
    tokens = Tokens(prompt_tokens=100, completion_tokens=20)
    assert found == {"m": {2026_11_20: tokens}, "b": {2026_11_21: tokens}, "none": {}}
    assert daily_tokens(used, "model", UsageFilter(), []) == {}


@pytest.mark.parametrize("by", ["user", "key", "model", "upstream", "day"])
def test_groups_are_paged(used: Engine, by: Dimension) -> None:
    every = usage_by(used, by, UsageFilter())
    pages: list[Group] = []
    while page := usage_by(
        used, by, UsageFilter(), after=pages[-1].group if pages else None, limit=1
    ):
        pages += page
    assert pages == every


@pytest.mark.parametrize(
    ("conditions", "users"),
    [
        ({"user_id": 2}, [2]),
        ({"user_id": 0}, [0]),
        ({"key_id": 1}, [1]),
        ({"model": "b"}, [2]),
        ({"upstream": "spare"}, [0]),
        ({"first_day": 2026_11_21}, [0, 2]),
        ({"last_day": 2026_11_21}, [1, 2]),
        ({"first_day": 2026_11_21, "last_day": 2026_11_21, "model": "m"}, []),
    ],
    ids=["user", "nobody", "key", "model", "upstream", "from", "to", "all at once"],
)
def test_what_is_grouped_can_be_narrowed(
    used: Engine, conditions: dict[str, Any], users: list[int]
) -> None:
    assert [each.group for each in usage_by(used, "user", UsageFilter(**conditions))] == users


@only_sqlite
def test_a_users_sums_read_no_others(used: Engine) -> None:
    watched = Explained(used)
    usage_of(watched, 1, since_day=2026_11_20)
    usage_by_day_and_model(watched, 1, first_day=2026_11_20, last_day=2026_11_21)
    looked = [step for step in watched.steps if "usage_daily" in step]
    assert len(looked) == 2
    assert all("USING INDEX usage_daily_user_id (user_id=? AND day>?" in step for step in looked)


# -- single exchanges ------------------------------------------------------------------------------


def test_entries_come_newest_first_as_they_were_settled(engine: Engine) -> None:
    made = [settled(engine) for _ in range(3)]
    entries, following = recent_entries(engine, EntryFilter(), limit=2)
    assert (entries, following) == ([(3, made[2]), (2, made[1])], 2)
    assert recent_entries(engine, EntryFilter(), before=2) == ([(1, made[0])], None)


@pytest.mark.parametrize(
    ("conditions", "numbers"),
    [
        ({"user_id": 1}, [6, 5, 4, 3, 1]),
        ({"user_id": 0}, [2]),
        ({"key_id": 5}, [3]),
        ({"model": "b"}, [4]),
        ({"upstream": "spare"}, [5]),
        ({"outcome": "error"}, [6]),
        ({"outcome": "ok"}, [5, 4, 3, 2, 1]),
        ({"error_class": "upstream_cut"}, [6]),
        ({"error_class": "lost"}, []),
        ({"user_id": 1, "outcome": "ok", "model": "m", "upstream": "main", "key_id": 1}, [1]),
    ],
    ids=[
        "user",
        "nobody",
        "key",
        "model",
        "upstream",
        "error",
        "ok",
        "class",
        "no such class",
        "all at once",
    ],
)
def test_entries_are_sifted(engine: Engine, conditions: dict[str, Any], numbers: list[int]) -> None:
    for members in (
        {},
        {"user_id": None, "key_id": None},
        {"key_id": 5},
        {"model": "b"},
        {"upstream": "spare"},
        {"error_class": "upstream_cut"},
    ):
        settled(engine, **members)
    assert recent(engine, **conditions) == numbers
    found = entries_after(engine, EntryFilter(**conditions), after=0, upto=6)
    assert [number for number, _ in found] == numbers[::-1]


def test_what_came_since_is_read_in_order(engine: Engine) -> None:
    assert (newest_entry(engine), recent_numbers(engine, 9)) == (0, [])
    for _ in range(5):
        settled(engine)
    assert newest_entry(engine) == 5
    assert recent_numbers(engine, 3) == [3, 4, 5]
    run(engine, ("DELETE FROM ledger WHERE id IN (1, 4)", {}))
    assert recent_numbers(engine, 9) == [2, 3, 5]


def test_of_what_came_since_only_what_is_wanted_is_read(engine: Engine) -> None:
    for _ in range(5):
        settled(engine)
    assert [number for number, _ in entries_after(engine, EntryFilter(), after=1, upto=4)] == [
        2,
        3,
        4,
    ]
    assert [
        number for number, _ in entries_after(engine, EntryFilter(), after=1, upto=4, limit=2)
    ] == [2, 3]


@only_sqlite
@pytest.mark.parametrize(
    ("wanted", "step"),
    [
        (EntryFilter(), "SEARCH ledger USING INTEGER PRIMARY KEY (rowid>? AND rowid<?)"),
        (EntryFilter(model="m"), "SEARCH ledger USING INTEGER PRIMARY KEY (rowid>? AND rowid<?)"),
        (
            EntryFilter(user_id=1),
            "SEARCH ledger USING INDEX ledger_user_id (user_id=? AND id>? AND id<?)",
        ),
        (
            EntryFilter(user_id=0),
            "SEARCH ledger USING INDEX ledger_user_id (user_id=? AND id>? AND id<?)",
        ),
        (
            EntryFilter(user_id=1, model="m"),
            "SEARCH ledger USING INDEX ledger_user_id (user_id=? AND id>? AND id<?)",
        ),
        (EntryFilter(conversation="c"), CONVERSATION_STEP),
        (EntryFilter(conversation="c", user_id=1), CONVERSATION_STEP),
    ],
    ids=[
        "all",
        "model",
        "user",
        "nobody",
        "user and model",
        "conversation",
        "conversation of a user",
    ],
)
def test_no_page_of_entries_reads_the_whole_ledger_or_sorts_it(
    engine: Engine, wanted: EntryFilter, step: str
) -> None:
    watched = Explained(engine)
    recent_entries(watched, wanted)
    assert watched.plans[-1] == [step]
    assert all("ledger" not in each or "SEARCH" in each for each in watched.steps)


@only_sqlite
def test_what_came_since_is_found_by_its_number(engine: Engine) -> None:
    watched = Explained(engine)
    entries_after(watched, EntryFilter(model="m"), after=5, upto=9)
    newest_entry(watched)
    recent_numbers(watched, 9)
    assert watched.plans == [
        ["SEARCH ledger USING INTEGER PRIMARY KEY (rowid>? AND rowid<?)"],
        ["SEARCH ledger"],
        ["SEARCH ledger USING INTEGER PRIMARY KEY (rowid>?)", "SCALAR SUBQUERY 1", "SEARCH ledger"],
    ]


def test_running_exchanges_are_listed(engine: Engine) -> None:
    runs = entry("x1", status=0)
    opening = Opening(node="n", entry=runs, reserved_tokens=0, reserved_cost_micros=0)
    run(engine, open_exchange(opening))
    assert running_exchanges(engine) == [runs]
    run(engine, *settle(runs))
    assert running_exchanges(engine) == []


def test_details_are_read(engine: Engine) -> None:
    tries = [{"upstream": "main", "key": "…abcd", "model": "m", "outcome": "200"}]
    turns = [{"at": 3, "rule": "missing", "why": "no remembered turn has this text here"}]
    details = msgspec.json.encode({"tries": tries, "turns": turns, "new": 1}).decode()
    assert read_details(entry("x", details=details)) == Details(
        tries=(Try("main", "…abcd", "m", "200"),),
        turns=(TurnNote(3, "missing", "no remembered turn has this text here"),),
    )


def test_turns_are_counted_by_rule_also_where_only_some_are_listed(engine: Engine) -> None:
    turns = [{"turn": 9, "at": 17, "rule": "id"}]
    listed = read_details(entry("x", details=msgspec.json.encode({"turns": turns}).decode()))
    assert (listed.turns[0].turn, listed.rules) == (9, {})
    assert listed.counts == {"id": 1}
    all_of_them = {"turns": turns, "rules": {"id": 200, "missing": 1}}
    counted = read_details(entry("x", details=msgspec.json.encode(all_of_them).decode()))
    assert counted.counts == {"id": 200, "missing": 1}


@pytest.mark.parametrize("details", ["{}", "[]", '{"turns": 7}', '{"tries": [{"outcome": 200}]}'])
def test_details_of_another_shape_are_none(details: str) -> None:
    assert read_details(entry("x", details=details)) == Details()


def test_keys_that_were_asked_are_known_also_where_another_answered(engine: Engine) -> None:
    assert asked_keys(engine) == (set(), True)
    tries = '{"tries": [{"upstream": "up", "key": "…1111", "outcome": "401"}]}'
    settled(engine, upstream="up", upstream_key="2222", attempts=2, details=tries)
    settled(engine, upstream="other", upstream_key="3333")

    assert asked_keys(engine) == ({("up", "1111"), ("up", "2222"), ("other", "3333")}, True)
    run(engine, ("DELETE FROM ledger WHERE id = 1", {}))
    assert asked_keys(engine) == ({("other", "3333")}, False)
