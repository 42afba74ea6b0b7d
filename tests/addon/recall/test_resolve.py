"""A message is taken for a remembered turn only when nothing else can be meant; each case
here once was mistaken.
"""

from typing import cast

import pytest

from addon.formats.neutral.turn import Message, ToolCall
from addon.recall.resolve import resolve
from addon.recall.search import Lookup
from tests.addon.recall.chat import Chat, Json, Memory, call, turn

LONG = (
    "I have read the whole file and changed the three places that were wrong. All the tests pass."
)


def elsewhere(text: str, *calls: ToolCall, ids: str = "toolu") -> Json:
    """A turn of another model; its calls have that model's ids."""
    message: Json = {"content": text}
    if calls:
        message["tool_calls"] = [
            {
                "id": f"{ids}_{at}" if ids else "",
                "type": "function",
                "function": {"name": one.name, "arguments": one.arguments},
            }
            for at, one in enumerate(calls)
        ]
    return message


def without_ids(message: Json, chat: Chat) -> None:
    """What a client makes of a turn that replaces all ids by its own."""
    for at, made in enumerate(message["tool_calls"]):
        own = f"own_{len(chat.messages)}_{at}"
        for other in chat.messages:
            if other.get("tool_call_id") == made["id"]:
                other["tool_call_id"] = own
        made["id"] = own


def test_a_request_without_turns_asks_the_memory_for_nothing() -> None:
    resolve(b"", [Message(role="user")], [], cast(Lookup, None))


# -- ids -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("complete", [True, False], ids=["whole", "stopped"])
def test_an_id_of_another_family_is_not_outdone_by_a_likeness(
    memory: Memory, complete: bool
) -> None:
    ours = Chat(memory)
    ours.answer(turn("thought 1", "", call("Glob", "{}")))
    kept = list(ours.messages)
    ours.answer(turn("of deepseek", "", call()), complete=complete)
    theirs = Chat(memory, profile="kimi")
    theirs.messages = kept
    theirs.answer(turn("of kimi", "", call()))
    ours.messages = theirs.messages
    assert ours.carried() == ["thought 1", ""]


def test_a_forgotten_turn_is_not_replaced_by_one_like_it(memory: Memory) -> None:
    chat = Chat(memory)
    kept = list(chat.messages)
    chat.answer(turn("first try", "", call()))
    chat.messages = kept
    chat.answer(turn("second try", "", call()))
    memory.forget(memory.tokens()[1])
    assert chat.carried() == [""]
    assert chat.rules() == ["missing"]


def test_joined_turns_stay_unknown_when_one_of_them_is_forgotten(memory: Memory) -> None:
    chat = Chat(memory)
    first = chat.answer(turn("thought 1", "", call()))
    second = chat.answer(turn("thought 2", "", call("Grep", "{}")))
    first["tool_calls"] += second["tool_calls"]
    chat.messages.remove(second)
    memory.forget(memory.tokens()[1])
    assert chat.rules() == ["missing"]


# -- calls under other ids -------------------------------------------------------------------------


def test_a_client_that_replaces_all_ids_is_served_by_its_calls(memory: Memory) -> None:
    chat = Chat(memory)
    for number in range(4):
        without_ids(
            chat.answer(turn(f"thought {number}", "", call()), results=f"result {number}"), chat
        )
    assert chat.carried() == [f"thought {number}" for number in range(4)]


def test_the_same_call_with_the_same_result_is_not_the_same_turn(memory: Memory) -> None:
    ours, other = Chat(memory, "one"), Chat(memory, "two")
    ours.answer(turn("thought 1", "", call()))
    ours.answer(turn("thought 2", "OK"))
    memory.engine.flush()
    other.say_elsewhere(elsewhere("", call()))
    assert other.carried() == [""]


def test_results_tell_turns_of_a_client_that_replaces_ids_after_compaction(memory: Memory) -> None:
    chat = Chat(memory)
    without_ids(chat.answer(turn("thought 1", "", call()), results="the text of the file"), chat)
    chat.answer(turn("thought 2", "OK"))
    memory.engine.flush()
    chat.messages = [
        {"role": "user", "content": "<summary>It began.</summary>"},
        *chat.messages[2:4],
    ]
    assert (chat.carried(), chat.rules()) == (["thought 1"], ["result"])


def test_two_models_that_begin_alike_on_the_same_words_are_told_apart(memory: Memory) -> None:
    ours, other = Chat(memory, "Fix it"), Chat(memory, "Fix it")
    ours.answer(turn("thought 1", "", call()))
    ours.answer(turn("thought 2", "OK"))
    memory.engine.flush()
    other.say_elsewhere(elsewhere("", call()))
    assert other.carried() == [""]


@pytest.mark.parametrize("complete", [True, False], ids=["whole", "stopped"])
def test_another_model_that_makes_the_call_again_on_the_way_gets_nothing(
    memory: Memory, complete: bool
) -> None:
    chat = Chat(memory)
    chat.answer(turn("thought 1", "", call(), call("Glob", "{}")), complete=complete)
    chat.say_elsewhere(elsewhere("", call()))
    assert chat.carried() == ["thought 1", ""]


def test_a_call_after_other_words_is_another_turn(memory: Memory) -> None:
    ours, other = Chat(memory), Chat(memory)
    ours.answer(turn("thought", "I read it.", call()))
    other.say_elsewhere(elsewhere("Let me see.", call()))
    assert other.carried() == [""]


def test_in_a_chat_that_keeps_ids_only_a_stopped_turn_has_none(memory: Memory) -> None:
    chat = Chat(memory)
    chat.answer(turn("thought 1", "", call()))
    kept = list(chat.messages)
    chat.answer(turn("never continued", "", call("Glob", "{}")))
    chat.messages = kept
    chat.say_elsewhere(elsewhere("", call("Glob", "{}")))
    assert chat.carried() == ["thought 1", ""]


def test_calls_are_matched_all_together(memory: Memory) -> None:
    chat = Chat(memory)
    kept = list(chat.messages)
    for number, calls in enumerate([(call(), call("Glob", "{}")), (call(), call("Grep", "{}"))]):
        chat.messages = list(kept)
        chat.answer(turn(f"thought {number}", "", *calls))
    chat.messages = list(kept)
    chat.say_elsewhere(elsewhere("", call(), call("Grep", "{}"), ids=""))
    assert chat.carried() == ["thought 1"]


def test_a_crowd_is_never_unique_because_it_was_cut_short(memory: Memory) -> None:
    sets = {1: (call(), call("Glob", "{}"))}
    for number in range(200):
        calls = sets.get(number % 150, (call(),) if number % 2 else (call("Glob", "{}"),))
        Chat(memory).answer(turn(f"thought {number}", "", *calls))
    chat = Chat(memory)
    chat.say_elsewhere(elsewhere("", *sets[1], ids=""))
    assert chat.carried() == [""]
    assert chat.restoration is not None
    assert chat.restoration.diagnoses[0].why.startswith("64 or more")


def test_a_text_after_an_id_is_known_whatever_the_client_makes_of_the_user_s_words(
    memory: Memory,
) -> None:
    chat = Chat(memory)
    chat.answer(turn("thought 1", "", call()))
    chat.ask("Go on, with these files: a.py")
    chat.answer(turn("thought 2", "Done."))
    chat.messages[-2]["content"] = "Go on, with these files: a.py, b.py"
    assert chat.carried() == ["thought 1", "thought 2"]


# -- texts -----------------------------------------------------------------------------------------


def test_short_words_after_short_words_are_another_turn_in_another_chat(memory: Memory) -> None:
    ours, other = Chat(memory, "one"), Chat(memory, "two")
    for chat, name in ((ours, "ours"), (other, "other")):
        chat.answer(turn(f"{name} 1", "", call()))
        chat.answer(turn(f"{name} 2", f"{name} read it."))
        chat.ask("continue")
    ours.answer(turn("ours 3", "Done."))
    other.say_elsewhere(elsewhere("Done."))
    assert other.carried() == ["other 1", "other 2", ""]


def test_a_turn_from_after_ids_is_not_taken_for_one_from_a_beginning(memory: Memory) -> None:
    ours, other = Chat(memory, "one"), Chat(memory, "continue")
    ours.answer(turn("ours 1", "", call()))
    ours.ask("continue")
    ours.answer(turn("ours 2", "Done."))
    other.say_elsewhere(elsewhere("Done."))
    assert other.carried() == [""]


def test_compaction_does_not_make_a_turn_one_of_another_beginning(memory: Memory) -> None:
    ours, other = Chat(memory, "one"), Chat(memory, "continue")
    other.answer(turn("of the other", "Done."))
    ours.answer(turn("ours 1", "", call()))
    ours.ask("continue")
    ours.answer(turn("ours 2", "Done."))
    ours.messages = [{"role": "user", "content": "<summary/>"}, *ours.messages[-2:]]
    assert ours.carried() == [""]


def test_a_long_text_after_another_id_is_another_turn(memory: Memory) -> None:
    ours, other = Chat(memory, "one"), Chat(memory, "two")
    for chat, name in ((ours, "ours"), (other, "other")):
        chat.answer(turn(f"{name} 1", "", call()))
        chat.answer(turn(f"{name} 2", LONG))
    memory.forget(memory.tokens()[-1])
    assert (ours.carried(), other.carried()) == (["ours 1", "ours 2"], ["other 1", ""])


def test_a_long_text_is_known_where_nothing_else_is_left(memory: Memory) -> None:
    chat = Chat(memory)
    chat.answer(turn("thought 1", "", call()))
    chat.answer(turn("thought 2", LONG))
    chat.messages = [{"role": "user", "content": "<summary/>"}, chat.messages[-1]]
    assert (chat.carried(), chat.rules()) == (["thought 2"], ["text"])


def test_an_empty_message_is_not_a_turn_that_only_called(memory: Memory) -> None:
    Chat(memory).answer(turn("thought", "", call()))
    chat = Chat(memory)
    chat.say_elsewhere({"content": ""})
    assert chat.carried() == [""]


def test_final_texts_without_their_tool_turns_are_found(memory: Memory) -> None:
    chat = Chat(memory, "one")
    for number in range(3):
        message = chat.answer(turn(f"on the way {number}", "", call()))
        chat.answer(turn(f"thought {number}", "Done."))
        chat.messages = [
            one for one in chat.messages if one is not message and one["role"] != "tool"
        ]
        chat.ask(f"go on {number}")
    assert chat.carried() == ["thought 0", "thought 1", "thought 2"]


def test_two_messages_like_one_turn_are_told_apart_by_their_neighbours(memory: Memory) -> None:
    chat = Chat(memory, "hi")
    chat.answer(turn("thought 1", LONG))
    chat.ask("continue")
    chat.answer(turn("thought 2", "Done."))
    chat.ask("continue")
    chat.say_elsewhere(elsewhere("Done."))
    assert (chat.carried(), chat.rules()) == (
        ["thought 1", "thought 2", ""],
        ["anchor", "neighbour", "missing"],
    )


# -- stopped turns ---------------------------------------------------------------------------------


def test_a_stopped_text_and_a_whole_one_like_it_are_two_turns(memory: Memory) -> None:
    stopped, whole = Chat(memory, "hi"), Chat(memory, "hi")
    stopped.answer(turn("stopped", "Sure"), complete=False)
    whole.answer(turn("whole", "Sure"))
    assert (stopped.carried(), whole.carried()) == ([""], [""])


def test_a_stopped_text_that_two_turns_begin_with_is_neither(memory: Memory) -> None:
    chat = Chat(memory)
    kept = list(chat.messages)
    chat.answer(turn("stopped", LONG + " One."), complete=False)
    chat.messages = kept
    chat.answer(turn("whole", LONG + " Two."))
    chat.messages[-1]["content"] = LONG
    assert chat.carried() == [""]


@pytest.mark.parametrize(
    ("complete", "seen", "carried"),
    [
        (True, 31, ""),
        (True, 63, ""),
        (True, 64, "thought"),
        (False, 31, ""),
        (False, 32, "thought"),
    ],
)
def test_a_greeting_is_no_sign_of_a_turn_that_goes_on(
    memory: Memory, complete: bool, seen: int, carried: str
) -> None:
    chat = Chat(memory, "hi")
    chat.answer(turn("thought", "Hello!" + "x" * 60), complete=complete)
    chat.messages[-1]["content"] = ("Hello!" + "x" * 60)[:seen]
    assert chat.carried() == [carried]


def test_a_stopped_text_is_looked_for_at_its_own_place_only(memory: Memory) -> None:
    ours, other = Chat(memory, "one"), Chat(memory, "two")
    ours.answer(turn("thought", LONG + " And more."), complete=False)
    other.say_elsewhere(elsewhere(LONG))
    assert (other.carried(), other.rules()) == ([""], ["missing"])


# -- neighbours ------------------------------------------------------------------------------------


def test_turns_that_look_alike_are_told_by_what_follows(memory: Memory) -> None:
    chat, twin = Chat(memory, "hi"), Chat(memory, "hi")
    for number in range(3):
        chat.answer(turn(f"thought {number}", "Done."))
        chat.ask("continue")
    chat.answer(turn("thought 3", LONG))
    for number in range(3):
        twin.answer(turn(f"twin {number}", "Done."))
        twin.ask("continue")
    assert chat.carried() == ["thought 0", "thought 1", "thought 2", "thought 3"]
    assert chat.rules() == ["chain", "chain", "chain", "anchor"]


def test_turns_that_look_alike_are_told_by_what_came_before(memory: Memory) -> None:
    chats = [Chat(memory, "hi") for _ in range(2)]
    for number, chat in enumerate(chats):
        chat.answer(turn(f"beginning {number}", f"{LONG} {number}"))
        chat.ask("continue")
        chat.answer(turn(f"end {number}", "Done."))
    assert [chat.carried() for chat in chats] == [
        ["beginning 0", "end 0"],
        ["beginning 1", "end 1"],
    ]
    assert chats[0].rules() == ["anchor", "anchor"]


def test_regenerated_answers_with_the_same_words_are_not_told_apart(memory: Memory) -> None:
    chat = Chat(memory)
    chat.answer(turn("beginning", "", call()))
    kept = list(chat.messages)
    for number in range(2):
        chat.messages = list(kept)
        chat.answer(turn(f"try {number}", "Done."))
    assert chat.carried() == ["beginning", ""]


def test_a_turn_whose_predecessor_was_unknown_is_known_to_have_followed_another_text(
    memory: Memory,
) -> None:
    one, other = Chat(memory, "hi"), Chat(memory, "hi")
    one.say_elsewhere(elsewhere("Nothing known."))
    one.ask("continue")
    one.answer(turn("after the unknown", "Done."))
    other.answer(turn("beginning", LONG))
    other.ask("continue")
    other.answer(turn("after the known", "Done."))
    assert other.carried() == ["beginning", "after the known"]


def test_a_turn_after_one_of_several_is_known_to_have_followed_another_text(memory: Memory) -> None:
    one, twin, other = Chat(memory, "hi"), Chat(memory, "hi"), Chat(memory, "hi")
    for chat in (one, twin):
        chat.answer(turn("", "Hello."))
        chat.ask("continue")
    one.answer(turn("after one of several", "Done."))
    other.answer(turn("beginning", LONG))
    other.ask("continue")
    other.answer(turn("after the known", "Done."))
    assert other.carried() == ["beginning", "after the known"]


def test_what_follows_one_of_several_is_not_a_beginning(memory: Memory) -> None:
    first, twin, chat = Chat(memory, "continue"), Chat(memory, "hi"), Chat(memory, "hi")
    first.answer(turn("a beginning", "Done."))
    twin.answer(turn("", "Hello."))
    chat.answer(turn("", "Hello."))
    chat.ask("continue")
    chat.answer(turn("after one of several", "Done."))
    assert chat.carried() == ["", "after one of several"]


def test_turns_that_thought_the_same_need_not_be_told_apart(memory: Memory) -> None:
    chats = [Chat(memory, "hi") for _ in range(3)]
    for chat in chats:
        chat.answer(turn("the same thought", "Done."))
    assert [chat.carried() for chat in chats] == [["the same thought"]] * 3


def test_which_of_several_the_same_thoughts_it_was_leads_nowhere(memory: Memory) -> None:
    one, other = Chat(memory, "hi"), Chat(memory, "hello")
    one.answer(turn("beginning", "Sure."))
    other.say_elsewhere(elsewhere("Sure."))
    for chat in (one, other):
        chat.ask("continue")
        chat.answer(turn("", "Done."))
    other.answer(turn("thought", "", call()))
    assert other.carried() == ["", "", "thought"]


def test_an_edited_text_between_two_known_turns_is_still_that_turn(memory: Memory) -> None:
    chat = Chat(memory)
    chat.answer(turn("thought 1", "", call()))
    message = chat.answer(turn("thought 2", LONG))
    chat.answer(turn("thought 3", "", call()))
    message["content"] = LONG.replace("three", "four")
    assert (chat.carried(), chat.rules()) == (
        ["thought 1", "thought 2", "thought 3"],
        ["id", "chain", "id"],
    )


def test_an_edited_text_after_an_unknown_turn_is_not_guessed(memory: Memory) -> None:
    chat = Chat(memory)
    message = chat.answer(turn("thought 1", LONG))
    chat.answer(turn("thought 2", "", call()))
    chat.say_elsewhere(elsewhere("Never said."))
    chat.messages.insert(1, chat.messages.pop())
    message["content"] = LONG.replace("three", "four")
    assert chat.carried() == ["", "", "thought 2"]


def test_a_text_in_place_of_calls_with_the_same_words_is_not_that_turn(memory: Memory) -> None:
    chat = Chat(memory)
    message = chat.answer(turn("thought 1", "", call()))
    chat.answer(turn("thought 2", "", call()))
    message["tool_calls"][0]["id"] = chat.messages[3]["tool_call_id"] = "own"
    message["tool_calls"][0]["function"]["name"] = "Glob"
    assert chat.carried() == ["", "thought 2"]


def test_another_text_between_two_known_turns_is_another_turn(memory: Memory) -> None:
    chat = Chat(memory)
    chat.answer(turn("thought 1", "", call()))
    message = chat.answer(turn("thought 2", LONG))
    chat.answer(turn("thought 3", "", call()))
    message["content"] = (
        "Something that was never said by the model, at this place or at any other."
    )
    assert chat.carried() == ["thought 1", "", "thought 3"]


# -- principals ------------------------------------------------------------------------------------


def test_principals_never_see_each_other_s_turns(memory: Memory) -> None:
    mine, theirs = Chat(memory, principal="user:1"), Chat(memory, principal="user:11")
    mine.answer(turn("secret 1", "", call()))
    mine.answer(turn("secret 2", LONG))
    theirs.messages = mine.messages
    assert theirs.carried() == ["", ""]
    assert {call_id["id"] for call_id in theirs.send()[2]["tool_calls"]} != {"call_0"}


def test_families_do_not_read_each_other_s_reasoning(memory: Memory) -> None:
    ours, theirs = Chat(memory, profile="deepseek-v4"), Chat(memory, profile="glm")
    ours.answer(turn("of deepseek", "", call()))
    theirs.messages = ours.messages
    assert theirs.carried() == [None]
    legacy = Chat(memory, profile="deepseek-legacy")
    legacy.messages = ours.messages
    assert legacy.carried() == ["of deepseek"]
