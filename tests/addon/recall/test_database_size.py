"""What remembered turns take in the database, counted in its pages."""

import itertools
from collections.abc import Iterator
from random import Random

import pytest

from addon.formats.neutral.turn import Turn
from shared.store.recall import kept_bytes
from tests.addon.recall.chat import Chat, Memory, call, turn
from tests.support.prose import Prose

MIB = 1024 * 1024
TURNS = 1000
PER_CHAT = 20


def answers(size: int) -> Iterator[Turn]:
    """Turns of an agent whose reasoning has this size: most have a call or two, some a text."""
    prose, random = Prose(), Random(1)
    for number in itertools.count():
        arguments = f'{{"path": "src/{prose.cut(12)}.py"}}'
        ids = (f"call_0{at}_{random.randbytes(12).hex()}" for at in range(number % 3))
        calls = [call("Read", arguments, call_id) for call_id in ids]
        yield turn(prose.cut(size), prose.cut(60) if number % 3 == 0 else "", *calls)


def pages(memory: Memory) -> int:
    """The bytes of the database's pages that are in use."""
    memory.engine.flush()
    ((count,),) = memory.engine.read("PRAGMA page_count")
    ((free,),) = memory.engine.read("PRAGMA freelist_count")
    ((size,),) = memory.engine.read("PRAGMA page_size")
    return int((count - free) * size)


def fill(memory: Memory, size: int, turns: int) -> int:
    """Remember so many turns; what the database has grown by."""
    before = pages(memory)
    made = answers(size)
    for number in range(turns // PER_CHAT):
        chat = Chat(memory, f"Read file {number}.")
        for _ in range(PER_CHAT):
            chat.answer(next(made))
            memory.clock.ms += 7_000
    return pages(memory) - before


def test_a_thousand_turns_of_600_bytes_of_reasoning_take_little(memory: Memory) -> None:
    assert fill(memory, 600, TURNS) <= 0.6 * MIB


@pytest.mark.parametrize("size", [100, 600, 2_000, 8_000])
def test_what_is_counted_is_what_the_database_has_grown_by(memory: Memory, size: int) -> None:
    grown = fill(memory, size, TURNS // 2)
    assert kept_bytes(memory.engine) == pytest.approx(grown, rel=0.15)
