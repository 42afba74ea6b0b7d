"""A miss says why it was one, and what would have been needed."""

import pytest

from tests.addon.recall.chat import Chat, Memory, call, turn
from tests.addon.recall.clients import replace_ids
from tests.addon.recall.test_resolve import LONG, elsewhere

ID = "a tool-call id of the gateway's, as the client got it"


def reasons(chat: Chat) -> list[tuple[str, str]]:
    """Why each message's turn was not found, and what would have been needed."""
    chat.send()
    assert chat.restoration is not None
    return [(one.why, one.needed) for one in chat.restoration.diagnoses if one.rule == "missing"]


def test_calls_of_others_would_have_needed_an_id(memory: Memory) -> None:
    chat = Chat(memory)
    chat.say_elsewhere(elsewhere("", call()))
    why, needed = reasons(chat)[0]
    assert why == "the tool-call ids are not the gateway's"
    assert needed == f"{ID}, or the same calls with the same results"


def test_a_text_would_have_had_to_be_remembered(memory: Memory) -> None:
    chat = Chat(memory)
    chat.say_elsewhere(elsewhere(LONG))
    assert reasons(chat) == [
        ("no remembered turn has this text here", "the turn's text, unchanged")
    ]


def test_a_forgotten_turn_would_have_had_to_be_kept(memory: Memory) -> None:
    chat = Chat(memory)
    chat.answer(turn("thought", "", call()))
    memory.forget(memory.tokens()[0])
    why, needed = reasons(chat)[0]
    assert why.startswith("the turn is no longer remembered")
    assert needed.endswith("is kept for longer")


def test_joined_turns_would_have_had_to_come_apart(memory: Memory) -> None:
    chat = Chat(memory)
    first = chat.answer(turn("thought 1", "", call()))
    second = chat.answer(turn("thought 2", "", call("Glob", "{}")))
    first["tool_calls"] += second["tool_calls"]
    chat.messages.remove(second)
    why, needed = reasons(chat)[0]
    assert why == "the message joins the calls of several turns"
    assert needed.startswith("each turn in a message of its own")


@pytest.mark.parametrize("calls", [(), (call(),)], ids=["text", "calls"])
def test_twins_would_have_needed_what_only_one_of_them_has(
    memory: Memory, calls: tuple[()]
) -> None:
    chat = Chat(memory)
    for number in range(2):
        chat = Chat(memory)
        chat.answer(turn(f"thought {number}", "Done.", *calls))
    if calls:
        replace_ids(chat)
    why, needed = reasons(chat)[0]
    assert why == "2 remembered turns fit, with different reasoning"
    assert "a turn right before or after it that is found" in needed
    assert (ID in needed) == bool(calls)


def test_a_few_words_would_have_needed_more(memory: Memory) -> None:
    ours, other = Chat(memory, "one"), Chat(memory, "two")
    ours.answer(turn("thought 1", LONG))
    ours.ask("continue")
    ours.answer(turn("thought 2", "Done."))
    other.say_elsewhere(elsewhere("Somebody else said so."))
    other.ask("continue")
    other.say_elsewhere(elsewhere("Done."))
    why, needed = reasons(other)[1]
    assert why == "the remembered turn like this was made at another place"
    assert needed.endswith("or 64 characters of question and answer")


def test_a_crowd_would_have_needed_an_id(memory: Memory) -> None:
    for number in range(65):
        Chat(memory).answer(turn(f"thought {number}", "Done."))
    chat = Chat(memory)
    chat.say_elsewhere(elsewhere("Done."))
    assert reasons(chat) == [("64 or more remembered turns stand at places like this", ID)]


def test_a_turn_that_two_messages_fit_would_have_needed_a_neighbour(memory: Memory) -> None:
    chat = Chat(memory)
    chat.answer(turn("thought 1", "", call()))
    for _ in range(2):
        chat.ask("continue")
        chat.answer(turn("thought 2", "Done."))
    memory.forget(memory.tokens()[2])
    memory.forget(memory.tokens()[0])
    chat.messages[0]["content"] = "Another day."
    assert [why for why, _ in reasons(chat)[1:]] == ["another message fits the same turn"] * 2


def test_a_turn_that_is_found_needs_nothing(memory: Memory) -> None:
    chat = Chat(memory)
    chat.answer(turn("thought", "Done."))
    chat.send()
    assert chat.restoration is not None
    assert [(one.why, one.needed) for one in chat.restoration.diagnoses] == [("", "")]
