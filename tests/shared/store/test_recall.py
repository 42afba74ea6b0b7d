"""The tables of recall: turns and their keys, what was sent, what was learnt, and how all
of it is let go.
"""

import pytest

from shared.store.engine import Engine, Statement
from shared.store.recall import (
    add_keys,
    drop_keys,
    find_learned,
    find_sent,
    find_tokens,
    find_turns,
    forget_old,
    keep_learned,
    keep_sent,
    keep_turn,
    touch_turns,
)

NAMESPACE = b"namespace"


def run(engine: Engine, *statements: Statement) -> None:
    engine.transact(lambda work: [work.run(sql, params) for sql, params in statements])


def turn(
    token: str,
    *,
    body: bytes = b"body",
    now: int = 1,
    namespace: bytes = NAMESPACE,
    complete: bool = True,
) -> Statement:
    return keep_turn(
        token=token, namespace=namespace, parent=None, complete=complete, body=body, now=now
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


def test_a_later_state_replaces_the_body_and_not_the_times(engine: Engine) -> None:
    run(engine, turn("a", now=1, complete=False), turn("a", body=b"later", now=9))
    assert engine.read("SELECT body, bytes, created_at, used_at FROM recall_turns") == [
        (b"later", 5, 1, 1)
    ]


def test_states_of_a_turn_may_come_in_any_order(engine: Engine) -> None:
    states = [(b"the whole", True), (b"the wh", False), (b"the", False)]
    run(engine, *(turn("a", body=body, complete=complete) for body, complete in states))
    run(engine, *(turn("b", body=body, complete=complete) for body, complete in states[1:]))
    assert engine.read("SELECT body, complete FROM recall_turns ORDER BY token") == [
        (b"the whole", 1),
        (b"the wh", 0),
    ]


def test_many_tokens_and_keys_are_found_at_once(engine: Engine) -> None:
    names = [f"{number:04}" for number in range(1000)]
    for name in names:
        run(engine, turn(name), *add_keys(name, [name.encode()]))
    assert list(find_turns(engine, NAMESPACE, names)) == names
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
    for number in range(600):
        run(engine, turn(f"{number:03}"), *add_keys(f"{number:03}", [b"crowded"]))
    keys = [f"key {number}".encode() for number in range(others)]
    run(engine, turn("z"), *add_keys("z", keys))
    found = find_tokens(engine, [b"crowded", *keys], 64)
    assert len(found.pop(b"crowded")) == 64
    assert found == {key: ["z"] for key in keys}


def test_what_was_sent_is_found_and_replaced(engine: Engine) -> None:
    run(engine, keep_sent(b"a", "empty", 1), keep_sent(b"b", "omit", 1), keep_sent(b"a", "omit", 2))
    assert find_sent(engine, [b"a", b"b", b"c"]) == {b"a": ("omit", 2), b"b": ("omit", 1)}
    assert find_sent(engine, []) == {}


def test_what_was_learnt_is_found_and_replaced(engine: Engine) -> None:
    run(
        engine,
        keep_learned("one m", "first", 1),
        keep_learned("one m", "second", 2),
        keep_learned("two m", "x", 2),
    )
    assert find_learned(engine) == {"one m": "second", "two m": "x"}


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
    ("max_bytes", "kept"), [(30, ["a", "b", "c"]), (29, ["b", "c"]), (10, ["c"]), (9, []), (0, [])]
)
def test_the_least_recently_used_turns_go_when_there_are_too_many_bytes(
    engine: Engine, max_bytes: int, kept: list[str]
) -> None:
    run(engine, *(turn(token, body=b"x" * 10, now=at) for at, token in enumerate("abc")))
    run(engine, *forget_old(unused_since=0, max_bytes=max_bytes))
    assert tokens(engine) == kept
