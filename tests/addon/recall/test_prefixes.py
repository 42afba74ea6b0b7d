"""What was chosen for a turn stays chosen where all that was said up to it is the same."""

from collections.abc import Callable

import pytest

from addon.formats.neutral.turn import Message, ToolCall
from addon.recall.prefixes import prefixes
from tests.addon.recall.chat import FIELD, Chat, Json, Memory, call, turn
from tests.addon.recall.clients import parts, replace_ids
from tests.addon.recall.test_resolve import LONG, elsewhere


def unique_ids(chat: Chat) -> None:
    """Ids as clients make them that make their own."""
    replace_ids(chat)
    for message in chat.messages:
        if "tool_call_id" in message:
            message["tool_call_id"] += chat.principal.encode().hex() * 2
        for made in message.get("tool_calls", []):
            made["id"] += chat.principal.encode().hex() * 2


def said(chat: Chat, name: str) -> None:
    chat.answer(turn(f"thought of {name}", "Done."))
    chat.ask("go on")


def called(chat: Chat, name: str) -> None:
    chat.answer(turn(f"thought of {name}", "", call()))
    unique_ids(chat)


def spoke(chat: Chat, name: str) -> None:
    said(chat, name)
    chat.messages[:] = [parts(message) for message in chat.messages]


def stopped(chat: Chat, name: str) -> None:
    chat.answer(turn(f"thought of {name}", LONG + " And on."), complete=False)
    chat.messages[-1]["content"] = LONG
    chat.ask("go on")


@pytest.mark.parametrize("happens", [said, called, spoke, stopped])
@pytest.mark.parametrize("restarted", [False, True], ids=["", "restarted"])
def test_the_same_request_goes_out_the_same_ten_times_while_twins_come_and_go(
    memory: Memory, happens: Callable[[Chat, str], None], restarted: bool
) -> None:
    chat = Chat(memory)
    happens(chat, "one")
    sent = set()
    for number in range(10):
        assert chat.carried() == ["thought of one"]
        sent.add(chat.sent)
        twin = Chat(memory)
        happens(twin, f"twin {number}")
        twin.messages[-1]["content"] = "something else"
        twin.send()
        memory.clock.pass_days(0.1)
        if restarted:
            memory.engine.flush()
            memory.restart()
    assert len(sent) == 1
    assert chat.rules() == ["again"]


def test_a_conversation_goes_on_from_what_was_chosen(memory: Memory) -> None:
    chat = Chat(memory)
    for number in range(4):
        chat.answer(turn(f"thought {number}", "Done."))
        chat.ask(f"go on {number}\n\nA reminder.")
        chat.send()
        chat.messages[-1]["content"] = f"go on {number}"
        Chat(memory).answer(turn(f"twin {number}", "Done."))
    assert chat.carried() == [f"thought {number}" for number in range(4)]


def test_a_choice_is_not_taken_for_a_twin_s_that_went_on_otherwise(memory: Memory) -> None:
    one, twin = Chat(memory), Chat(memory)
    one.answer(turn("thought of one", "Done."))
    one.ask("go on")
    assert one.carried() == ["thought of one"]
    twin.answer(turn("thought of the twin", "Done."))
    twin.ask("stop")
    assert twin.carried() == [""]
    assert one.carried() == ["thought of one"]


def test_a_choice_is_not_taken_for_one_in_a_conversation_of_another_name(memory: Memory) -> None:
    one, twin = Chat(memory), Chat(memory)
    for chat, name in ((one, "one"), (twin, "twin")):
        chat.conversation = name
        chat.answer(turn(f"thought of {name}", "Done."))
        chat.ask("go on")
        chat.send()
    assert twin.carried() == [""]
    assert one.carried() == ["thought of one"]


def test_a_choice_is_not_taken_for_another_with_other_results(memory: Memory) -> None:
    one, twin = Chat(memory), Chat(memory)
    for chat, name in ((one, "one"), (twin, "twin")):
        chat.answer(turn(f"thought of {name}", "", call()), results=f"the file of {name}")
        replace_ids(chat)
        assert chat.carried() == [f"thought of {name}"]
    assert one.carried() == ["thought of one"]


def test_what_goes_out_without_its_turn_stays_so_when_the_twin_is_forgotten(
    memory: Memory,
) -> None:
    chats = [Chat(memory), Chat(memory)]
    for number, chat in enumerate(chats):
        chat.answer(turn(f"thought {number}", "Done."))
    assert chats[0].carried() == [""]
    memory.engine.flush()
    memory.forget(memory.tokens()[1])
    assert chats[0].carried() == [""]


@pytest.mark.parametrize("restarted", [False, True], ids=["", "restarted"])
def test_what_was_missed_stays_so_when_a_turn_like_it_is_made_later(
    memory: Memory, restarted: bool
) -> None:
    chat = Chat(memory)
    chat.say_elsewhere(elsewhere("Done."))
    chat.ask("go on")
    assert chat.carried() == [""]
    before = chat.sent
    memory.clock.pass_days(1)
    Chat(memory).answer(turn("thought", "Done."))
    if restarted:
        memory.engine.flush()
        memory.restart()
    assert (chat.carried(), chat.sent) == ([""], before)


def test_what_was_chosen_stays_so_when_a_request_like_it_missed_it(memory: Memory) -> None:
    chat = Chat(memory)
    for number in range(4):
        chat.answer(turn(f"thought {number}", f"Done {number}."))
        chat.ask(f"go on {number}")
    assert chat.carried() == [f"thought {number}" for number in range(4)]
    Chat(memory).answer(turn("thought of a twin", "Done 0."))
    first = dict(chat.messages[0])
    chat.messages[0]["content"] = "Another day."
    assert chat.carried()[0] == ""
    memory.engine.flush()
    memory.forget(memory.tokens()[4])
    chat.messages[0] = first
    assert chat.carried() == [f"thought {number}" for number in range(4)]


def test_a_call_that_comes_later_in_the_conversation_does_not_undo_a_choice(
    memory: Memory,
) -> None:
    chat = Chat(memory)
    _number_ids(chat, chat.answer(turn("first", "", call())))
    assert chat.carried() == ["first"]
    kept = list(chat.messages)
    chat.answer(turn("second", "", call()))
    chat.messages = kept
    assert chat.carried() == ["first"]


def _number_ids(chat: Chat, message: Json) -> None:
    message["tool_calls"][0]["id"] = chat.messages[-1]["tool_call_id"] = "call_0"


def test_a_choice_is_not_taken_for_one_of_which_the_client_carries_other_reasoning(
    memory: Memory,
) -> None:
    chats = [Chat(memory), Chat(memory)]
    for number, chat in enumerate(chats):
        chat.answer(turn(f"thought {number}", "Done."))[FIELD] = f"thought {number}"
        chat.ask("go on")
        assert (chat.carried(), chat.rules()) == ([f"thought {number}"], ["anchor"])
    assert chats[0].rules() == ["anchor"]


def test_what_went_out_without_a_copy_does_not_bind_what_has_one(memory: Memory) -> None:
    chats = [Chat(memory), Chat(memory)]
    for number, chat in enumerate(chats):
        message = chat.answer(turn(f"thought {number}", "Done."))
        chat.ask("go on")
    assert chat.carried() == [""]
    message[FIELD] = "thought 1"
    assert (chat.carried(), chat.rules()) == (["thought 1"], ["anchor"])


def test_what_went_out_empty_in_a_twin_s_conversation_does_not_bind(memory: Memory) -> None:
    first, other = Chat(memory, "one"), Chat(memory, "two")
    for chat in (first, other):
        chat.answer(turn(f"beginning {chat is first}", f"{LONG} {chat is first}"))
        chat.ask("continue")
    first.answer(turn("thought", "Done."))
    other.say_elsewhere(elsewhere("Done."))
    memory.clock.pass_days(1)
    assert other.carried()[1] == ""
    assert first.carried()[1] == "thought"


def test_a_turn_that_only_an_earlier_choice_tells_is_no_one_s_parent(memory: Memory) -> None:
    one, twin = Chat(memory), Chat(memory)
    for chat, name in ((one, "one"), (twin, "twin")):
        chat.answer(turn(f"thought of {name}", "Done."))
        chat.ask("go on")
        if chat is one:
            assert one.carried() == ["thought of one"]
    # To the letter the same request as the other's: what follows may belong to either.
    twin.answer(turn("thought on", "", call()))
    twin.messages[0]["content"] = "Another day."
    assert twin.carried() == ["", "thought on"]


# -- digests ---------------------------------------------------------------------------------------

SAID = [
    Message("system", b'"You are an agent."'),
    Message("user", b'"Fix it."'),
    Message("assistant", b'""', calls=(ToolCall("a", "Read", "{}"),)),
    Message("tool", b'"the file"', result_of="a"),
    Message("user", b'"Now?"'),
    Message("assistant", b'"Done."'),
]


def found(messages: list[Message], wanted: set[int]) -> dict[int, list[bytes | str]]:
    return dict(prefixes(messages, wanted))


def test_a_prefix_is_what_was_said_up_to_a_turn_and_what_answers_it() -> None:
    whole = found(SAID, {2, 5})
    assert set(whole) == {2, 5}
    assert found(SAID[:5], {2})[2] == whole[2]
    assert whole[2] != whole[5]


@pytest.mark.parametrize("at", range(len(SAID)))
def test_every_message_counts(at: int) -> None:
    other = list(SAID)
    other[at] = Message(SAID[at].role, b'"Other."', result_of=SAID[at].result_of)
    assert found(other, {5}) != found(SAID, {5})
    assert (found(other, {2}) != found(SAID, {2})) == (at < 5)


def test_marks_for_the_cache_and_reminders_do_not_count() -> None:
    one = [Message("user", b'[{"type": "text", "text": "Fix it."}]'), SAID[5], SAID[4]]
    other = [
        Message("user", b'[{"type": "text", "text": "Fix it.", "cache_control": {}}]'),
        SAID[5],
        Message("user", b'"Now?\\n\\nAnswer with a block."'),
    ]
    assert found(one, {1}) == found(other, {1})
