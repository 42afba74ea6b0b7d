"""The tables of recall: turns and their keys, what was sent, and how all of it is let
go.
"""

import itertools
from typing import Any

import pytest

from shared.store.engine import Engine, Statement
from shared.store.recall import (
    KEY_BYTES,
    SENT_BYTES,
    TURN_BYTES,
    add_keys,
    change_turn,
    drop_keys,
    find_sent,
    find_tokens,
    find_turns,
    forget_old,
    has_old,
    keep_sent,
    keep_turn,
    kept_bytes,
    touch_turns,
    turns_kept,
)
from tests.shared.store.plans import Explained, only_sqlite

NAMESPACE = b"namespace"


def run(engine: Engine, *statements: Statement) -> None:
    engine.transact(lambda work: [work.run(sql, params) for sql, params in statements], alone=())


def turn(
    token: str,
    *,
    body: bytes = b"body",
    now: int = 1,
    namespace: bytes = NAMESPACE,
    complete: bool = True,
) -> Statement:
    return keep_turn(
        token=token,
        namespace=namespace,
        complete=complete,
        length=len(body),
        body=body,
        now=now,
    )


def tokens(engine: Engine) -> list[str]:
    return [token for (token,) in engine.read("SELECT token FROM recall_turns ORDER BY token")]


def test_turns_are_found_by_token_in_their_namespace(engine: Engine) -> None:
    run(engine, turn("a"), turn("b", body=b"\x00\xff", now=7), turn("c", namespace=b"another"))
    assert find_turns(engine, NAMESPACE, ["a", "b", "c", "d"]) == {
        "a": (b"body", 1),
        "b": (b"\x00\xff", 7),
    }
    assert find_turns(engine, NAMESPACE, []) == {}


def test_a_later_state_replaces_the_body_and_not_the_time(engine: Engine) -> None:
    run(engine, turn("a", now=1, complete=False), turn("a", body=b"later", now=9))
    assert engine.read("SELECT body, bytes, used_at FROM recall_turns") == [
        (b"later", TURN_BYTES + 5, 1)
    ]


def test_states_of_a_turn_may_come_in_any_order(engine: Engine) -> None:
    states = [(b"the whole", True), (b"the wh", False), (b"the", False)]
    run(engine, *(turn("a", body=body, complete=complete) for body, complete in states))
    run(engine, *(turn("b", body=body, complete=complete) for body, complete in states[1:]))
    # A later state may be the shorter one once it is compressed.
    squeezed = {"token": "c", "namespace": NAMESPACE, "complete": False, "now": 1}
    run(engine, keep_turn(length=10, body=b"wh", **squeezed))
    run(engine, keep_turn(length=3, body=b"the", **squeezed))
    assert engine.read("SELECT body, complete FROM recall_turns ORDER BY token") == [
        (b"the whole", 1),
        (b"the wh", 0),
        (b"wh", 0),
    ]


def test_many_tokens_and_keys_are_found_at_once(engine: Engine) -> None:
    names = [f"{number:04}" for number in range(1000)]
    kept = [[turn(name), *add_keys(name, [name.encode()])] for name in names]
    run(engine, *itertools.chain(*kept))
    assert sorted(find_turns(engine, NAMESPACE, names)) == names
    assert find_tokens(engine, [name.encode() for name in names], 64) == {
        name.encode(): [name] for name in names
    }


def test_keys_lead_to_their_turns_and_to_no_others(engine: Engine) -> None:
    run(
        engine,
        turn("a"),
        turn("b"),
        *add_keys("a", [b"one", b"both"]),
        *add_keys("b", [b"both", b"both"]),
    )
    assert find_tokens(engine, [b"one", b"both", b"none"], 64) == {
        b"one": ["a"],
        b"both": ["a", "b"],
        b"none": [],
    }


def test_a_key_is_added_to_turns_that_are_there(engine: Engine) -> None:
    run(engine, *add_keys("gone", [b"key"]))
    assert find_tokens(engine, [b"key"], 64) == {b"key": []}


def test_a_key_is_dropped_for_one_turn(engine: Engine) -> None:
    run(engine, turn("a"), turn("b"), *add_keys("a", [b"key", b"other"]), *add_keys("b", [b"key"]))
    run(engine, *drop_keys("a", [b"key", b"never"]))
    assert find_tokens(engine, [b"key", b"other"], 64) == {b"key": ["b"], b"other": ["a"]}


@pytest.mark.parametrize("others", [1, 100])
def test_a_crowded_key_is_cut_short_and_hides_no_other(engine: Engine, others: int) -> None:
    names = [f"{number:03}" for number in range(600)]
    kept = [[turn(name), *add_keys(name, [b"crowded"])] for name in names]
    run(engine, *itertools.chain(*kept))
    keys = [f"key {number}".encode() for number in range(others)]
    run(engine, turn("z"), *add_keys("z", keys))
    found = find_tokens(engine, [b"crowded", *keys], 64)
    assert len(found.pop(b"crowded")) == 64
    assert found == {key: ["z"] for key in keys}


@only_sqlite
def test_look_ups_scan_nothing(engine: Engine) -> None:
    explained: Any = Explained(engine)
    find_turns(explained, NAMESPACE, ["a", "b"])
    find_tokens(explained, [b"one", b"two"], 64)
    find_sent(explained, [b"one", b"two"])
    assert all(step.startswith("SEARCH") for step in explained.steps)
    assert len(explained.steps) == 4


def test_what_was_sent_is_found_and_replaced(engine: Engine) -> None:
    run(engine, keep_sent(b"a", "empty", 1), keep_sent(b"b", "omit", 1), keep_sent(b"a", "omit", 2))
    assert find_sent(engine, [b"a", b"b", b"c"]) == {b"a": ("omit", 2), b"b": ("omit", 1)}
    assert find_sent(engine, []) == {}


def test_what_was_not_used_since_is_forgotten_with_its_keys(engine: Engine) -> None:
    run(
        engine,
        turn("old", now=10),
        turn("used", now=10),
        turn("new", now=20),
        keep_sent(b"s", "omit", 10),
    )
    run(
        engine,
        *add_keys("old", [b"key"]),
        *add_keys("new", [b"key"]),
        *touch_turns(["used", "gone"], 20),
    )
    run(engine, *forget_old(unused_since=20, max_bytes=1000))
    assert tokens(engine) == ["new", "used"]
    assert find_tokens(engine, [b"key"], 64) == {b"key": ["new"]}
    assert find_sent(engine, [b"s"]) == {}


@pytest.mark.parametrize(
    ("fitting", "kept"), [(3, "abc"), (2.9, "bc"), (1, "c"), (0.9, ""), (0, "")]
)
def test_the_least_recently_used_turns_go_when_there_are_too_many_bytes(
    engine: Engine, fitting: float, kept: str
) -> None:
    run(engine, *(turn(token, body=b"x" * 10, now=at) for at, token in enumerate("abc")))
    run(engine, *forget_old(unused_since=0, max_bytes=int(fitting * (TURN_BYTES + 10))))
    assert tokens(engine) == list(kept)


def test_turns_are_forgotten_in_lots_until_the_rest_fits(engine: Engine) -> None:
    for number in range(30):
        run(engine, turn(f"{number:02}", now=number // 2), *add_keys(f"{number:02}", [b"key"]))
    limits = {"unused_since": 5, "max_bytes": kept_bytes(engine) // 2}
    left = []
    while has_old(engine, **limits):
        run(engine, *forget_old(**limits, batch=4))
        left.append(len(tokens(engine)))
    # What is too old goes first; each lot takes 4 of those and 4 of the surplus.
    assert left == [22, 16, 15]
    assert tokens(engine) == [f"{number:02}" for number in range(15, 30)]
    run(engine, *forget_old(**limits, batch=4))
    assert len(tokens(engine)) == 15


def test_what_was_sent_for_others_counts_and_goes_with_the_turns_of_its_time(
    engine: Engine,
) -> None:
    run(engine, *(turn(f"{at}", now=at) for at in range(1, 5)))
    run(engine, *(keep_sent(f"{at}".encode(), "omit", at) for at in range(5)))
    taken = 4 * (TURN_BYTES + 4) + 5 * (SENT_BYTES + 4)
    assert kept_bytes(engine) == taken
    run(engine, keep_sent(b"4", "empty", 5), keep_sent(b"4", "omit", 4))
    assert kept_bytes(engine) == taken
    for _ in range(2):
        run(engine, *forget_old(unused_since=0, max_bytes=taken - 2 * TURN_BYTES))
    assert tokens(engine) == ["3", "4"]
    assert find_sent(engine, [b"0", b"1", b"2", b"3", b"4"]).keys() == {b"1", b"2", b"3", b"4"}
    run(engine, *forget_old(unused_since=0, max_bytes=10))
    run(engine, *forget_old(unused_since=0, max_bytes=10))
    assert engine.read("SELECT * FROM recall_days") == []


def test_what_turns_take_is_known_whatever_becomes_of_them(engine: Engine) -> None:
    run(engine, turn("a", body=b"x" * 50, complete=False, now=1), turn("b", now=90_000_000))
    run(engine, *add_keys("a", [b"one", b"two", b"one"]), *add_keys("gone", [b"one"]))
    assert kept_bytes(engine) == 2 * TURN_BYTES + 50 + 4 + 2 * KEY_BYTES
    run(engine, turn("a", body=b"x" * 60), *add_keys("a", [b"three"]), *drop_keys("a", [b"one"]))
    assert kept_bytes(engine) == 2 * TURN_BYTES + 60 + 4 + 2 * KEY_BYTES
    run(engine, change_turn(token="a", body=b"x", now=7), *touch_turns(["a", "b"], 200_000_000))
    assert kept_bytes(engine) == 2 * TURN_BYTES + 1 + 4 + 2 * KEY_BYTES
    run(engine, ("DELETE FROM recall_turns WHERE token = 'a'", {}))
    assert kept_bytes(engine) == TURN_BYTES + 4
    run(engine, *forget_old(unused_since=1, max_bytes=1 << 20))
    assert engine.read("SELECT day, turns FROM recall_days") == [(2, 1)]


DAY = 86_400_000


@pytest.mark.parametrize(
    ("hours", "daily"),
    [
        ([], 0),
        ([-5], 0),  # less than a day says nothing of a day
        ([-48, -36, -24, -12], 2),
        ([-24 * day for day in range(30)], 1),
        ([-24 * 29, -1], 1 / 8),
    ],
    ids=["nothing", "an hour", "two days", "a month", "a pause"],
)
def test_the_pace_is_that_of_the_last_week(engine: Engine, hours: list[int], daily: float) -> None:
    now = 20_000 * DAY + DAY - 1  # the end of a day
    for at, hour in enumerate(hours):
        run(engine, turn(f"{at}", now=now + hour * DAY // 24))
    kept = turns_kept(engine, now)
    assert (kept.turns, kept.bytes) == (len(hours), kept_bytes(engine))
    assert kept.oldest_at == (now + min(hours) * DAY // 24 if hours else None)
    assert kept.daily_bytes == pytest.approx(daily * (TURN_BYTES + 4), rel=0.3)


@only_sqlite
def test_whether_anything_is_old_is_known_without_reading_the_turns(engine: Engine) -> None:
    explained: Any = Explained(engine)
    assert not has_old(explained, unused_since=5, max_bytes=1000)
    assert {step for step in explained.steps if "recall_turns" in step} == {
        "SEARCH recall_turns USING COVERING INDEX recall_turns_used_at (used_at<?)"
    }
    run(engine, keep_sent(b"s", "omit", 1))
    assert has_old(engine, unused_since=5, max_bytes=1000)


@only_sqlite
@pytest.mark.parametrize("number", range(5))
def test_each_way_to_forget_reads_no_more_than_its_lot(engine: Engine, number: int) -> None:
    sql, params = forget_old(unused_since=5, max_bytes=1000)[number]
    steps = [step for *_, step in engine.read(f"EXPLAIN QUERY PLAN {sql}", params)]
    scanned = {step for step in steps if step.startswith("SCAN")}
    assert all("recall_turns" not in step or "USING INDEX" in step for step in scanned)
    assert not any("recall_sent" in step or "recall_keys" in step for step in scanned)
    assert any("used_at<?" in step for step in steps if "recall_sent" in step) == (number in (1, 2))
