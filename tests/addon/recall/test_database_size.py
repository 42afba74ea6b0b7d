"""What remembered turns take in the database, counted in its pages."""

import itertools
from collections.abc import Iterator
from pydoc_data.topics import topics

import pytest

from addon.formats.neutral.turn import Turn
from shared.store.recall import kept_bytes
from tests.addon.recall.chat import Chat, Memory, call, turn

MIB = 1024 * 1024
TURNS = 1000
PER_CHAT = 20


def prose() -> Iterator[str]:
    """Words of Python's own manual, as often as they stand there."""
    return itertools.chain.from_iterable(text.split() for text in topics.values())


def cut(words: Iterator[str], size: int) -> str:
    """So many characters of the words."""
    text = ""
    while len(text) < size:
        text += next(words) + " "
    return text[:size]


def answers(size: int) -> Iterator[Turn]:
    """Turns of an agent whose reasoning has this size: most have a call or two, some a text."""
    words = itertools.cycle(prose())
    for number in itertools.count():
        arguments = f'{{"path": "src/{cut(words, 12)}.py"}}'
        calls = [call("Read", arguments, f"call_00_{number:024x}")] * (number % 3)
        yield turn(cut(words, size), cut(words, 60) if number % 3 == 0 else "", *calls)


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
    for _ in range(turns // PER_CHAT):
        chat = Chat(memory, cut(itertools.cycle(prose()), 50))
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
