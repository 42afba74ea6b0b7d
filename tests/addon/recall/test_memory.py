"""Turns are held in memory within bounds and kept in the table, so that no process or
moment loses one.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest

from addon.recall.memory import MAX_CANDIDATES, Recall, Record
from shared.store import open_engine
from shared.store.recall import kept_bytes
from tests.addon.recall.chat import Memory, StoppedClock

NAMESPACE = b"namespace"
KEY = b"a key"


def record(number: int = 0, reasoning: str | None = "thought") -> Record:
    return Record(token=f"token{number:011}", reasoning=reasoning, text="said")


def keep(
    memory: Memory, number: int = 0, reasoning: str | None = "thought", *, durable: bool = True
) -> Record:
    kept = record(number, reasoning)
    memory.recall.keep(NAMESPACE, kept, [KEY], durable=durable)
    return kept


@pytest.fixture
def other(memory: Memory) -> Iterator[Memory]:
    """Another process over the same file."""
    found = Memory(memory.path, memory.clock)
    yield found
    found.engine.close()


def test_a_turn_is_found_by_token_and_key_at_once(memory: Memory) -> None:
    kept = keep(memory, durable=False)
    assert memory.recall.turns(NAMESPACE, [kept.token]) == {kept.token: kept}
    assert memory.recall.tokens([KEY, b"another"]) == {KEY: [kept.token], b"another": []}


@pytest.mark.parametrize("reasoning", [None, "", " \n", "half \ud83e", "\x00\u2028 思考 🧠"])
def test_a_turn_is_the_same_after_a_restart(memory: Memory, reasoning: str | None) -> None:
    kept = Record(
        token="token",
        reasoning=reasoning,
        field="reasoning",
        text="said \ud83e",
        ids=("call_0", ""),
        names=("Read", "Glob"),
        parent="parent",
        after="after",
        since="since",
        made_at=1,
        complete=False,
    )
    memory.recall.keep(NAMESPACE, kept, [KEY], durable=True)
    memory.restart()
    assert memory.recall.tokens([KEY]) == {KEY: ["token"]}
    assert memory.recall.turns(NAMESPACE, ["token"]) == {"token": kept}


def test_a_turn_is_committed_when_keep_returns(memory: Memory, other: Memory) -> None:
    kept = keep(memory)
    assert other.recall.turns(NAMESPACE, [kept.token]) == {kept.token: kept}


def test_the_end_of_a_turn_waits_for_it_while_another_program_writes(
    memory: Memory, other: Memory
) -> None:
    assert memory.recall.keep(NAMESPACE, record(1), [KEY], durable=True) is None
    with memory.locked():
        assert memory.recall.keep(NAMESPACE, record(2), [KEY], durable=False) is None
        commit = memory.recall.keep(NAMESPACE, record(2), [KEY], durable=True)
        assert commit is not None
        assert commit.awaited
    memory.engine.flush()
    assert not commit.awaited
    assert other.recall.turns(NAMESPACE, [record(2).token])


def test_a_later_state_replaces_an_earlier_one(memory: Memory) -> None:
    keep(memory, reasoning="part", durable=False)
    whole = record(reasoning="part and all")
    memory.recall.keep(NAMESPACE, whole, [b"later key"], durable=True)
    for _ in range(2):
        assert memory.recall.turns(NAMESPACE, [whole.token]) == {whole.token: whole}
        assert memory.recall.tokens([KEY, b"later key"]) == {KEY: [], b"later key": [whole.token]}
        memory.restart()


def test_another_namespace_knows_nothing(memory: Memory) -> None:
    kept = keep(memory)
    assert memory.recall.turns(b"another", [kept.token]) == {}
    memory.restart()
    assert memory.recall.turns(b"another", [kept.token]) == {}


@pytest.mark.parametrize("restarted", [False, True], ids=["", "restarted"])
def test_it_is_known_in_which_namespaces_a_turn_stands(memory: Memory, restarted: bool) -> None:
    kept = keep(memory)
    if restarted:
        memory.restart()
    tokens = [kept.token, "never made"]
    assert memory.recall.made_in({b"another", NAMESPACE}, tokens) == {kept.token}
    assert memory.recall.made_in({b"another"}, tokens) == set()


def test_a_locked_database_delays_nothing_and_loses_nothing(memory: Memory) -> None:
    with memory.locked():
        kept = keep(memory)
        memory.recall.add_keys(kept.token, [b"more"])
        memory.recall.keep_sent({b"sent": "empty"})
        assert memory.recall.turns(NAMESPACE, [kept.token]) == {kept.token: kept}
        assert memory.recall.tokens([KEY, b"more"]) == {KEY: [kept.token], b"more": [kept.token]}
        assert memory.recall.sent([b"sent"]) == {b"sent": ("empty", memory.clock.ms)}
    memory.engine.flush()
    memory.restart()
    assert memory.recall.tokens([KEY, b"more"]) == {KEY: [kept.token], b"more": [kept.token]}
    assert memory.recall.sent([b"sent", b"other"]) == {b"sent": ("empty", memory.clock.ms)}


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Memory]:
    """A process that holds 8 kB in memory: a handful of turns."""
    found = Memory(tmp_path / "small.db", memory_bytes=8_000)
    yield found
    found.engine.close()


def held(memory: Memory) -> list[int]:
    """Which turns are in memory: those that are still known when the table has lost all."""
    memory.engine.flush()
    memory.engine.transact(lambda work: work.run("DELETE FROM recall_turns"), alone=())
    return [
        number for number in range(50) if memory.recall.turns(NAMESPACE, [record(number).token])
    ]


def test_memory_is_bounded_and_the_table_has_the_rest(small: Memory) -> None:
    for number in range(50):
        keep(small, number)
    assert len(small.recall.turns(NAMESPACE, [record(number).token for number in range(50)])) == 50
    assert 5 <= len(held(small)) <= 9


def test_what_was_used_last_stays_in_memory(small: Memory) -> None:
    for number in range(30):
        keep(small, number)
        small.recall.turns(NAMESPACE, [record(0).token])
    assert {0, 1, 29} & set(held(small)) == {0, 29}


def test_wide_letters_count_for_what_they_take(small: Memory) -> None:
    for number in range(5):
        keep(small, number, "🧠" * 800)
    assert len(held(small)) == 1


def test_a_smaller_bound_holds_from_the_next_turn_on(small: Memory) -> None:
    for number in range(5):
        keep(small, number)
    small.recall.bound(3_000)
    keep(small, 5)
    assert held(small) == [4, 5]


def test_the_last_turn_is_held_however_large_it_is(small: Memory) -> None:
    kept = keep(small, reasoning="x" * 100_000, durable=False)
    assert small.recall.turns(NAMESPACE, [kept.token]) == {kept.token: kept}


def test_keys_are_added_and_dropped(memory: Memory) -> None:
    kept = keep(memory)
    memory.recall.add_keys(kept.token, [b"more", b"most"])
    memory.recall.drop_keys(kept.token, [KEY, b"most", b"never had"])
    memory.engine.flush()
    for _ in range(2):
        assert memory.recall.tokens([KEY, b"more", b"most"]) == {
            KEY: [],
            b"more": [kept.token],
            b"most": [],
        }
        memory.restart()


def test_keys_of_a_turn_that_the_table_has_lost_are_no_error(
    memory: Memory, caplog: pytest.LogCaptureFixture
) -> None:
    memory.recall.add_keys("gone", [KEY])
    memory.recall.drop_keys("gone", [KEY])
    memory.engine.flush()
    assert memory.recall.tokens([KEY]) == {KEY: []}
    assert not caplog.records


def test_two_processes_see_each_other_s_turns(memory: Memory, other: Memory) -> None:
    ours, theirs = keep(memory, 1), keep(other, 2)
    for one in (memory, other):
        assert set(one.recall.tokens([KEY])[KEY]) == {ours.token, theirs.token}
        assert one.recall.turns(NAMESPACE, [ours.token, theirs.token]) == {
            ours.token: ours,
            theirs.token: theirs,
        }


def test_a_crowded_key_gives_as_many_as_can_be_told_apart(memory: Memory) -> None:
    for number in range(MAX_CANDIDATES + 10):
        keep(memory, number, durable=number % 2 == 0)
    assert len(memory.recall.tokens([KEY])[KEY]) == MAX_CANDIDATES
    memory.restart()
    assert len(memory.recall.tokens([KEY])[KEY]) == MAX_CANDIDATES // 2 + 5


def test_what_was_sent_is_known_after_a_restart_and_may_change(memory: Memory) -> None:
    memory.recall.keep_sent({b"one": "empty", b"two": "omit"})
    first = memory.clock.ms
    memory.clock.pass_days(1)
    memory.recall.keep_sent({b"one": "omit"})
    memory.engine.flush()
    for _ in range(2):
        found = memory.recall.sent([b"one", b"two", b"three"])
        assert found == {b"one": ("omit", memory.clock.ms), b"two": ("omit", first)}
        memory.restart()


def test_turns_are_forgotten_by_age_and_by_size(memory: Memory) -> None:
    for number in range(4):
        keep(memory, number, "x" * 1000)
        memory.clock.pass_days(10)
    memory.recall.forget_old(max_age_days=35, max_bytes=1 << 20)
    memory.restart()
    assert memory.tokens() == [record(number).token for number in (1, 2, 3)]
    memory.recall.forget_old(max_age_days=35, max_bytes=kept_bytes(memory.engine) - 1)
    memory.restart()
    assert memory.tokens() == [record(number).token for number in (2, 3)]
    assert memory.recall.tokens([KEY])[KEY] == memory.tokens()


def test_nothing_is_written_while_nothing_is_old(memory: Memory, other: Memory) -> None:
    keep(memory)
    version = other.engine.version()
    memory.recall.forget_old(max_age_days=1, max_bytes=1 << 20)
    memory.engine.flush()
    assert other.engine.version() == version
    memory.clock.pass_days(2)
    memory.recall.forget_old(max_age_days=1, max_bytes=1 << 20)
    memory.engine.flush()
    assert other.engine.version() != version


@pytest.mark.parametrize("restarted", [True, False], ids=["from the table", "from memory"])
def test_turns_in_use_are_not_forgotten(memory: Memory, restarted: bool) -> None:
    kept = keep(memory)
    for _ in range(4):
        memory.clock.pass_days(20)
        if restarted:
            memory.restart()
        memory.recall.turns(NAMESPACE, [kept.token])
        memory.recall.forget_old(max_age_days=30, max_bytes=1 << 20)
    memory.restart()
    assert memory.tokens() == [kept.token]


def test_a_turn_is_touched_once_a_day_at_most(memory: Memory) -> None:
    kept = keep(memory)
    memory.clock.pass_days(2)
    memory.recall.turns(NAMESPACE, [kept.token])
    memory.engine.flush()
    version = memory.engine.version()
    for _ in range(10):
        memory.recall.turns(NAMESPACE, [kept.token])
    memory.engine.flush()
    assert memory.engine.version() == version


def test_turns_survive_in_a_file_that_a_new_engine_opens(tmp_path: Path) -> None:
    first = Memory(tmp_path / "adapter.db")
    kept = keep(first)
    first.engine.close()
    engine = open_engine(f"sqlite:{tmp_path / 'adapter.db'}")
    recall = Recall(engine, StoppedClock(), memory_bytes=1 << 20)
    assert recall.turns(NAMESPACE, [kept.token]) == {kept.token: kept}
    engine.close()
