"""Two processes remember in one table: what one does, the other goes by."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from addon.recall.memory import Record
from tests.addon.recall.chat import Memory

NAMESPACE = b"namespace"
KEY, OTHER_KEY = b"a key", b"another"


@pytest.fixture
def one(tmp_path: Path) -> Iterator[Memory]:
    found = Memory(tmp_path / "adapter.db", shared=True)
    yield found
    found.engine.close()


@pytest.fixture
def other(one: Memory) -> Iterator[Memory]:
    found = Memory(one.path, one.clock, shared=True)
    yield found
    found.engine.close()


def record(number: int = 0, *, complete: bool = True) -> Record:
    return Record(token=f"token{number:011}", reasoning="why", text="said", complete=complete)


def kept(memory: Memory, *, complete: bool = True, durable: bool = True) -> Record:
    made = record(complete=complete)
    memory.recall.keep(NAMESPACE, made, [KEY, OTHER_KEY], durable=durable)
    return made


def found_by(memory: Memory, key: bytes = KEY) -> list[str]:
    return memory.recall.tokens([key])[key]


def test_fault_10_a_turn_that_has_just_begun_is_known_to_the_other(
    one: Memory, other: Memory
) -> None:
    begun = kept(one, complete=False, durable=False)
    assert other.recall.turns(NAMESPACE, [begun.token]) == {begun.token: begun}
    assert found_by(other) == [begun.token]


def test_fault_10_the_end_of_an_answer_does_not_wait_for_how_it_began(
    one: Memory, other: Memory
) -> None:
    with one.locked():
        begun = record(complete=False)
        assert one.recall.keep(NAMESPACE, begun, [KEY], durable=False) is None
        assert found_by(one) == [begun.token]
    one.engine.flush()
    assert found_by(other) == [begun.token]


def test_fault_11_state_that_an_upstream_refused_of_one_is_not_sent_by_the_other(
    one: Memory, other: Memory
) -> None:
    made = kept(one)
    assert other.recall.turns(NAMESPACE, [made.token]) == {made.token: made}
    one.recall.disown([made], wholly=True)
    one.engine.flush()
    other.recall.follow()
    [seen] = other.recall.turns(NAMESPACE, [made.token]).values()
    assert (seen.disowned, seen.reasoning) == (True, None)


def test_fault_11_a_key_that_the_other_drops_leads_nowhere(one: Memory, other: Memory) -> None:
    made = kept(one)
    assert found_by(one) == [made.token]
    other.recall.drop_keys(made.token, [KEY])
    other.engine.flush()
    assert found_by(one) == []
    assert found_by(one, OTHER_KEY) == [made.token]


def test_fault_11_a_turn_that_was_written_late_is_found_here_and_follows_the_table_then(
    one: Memory, other: Memory
) -> None:
    with one.locked():
        made = kept(one)
        assert found_by(one) == [made.token]
    one.engine.flush()
    other.recall.drop_keys(made.token, [KEY])
    other.engine.flush()
    assert found_by(one) == []


def test_fault_11_what_the_other_sent_last_for_an_unknown_turn_is_sent_again(
    one: Memory, other: Memory
) -> None:
    one.recall.keep_sent({KEY: "empty"})
    other.clock.ms += 1
    other.recall.keep_sent({KEY: "omit"})
    other.engine.flush()
    assert {memory.recall.sent([KEY])[KEY][0] for memory in (one, other)} == {"omit"}


def test_what_this_process_sent_last_holds_before_it_is_written(one: Memory) -> None:
    one.recall.keep_sent({KEY: "empty"})
    with one.locked():
        one.clock.ms += 1
        one.recall.keep_sent({KEY: "omit"})
        assert one.recall.sent([KEY])[KEY][0] == "omit"


def test_keys_that_are_learnt_are_there_for_the_other_at_once(one: Memory, other: Memory) -> None:
    made = kept(one)
    one.recall.add_keys(made.token, [b"learnt"])
    assert found_by(other, b"learnt") == [made.token]
