"""What several turns left open stays open, until something is known of each that tells them
apart.
"""

from itertools import product

import pytest

from tests.addon.recall.chat import Chat, Json, Memory, call, turn
from tests.addon.recall.clients import parts, replace_ids, shorten_ids
from tests.addon.recall.test_resolve import LONG, elsewhere


def both(memory: Memory, prompt: str = "Fix the bug.") -> tuple[Chat, Chat]:
    return Chat(memory, prompt), Chat(memory, prompt)


# -- alike conversations in clients that replace ids -----------------------------------------------


@pytest.mark.parametrize("lose", [replace_ids, shorten_ids])
@pytest.mark.parametrize("restarted", [False, True], ids=["", "restarted"])
def test_a_twin_gets_nothing_because_the_other_s_results_are_known_first(
    memory: Memory, lose: object, restarted: bool
) -> None:
    one, twin = both(memory)
    for chat, name in ((one, "one"), (twin, "twin")):
        chat.answer(turn(f"thought of {name}", "", call()))
        assert callable(lose)
        lose(chat)
        if restarted:
            memory.engine.flush()
            memory.restart()
        if chat is one:
            assert chat.carried() == ["thought of one"]
            chat.messages[0]["content"] = "Another day."
    assert twin.carried() == [""]
    one.messages[0]["content"] = "Yet another day."
    assert one.carried() == [""]


def test_results_tell_twins_apart_once_those_of_both_are_known(memory: Memory) -> None:
    one, twin = both(memory)
    for chat, name in ((one, "one"), (twin, "twin")):
        chat.answer(turn(f"thought of {name}", "", call()), results=f"the file of {name}")
        replace_ids(chat)
        assert chat.carried() == [f"thought of {name}"]
    memory.engine.flush()
    memory.restart()
    for chat, name in ((one, "one"), (twin, "twin")):
        chat.messages[0]["content"] = "Another day."
        assert (chat.carried(), chat.rules()) == ([f"thought of {name}"], ["result"])


def test_a_turn_that_has_not_come_back_yet_may_be_the_one_that_is_meant(memory: Memory) -> None:
    first, waiting = both(memory)
    first.answer(turn("first", "", call()))
    replace_ids(first)
    assert first.carried() == ["first"]
    waiting.answer(turn("waiting", "", call()))
    first.answer(turn("second", "", call("Glob", "{}")))
    first.messages[0]["content"] = "Another day."
    assert first.carried()[0] == ""


def test_after_compaction_the_same_results_do_not_outdo_a_turn_that_has_not_come_back(
    memory: Memory,
) -> None:
    one, waiting = Chat(memory, "one"), Chat(memory, "two")
    one.answer(turn("thought", "", call()), results="the text of the file")
    replace_ids(one)
    assert one.carried() == ["thought"]
    waiting.answer(turn("waiting", "", call()))
    memory.engine.flush()
    one.messages = [{"role": "user", "content": "<summary/>"}, *one.messages[2:]]
    assert one.carried() == [""]


def test_a_few_characters_of_call_and_result_are_no_evidence_across_conversations(
    memory: Memory,
) -> None:
    one, other = Chat(memory, "one"), Chat(memory, "two")
    one.answer(turn("thought", "", call("ls", "{}")), results="")
    replace_ids(one)
    assert one.carried() == ["thought"]
    other.say_elsewhere(elsewhere("", call("ls", "{}")))
    other.messages[-1]["content"] = ""
    assert other.carried() == [""]


@pytest.mark.parametrize("turned", [False, True], ids=["", "turned round"])
def test_calls_of_parallel_sets_are_told_apart_by_all_their_results(
    memory: Memory, turned: bool
) -> None:
    calls = (call(), call("Glob", "{}"))
    chats = both(memory)
    for number, chat in enumerate(chats):
        chat.answer(turn(f"thought {number}", "", *calls), results="the same")
        chat.messages[-1]["content"] = f"not the same {number}"
        replace_ids(chat)
        assert chat.carried() == [f"thought {number}"]
    for number, chat in enumerate(chats):
        chat.messages[0]["content"] = "Another day."
        if turned:
            chat.messages[-2:] = reversed(chat.messages[-2:])
        assert chat.carried() == [f"thought {number}"]


def test_a_turn_whose_calls_come_back_is_new_where_those_before_had_other_results(
    memory: Memory,
) -> None:
    chat = Chat(memory)
    for number in range(4):
        chat.answer(turn(f"thought {number}", "", call()), results=f"result {number}")
        replace_ids(chat)
        assert chat.carried() == [f"thought {at}" for at in range(number + 1)]
        memory.restart()


# -- texts -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("turned", [False, True], ids=["", "in the other order"])
def test_a_long_text_that_two_conversations_have_is_neither_s_after_compaction(
    memory: Memory, turned: bool
) -> None:
    chats = [Chat(memory, "one"), Chat(memory, "two")]
    for number, chat in enumerate(chats[::-1] if turned else chats):
        chat.answer(turn(f"on the way {number}", "", call()))
        chat.answer(turn(f"thought {number}", LONG))
    for chat in chats:
        chat.messages = [{"role": "user", "content": "<summary/>"}, chat.messages[-1]]
        assert chat.carried() == [""]


def test_a_beginning_that_several_turns_have_stays_open_for_what_comes_after(
    memory: Memory,
) -> None:
    chat = Chat(memory)
    kept = list(chat.messages)
    for number in range(2):
        chat.messages = list(kept)
        chat.answer(turn(f"thought {number}", f"{LONG} {number}"), complete=False)
    chat.messages[-1]["content"] = LONG
    assert chat.carried() == [""]


def test_a_parent_that_other_turns_outdo_is_not_taken_from_what_follows(memory: Memory) -> None:
    chat = Chat(memory)
    chat.answer(turn("first", "", call()))
    chat.answer(turn("one", "Done."))
    chat.ask("go on")
    chat.answer(turn("two", "Done."))
    chat.ask("go on")
    chat.answer(turn("last", "", call("Glob", "{}")))
    # The client drops the middle: what is left of it stands where the first of both stood.
    del chat.messages[5:7]
    assert chat.carried() == ["first", "one", "last"]


# -- ids of neighbours -----------------------------------------------------------------------------


@pytest.mark.parametrize("spell", [lambda message: message, parts], ids=["string", "parts"])
def test_calls_that_lost_their_ids_are_told_by_the_turn_after(
    memory: Memory, spell: object
) -> None:
    chat = Chat(memory)
    messages: list[Json] = [
        chat.answer(turn(f"thought {number}", "I look.", call(arguments=f'{{"n": {number}}}')))
        for number in range(3)
    ]
    replace_ids(chat, messages[1])
    assert callable(spell)
    chat.messages = [spell(message) for message in chat.messages]
    assert chat.carried() == ["thought 0", "thought 1", "thought 2"]
    assert chat.rules() == ["id", "chain", "id"]


def test_a_text_split_from_calls_is_part_of_their_turn(memory: Memory) -> None:
    chats = both(memory)
    for number, chat in enumerate(chats):
        message = chat.answer(turn(f"thought {number}", "I look.", call()))
        text = {"role": "assistant", "content": message["content"]}
        message["content"] = None
        chat.messages.insert(2, text)
    for number, chat in enumerate(chats):
        assert (chat.carried(), chat.rules()) == ([f"thought {number}"] * 2, ["id", "id"])


# -- a turn in full --------------------------------------------------------------------------------

PAIRS = {
    "text and calls": (turn("bare", "Done."), turn("with calls", "Done.", call())),
    "more of a text": (turn("bare", LONG), turn("with more", LONG + " And more.")),
}


@pytest.mark.parametrize(("pair", "turned"), list(product(PAIRS, (False, True))), ids=str)
def test_a_message_that_equals_one_turn_in_full_is_that_one(
    memory: Memory, pair: str, turned: bool
) -> None:
    bare, more = PAIRS[pair]
    chats = both(memory)
    for chat, given in zip(chats, (more, bare) if turned else (bare, more), strict=True):
        chat.answer(given)
    chat = chats[1] if turned else chats[0]
    assert (chat.carried(), chat.rules()) == (["bare"], ["anchor"])


def test_two_turns_that_a_message_equals_in_full_leave_it_open(memory: Memory) -> None:
    chats = both(memory)
    for number, chat in enumerate(chats):
        chat.answer(turn(f"thought {number}", "Done."))
    Chat(memory).answer(turn("with calls", "Done.", call()))
    assert [chat.carried() for chat in chats] == [[""], [""]]


def test_calls_with_their_text_are_not_those_without_it(memory: Memory) -> None:
    chats = both(memory)
    for chat, text in zip(chats, ("", "I look."), strict=True):
        chat.answer(turn(f"thought of {text}", text, call()))
        replace_ids(chat)
    assert [chat.carried() for chat in chats] == [["thought of "], ["thought of I look."]]


def test_a_turn_whose_calls_a_stopped_client_dropped_is_still_found_alone(memory: Memory) -> None:
    chat = Chat(memory)
    message = chat.answer(turn("thought", "Done.", call()), complete=False)
    del message["tool_calls"], chat.messages[-1]
    assert chat.carried() == ["thought"]


# -- some of a turn's calls ------------------------------------------------------------------------


def test_a_call_is_not_a_turn_that_made_more_where_another_made_this_one_alone(
    memory: Memory,
) -> None:
    here, other = Chat(memory, "one"), Chat(memory, "two")
    here.answer(turn("with more", "Done.", call(), call("Glob", "{}")))
    other.answer(turn("alone", "Done.", call()), results="the text of the file")
    replace_ids(other)
    assert other.carried() == ["alone"]
    other.messages[1]["content"] = "one"
    assert (other.carried(), other.rules()) == (["alone"], ["result"])


def test_a_call_without_its_text_is_rather_a_turn_s_that_made_it_alone(memory: Memory) -> None:
    more, alone = both(memory)
    for chat, made in ((more, (call(), call("Glob", "{}"))), (alone, (call(),))):
        message = chat.answer(turn(f"thought {len(made)}", "Done.", *made))
        message["content"] = ""
        replace_ids(chat)
    assert (alone.carried(), more.carried()) == (["thought 1"], ["thought 2"])


def test_a_text_before_calls_may_be_their_turn_s_and_not_another_s(memory: Memory) -> None:
    split, other = both(memory)
    other.answer(turn("another thought", "I look."))
    message = split.answer(turn("thought", "I look.", call()))
    replace_ids(split)
    message["content"] = None
    split.messages.insert(2, {"role": "assistant", "content": "I look."})
    assert split.carried() == ["", "thought"]


# -- what follows twins ----------------------------------------------------------------------------


@pytest.mark.parametrize("text", ["Done.", LONG], ids=["short", "long"])
def test_a_short_answer_does_not_tell_the_twins_apart_that_it_may_have_followed(
    memory: Memory, text: str
) -> None:
    one, twin = both(memory)
    for chat in (one, twin):
        chat.answer(turn(f"thought {chat is one}", "I look."))
        chat.ask("continue")
        if chat is one:
            one.answer(turn("last", text))
    one.messages[0]["content"] = "Another day."
    assert one.carried() == ["thought True" if text == LONG else "", "last"]


# -- results that differ ---------------------------------------------------------------------------


def test_the_same_calls_with_other_results_are_another_turn(memory: Memory) -> None:
    ours, other = both(memory)
    ours.answer(turn("thought", "", call()), results="the file")
    replace_ids(ours)
    assert ours.carried() == ["thought"]
    other.say_elsewhere(elsewhere("", call()))
    other.messages[-1]["content"] = "another file"
    assert other.carried() == [""]


def test_results_that_a_client_clears_later_do_not_hide_a_turn_between_others(
    memory: Memory,
) -> None:
    chat = Chat(memory)
    for number in range(3):
        made = call(arguments=f'{{"path": "{number}.py"}}')
        chat.answer(turn(f"thought {number}", "", made), results=f"file {number}")
        replace_ids(chat)
    assert chat.carried() == [f"thought {number}" for number in range(3)]
    chat.messages[3]["content"] = chat.messages[5]["content"] = "[cleared]"
    assert chat.carried() == [f"thought {number}" for number in range(3)]
