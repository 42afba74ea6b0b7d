"""Question and answer identify a turn where there is enough of both; the less there is, the more
must be known of what stood around.
"""

import pytest

from tests.addon.recall.chat import Chat, Memory, call, turn
from tests.addon.recall.clients import parts
from tests.addon.recall.test_resolve import LONG, elsewhere

REMINDER = "\n\n# Rules:\n\nEvery change must be a block.\n\nONLY EVER RETURN CODE IN A BLOCK!"
"""What aider adds to the latest message of the user, and leaves out of the next request."""

ANSWER = "I have renamed the function, and its three callers too."
QUESTION = "Which of the two tests fails?"


def summarised(chat: Chat, kept: int) -> None:
    """Compact the conversation: the last messages stay."""
    chat.messages = [{"role": "user", "content": "<summary/>"}, *chat.messages[-kept:]]


# -- short words, elsewhere ------------------------------------------------------------------------


@pytest.mark.parametrize("made_first", [False, True], ids=["", "made first"])
@pytest.mark.parametrize("tools", [False, True], ids=["text", "calls"])
def test_a_foreign_turn_of_generic_words_gets_nothing(
    memory: Memory, made_first: bool, tools: bool
) -> None:
    ours, other = Chat(memory, "one"), Chat(memory, "two")
    given = turn("thought", "", call("git_status", "{}")) if tools else turn("thought", "Done.")
    if not made_first:
        ours.answer(turn("thought 1", LONG))
    ours.ask("continue")
    ours.answer(given)
    other.say_elsewhere(elsewhere("Somebody else said so."))
    other.ask("continue")
    other.say_elsewhere(elsewhere(given.text, *given.calls))
    assert other.carried() == ["", ""]


def test_a_long_prompt_that_is_sent_again_and_again_is_no_sign_of_a_short_answer(
    memory: Memory,
) -> None:
    prompt = "Review the change, and say whether it can go out as it is. " * 5
    ours, other = Chat(memory, "one"), Chat(memory, "two")
    for chat in (ours, other):
        chat.answer(turn("thought 1", f"{LONG} {chat is ours}"))
        chat.ask(prompt)
    ours.answer(turn("thought 2", "It can."))
    other.say_elsewhere(elsewhere("It can."))
    assert other.carried() == ["thought 1", ""]


def test_the_same_beginning_of_a_conversation_is_the_same_place(memory: Memory) -> None:
    chat = Chat(memory, "hi")
    for question, answer in (("hi", "OK"), ("go on", "Done."), ("and now?", "OK")):
        chat.messages[-1]["content"] = question
        chat.answer(turn(f"after {question}", answer))
        chat.ask("")
    memory.restart()
    assert chat.carried() == ["after hi", "after go on", "after and now?"]


def test_a_turn_after_foreign_ones_is_known_by_the_conversation_so_far(memory: Memory) -> None:
    chat = Chat(memory)
    chat.say_elsewhere(elsewhere("An example that the client made up."))
    chat.ask("continue")
    chat.answer(turn("thought", "Done."))
    assert chat.carried() == ["", "thought"]


def test_of_turns_alike_the_one_after_the_same_conversation_is_meant(memory: Memory) -> None:
    chats = [Chat(memory, "Fix the bug."), Chat(memory, "Fix the other bug.")]
    for number, chat in enumerate(chats):
        chat.say_elsewhere(elsewhere("Somebody else said so."))
        chat.ask("continue")
        chat.answer(turn(f"thought {number}", "Done."))
    memory.restart()
    assert [chat.carried() for chat in chats] == [["", "thought 0"], ["", "thought 1"]]


# -- short words of one conversation ---------------------------------------------------------------


@pytest.mark.parametrize("question", ["continue", QUESTION])
def test_compaction_leaves_a_question_and_an_answer_if_there_is_enough_of_both(
    memory: Memory, question: str
) -> None:
    chat = Chat(memory)
    chat.answer(turn("thought 1", "", call()))
    chat.ask(question)
    chat.answer(turn("thought 2", "The second one of the two tests fails."))
    summarised(chat, 2)
    found = question == QUESTION
    assert chat.carried() == ["thought 2" if found else ""]
    assert chat.rules() == ["words" if found else "missing"]


def test_short_turns_that_followed_one_another_are_known_together(memory: Memory) -> None:
    chat = Chat(memory)
    chat.answer(turn("thought", "", call()))
    for number in range(3):
        chat.ask(f"go on with {number}")
        chat.answer(turn(f"thought {number}", f"Done {number}."))
    memory.restart()
    summarised(chat, 6)
    assert chat.carried() == ["thought 0", "thought 1", "thought 2"]
    assert chat.rules() == ["words"] * 3


def test_turns_that_say_the_same_again_are_not_more_evidence_than_one(memory: Memory) -> None:
    ours, other = Chat(memory), Chat(memory)
    ours.answer(turn("thought", "", call()))
    for number in range(5):
        ours.ask("continue")
        ours.answer(turn(f"thought {number}", "Done."))
    other.say_elsewhere(elsewhere("Nothing known."))
    for _ in range(5):
        other.ask("continue")
        other.say_elsewhere(elsewhere("Done."))
    assert other.carried() == [""] * 6


@pytest.mark.parametrize("after", ["id", "text"])
def test_short_turns_are_known_by_a_later_one_of_the_conversation(
    memory: Memory, after: str
) -> None:
    chat = Chat(memory)
    chat.answer(turn("thought 0", "", call()))
    chat.ask("continue")
    chat.answer(turn("thought 1", "Done."))
    chat.ask("continue")
    chat.answer(
        turn("thought 2", "", call("Glob", "{}")) if after == "id" else turn("thought 2", LONG)
    )
    summarised(chat, 5 if after == "id" else 4)
    assert chat.carried() == ["thought 1", "thought 2"]


@pytest.mark.parametrize("text", ["All four tests pass again.", LONG])
def test_the_middle_of_a_conversation_may_be_dropped(memory: Memory, text: str) -> None:
    chat = Chat(memory)
    for number in range(4):
        chat.answer(turn(f"on the way {number}", "", call("Read", f'{{"n": {number}}}')))
        chat.ask(f"and {number}?")
    chat.messages[-1]["content"] = "Now run the tests."
    chat.answer(turn("thought", text))
    first = chat.messages[:4]
    chat.messages = [
        *first,
        {"role": "user", "content": "[some turns are left out]"},
        *chat.messages[-2:],
    ]
    memory.restart()
    assert (chat.carried(), chat.rules()) == (["on the way 0", "thought"], ["id", "words"])


@pytest.mark.parametrize("text", ["All four tests pass again.", LONG])
def test_a_middle_that_was_dropped_is_not_another_conversation_s(memory: Memory, text: str) -> None:
    ours, other = Chat(memory), Chat(memory)
    for chat in (ours, other):
        chat.answer(turn("beginning", "", call()))
        chat.ask("Now run the tests.")
    ours.answer(turn("thought", "", call()))
    ours.ask("Now run the tests.")
    ours.answer(turn("of the other", text))
    other.say_elsewhere(elsewhere(text))
    assert other.carried() == ["beginning", ""]


def test_generic_words_after_a_dropped_middle_are_not_enough(memory: Memory) -> None:
    chat = Chat(memory)
    chat.answer(turn("thought 1", "", call()))
    kept = list(chat.messages)
    chat.answer(turn("thought 2", "", call("Glob", "{}")))
    chat.ask("continue")
    chat.answer(turn("thought 3", "Done."))
    chat.messages = kept
    chat.ask("continue")
    chat.say_elsewhere(elsewhere("Done."))
    assert chat.carried() == ["thought 1", ""]


# -- words that grew or shrank ---------------------------------------------------------------------

WRAPPERS = {
    "added below": (lambda text: text + REMINDER, lambda text: text),
    "added below later": (lambda text: text, lambda text: text + REMINDER),
    "added above": (lambda text: f"Files:\na.py\nb.py\n\n{text}", lambda text: text),
    "added in a block": (
        lambda text: f"{text}<system-reminder>\nToday is Monday.\n</system-reminder>",
        lambda text: f"<env_details>Tuesday</env_details>{text}",
    ),
    "wrapped": (
        lambda text: f"<user_query>\n{text}\n</user_query>",
        lambda text: f"<files>a.py</files>\n<user_query>{text}</user_query>",
    ),
}


@pytest.mark.parametrize("wrapper", WRAPPERS)
@pytest.mark.parametrize("in_parts", [False, True], ids=["", "parts"])
@pytest.mark.parametrize("few_shot", [False, True], ids=["", "few-shot"])
def test_a_turn_is_known_although_the_question_was_wrapped(
    memory: Memory, wrapper: str, in_parts: bool, few_shot: bool
) -> None:
    made, replayed = WRAPPERS[wrapper]
    chat = Chat(memory, "Change it.")
    if few_shot:
        chat.say_elsewhere(elsewhere("An example that the client made up."))
        chat.ask("")
    for number, question in enumerate(("Rename the function.\nAnd its callers.", "Now test it.")):
        chat.messages[-1]["content"] = made(question)
        chat.answer(turn(f"thought {number}", f"{ANSWER} {number}"))
        chat.messages[-2]["content"] = replayed(question)
        chat.ask("")
    if in_parts:
        chat.messages = [parts(message) for message in chat.messages]
    memory.restart()
    assert chat.carried()[few_shot:] == ["thought 0", "thought 1"]


def test_a_wrapped_question_leads_to_nothing_that_was_asked_elsewhere(memory: Memory) -> None:
    ours, other = Chat(memory, "Rename it." + REMINDER), Chat(memory, "Delete it." + REMINDER)
    ours.answer(turn("thought", ANSWER))
    other.say_elsewhere(elsewhere(ANSWER))
    assert other.carried() == [""]
    other.messages[1]["content"] = "Delete it."
    assert other.carried() == [""]


def test_a_short_answer_to_words_that_changed_is_not_enough(memory: Memory) -> None:
    ours, other = Chat(memory, "Review:\n\nprint(1)"), Chat(memory, "Review:")
    ours.answer(turn("thought", "Good."))
    other.say_elsewhere(elsewhere("Good."))
    assert other.carried() == [""]


def test_words_that_grew_are_as_good_as_equal_ones(memory: Memory) -> None:
    chats = [Chat(memory, "Rename it."), Chat(memory, "Rename it." + REMINDER)]
    for number, chat in enumerate(chats):
        chat.answer(turn(f"thought {number}", ANSWER))
        chat.messages[1]["content"] = "Rename it."
    assert [chat.carried() for chat in chats] == [[""], [""]]


def test_words_that_grew_in_two_conversations_lead_to_neither(memory: Memory) -> None:
    for name in ("a", "b"):
        Chat(memory, f"Rename it.\n{name}").answer(turn(f"thought of {name}", ANSWER))
    chat = Chat(memory, "Rename it.")
    chat.say_elsewhere(elsewhere(ANSWER))
    assert chat.carried() == [""]


# -- calls that are not shown ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "complete", "found"),
    [("Done.", False, True), ("Done.", True, False), (LONG, True, True)],
    ids=["stopped", "whole", "whole and long"],
)
def test_a_text_without_calls_is_not_a_whole_turn_that_called_unless_it_is_long(
    memory: Memory, text: str, complete: bool, found: bool
) -> None:
    chat = Chat(memory)
    message = chat.answer(turn("thought", text, call()), complete=complete)
    del message["tool_calls"], chat.messages[-1]
    assert chat.carried() == ["thought" if found else ""]
