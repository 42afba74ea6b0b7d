"""Turns are held within a bound; one that others may change is found by its keys here only until the
table has it.
"""

from addon.recall.front import Front, Held
from addon.recall.record import Record

KEYS = (b"one", b"two")


def held(token: str, text: str = "said") -> Held:
    return Held(b"namespace", Record(token=token, reasoning="why", text=text), KEYS, 1)


def test_the_longest_unused_turn_gives_way() -> None:
    front = Front(4_000)
    for token in ("first", "second", "third"):
        front.hold(token, held(token))
    assert list(front.turns) == ["second", "third"]
    assert list(front.tokens[b"one"]) == ["second", "third"]


def test_one_turn_is_held_however_long() -> None:
    front = Front(10)
    front.hold("long", held("long", "x" * 10_000))
    assert list(front.turns) == ["long"]


class UnderWay:
    committed = False


def test_a_turn_is_found_by_its_keys_until_the_table_has_it() -> None:
    front, commit = Front(10_000), UnderWay()
    front.hold("turn", held("turn"))
    front.follow("turn", commit)  # type: ignore[arg-type]
    front.note_commits()
    assert front.tokens.keys() == set(KEYS)
    commit.committed = True
    front.note_commits()
    assert (front.tokens, list(front.turns)) == ({}, ["turn"])
