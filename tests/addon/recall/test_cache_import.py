"""A conversation that began behind deepseek-cursor-proxy goes on with its reasoning."""

import json
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from pysqlite3 import dbapi2

from addon.recall.cache_import import Tally, count, take_over
from addon.recall.identity import digest
from shared.errors import ThinkbackError
from tests.addon.recall.chat import FIELD, Chat, Json, Memory, call, turn
from tests.support.reasoning_cache import write_cache

NAMESPACE = digest("user:1", "deepseek")
LONG = "I have read the whole file and changed the three places that were wrong in it."


@pytest.fixture
def memory(tmp_path: Path) -> Iterator[Memory]:
    found = Memory(tmp_path / "adapter.db")
    yield found
    found.engine.close()


def called(number: int, reasoning: str, text: str = "") -> Json:
    """A turn with the same call as any other, and an id of DeepSeek's."""
    function = {"name": "Read", "arguments": '{"path": "README.md"}'}
    made = {"id": f"call_00_HYwXbHDDvqPVLwjiZl{number:06}", "type": "function"}
    return {
        "role": "assistant",
        "content": text,
        FIELD: reasoning,
        "tool_calls": [made | {"function": function}],
    }


def said(reasoning: str, text: str) -> Json:
    return {"role": "assistant", "content": text, FIELD: reasoning}


def imported(memory: Memory, tmp_path: Path, *messages: Json) -> Tally:
    write_cache(tmp_path / "cache.sqlite3", messages)
    *_, tally = take_over(tmp_path / "cache.sqlite3", memory.engine, NAMESPACE, 1)
    return tally


def without_reasoning(message: Json) -> Json:
    return {name: value for name, value in message.items() if name != FIELD}


def test_turns_are_found_by_the_ids_of_their_calls_or_a_long_text(
    memory: Memory, tmp_path: Path
) -> None:
    turns = [called(at, f"thought {at}") for at in range(70)]  # the same call, again and again
    turns.append(said("the last thought", LONG))
    assert imported(memory, tmp_path, *turns) == Tally(turns=71)
    chat = Chat(memory)
    for each in turns:
        chat.say_elsewhere(without_reasoning(each))
    chat.ask("Go on.")

    assert chat.carried() == [each[FIELD] for each in turns]
    assert chat.rules() == ["id"] * 70 + ["text"]


def test_they_stay_when_the_conversation_goes_on_here(memory: Memory, tmp_path: Path) -> None:
    turns = [called(1, "thought 1"), said("thought 2", LONG), called(3, "thought 3")]
    imported(memory, tmp_path, *turns)
    chat = Chat(memory)
    for each in turns:
        chat.say_elsewhere(without_reasoning(each))
    for at in range(3):
        chat.answer(turn(f"new {at}", "", call()))
    before = [each[FIELD] for each in turns]

    assert chat.carried() == [*before, "new 0", "new 1", "new 2"]
    memory.engine.flush()
    memory.restart()
    assert chat.carried() == [*before, "new 0", "new 1", "new 2"]


def test_a_text_is_found_with_the_reasoning_that_was_shown_in_it(
    memory: Memory, tmp_path: Path
) -> None:
    imported(memory, tmp_path, said("I think", LONG), called(1, "Read it", "I read."))
    chat = Chat(memory)
    shown = "<details>\n<summary>Thinking</summary>\n\n{}\n</details>\n\n{}"
    chat.say_elsewhere({"content": shown.format("I think", LONG)})
    chat.say_elsewhere(without_reasoning(called(1, "", shown.format("Read it", "I read."))))

    assert chat.carried() == ["I think", "Read it"]


def test_only_the_user_has_them(memory: Memory, tmp_path: Path) -> None:
    imported(memory, tmp_path, called(1, "thought 1"))
    chat = Chat(memory, principal="user:2")
    chat.say_elsewhere(without_reasoning(called(1, "")))

    assert chat.carried() == [""]


def test_repeating_it_changes_nothing(memory: Memory, tmp_path: Path) -> None:
    turns = [called(1, "thought 1"), said("thought 2", LONG)]
    imported(memory, tmp_path, *turns)
    before = (
        memory.engine.read("SELECT * FROM recall_turns"),
        memory.engine.read("SELECT * FROM recall_keys"),
    )
    *_, tally = take_over(tmp_path / "cache.sqlite3", memory.engine, NAMESPACE, 2)

    assert tally == Tally(turns=2)
    assert before == (
        memory.engine.read("SELECT * FROM recall_turns"),
        memory.engine.read("SELECT * FROM recall_keys"),
    )


def test_what_is_not_taken_is_counted(memory: Memory, tmp_path: Path) -> None:
    numbered = called(1, "thought")
    numbered["tool_calls"][0]["id"] = "call_1"
    tally = imported(memory, tmp_path, said("a", "OK."), numbered, called(2, "thought"))
    assert tally == Tally(turns=1, short=2)
    with closing(dbapi2.connect(tmp_path / "cache.sqlite3")) as cache, cache:
        for number, text in enumerate(["{", '"x"', json.dumps({"role": "user", "content": "a"})]):
            row = (str(number), "thought", text, 1.0)
            cache.execute("INSERT INTO reasoning_cache VALUES (?, ?, ?, ?)", row)
    *_, tally = take_over(tmp_path / "cache.sqlite3", memory.engine, NAMESPACE, 1)

    assert tally == Tally(turns=1, short=2, unreadable=3)
    assert count(tmp_path / "cache.sqlite3") == 6


def test_another_file_is_refused_in_words(memory: Memory, tmp_path: Path) -> None:
    other = tmp_path / "other.db"
    other.write_text("no database at all, but long enough to look at")
    for file in (other, tmp_path / "missing.db", memory.path):
        with pytest.raises(ThinkbackError, match="is no cache of deepseek-cursor-proxy"):
            list(take_over(file, memory.engine, NAMESPACE, 1))


def test_an_earlier_state_of_a_turn_does_not_stand_in_its_way(
    memory: Memory, tmp_path: Path
) -> None:
    whole = called(1, "I think, and more")
    both = called(1, "I think of two calls", "And") | {
        "tool_calls": [*whole["tool_calls"], *called(2, "")["tool_calls"]]
    }
    imported(memory, tmp_path, called(1, "I think"), whole, both)
    chat = Chat(memory)
    chat.say_elsewhere(without_reasoning(whole))
    chat.say_elsewhere(without_reasoning(both))

    assert chat.carried() == ["I think, and more", "I think of two calls"]
