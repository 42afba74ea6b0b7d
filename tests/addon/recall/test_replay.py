"""An answer is remembered as it comes, under ids that the client may show at any time."""

import pytest

from addon.formats.neutral.turn import Message
from addon.recall.identity import MintedId, read_minted
from addon.recall.replay import Replay
from addon.recall.restore import Policy
from shared.profiles import builtin_profiles
from tests.addon.recall.chat import ID_KEY, Chat, Memory, call, turn

PROFILES = builtin_profiles()


def conversation(memory: Memory, *messages: Message) -> Replay:
    found = Replay(
        recall=memory.recall,
        clock=memory.clock,
        id_key=ID_KEY,
        random=memory.random.randbytes,
        principal_id="user:1",
        messages=messages,
        has_tools=True,
    )
    found.restore(PROFILES["deepseek-v4"], Policy("empty"))
    return found


def carried(memory: Memory, call_id: str) -> str | None:
    """What the turn of this id carries in the client's next request."""
    chat = Chat(memory)
    function = {"name": "Read", "arguments": "{}"}
    chat.say_elsewhere({"tool_calls": [{"id": call_id, "type": "function", "function": function}]})
    return chat.carried()[0]


def test_all_calls_of_a_choice_name_one_turn(memory: Memory) -> None:
    talk = conversation(memory)
    ids = [talk.mint(choice, index, "theirs") for choice in (0, 1) for index in (0, 1, 0)]
    read = [read_minted(call_id, ID_KEY) for call_id in ids]
    tokens = [one.token for one in read if isinstance(one, MintedId)]
    assert ids[0] == ids[2]
    assert [one.index for one in read if one] == [0, 1, 0, 0, 1, 0]
    assert (len(set(tokens[:3])), len(set(tokens[3:])), len(set(tokens))) == (1, 1, 2)


def test_each_choice_is_a_turn_of_its_own(memory: Memory) -> None:
    talk = conversation(memory)
    talk.remember(
        {0: turn("one", "", call()), 1: turn("two", "", call())}, complete=True, durable=True
    )
    assert [carried(memory, talk.mint(choice, 0, "")) for choice in (0, 1)] == ["one", "two"]


def test_a_call_is_known_before_its_turn_is_whole(memory: Memory) -> None:
    talk = conversation(memory)
    talk.remember({0: turn("so far", "", call(arguments=""))}, complete=False, durable=False)
    assert carried(memory, talk.mint(0, 0, "")) == "so far"
    talk.remember({0: turn("so far and on", "", call())}, complete=True, durable=True)
    memory.restart()
    assert carried(memory, talk.mint(0, 0, "")) == "so far and on"


def test_a_turn_never_finished_is_lost_with_the_process(memory: Memory) -> None:
    talk = conversation(memory)
    talk.remember({0: turn("so far", "", call())}, complete=False, durable=False)
    memory.restart()
    assert carried(memory, talk.mint(0, 0, "")) == ""


def test_the_answer_belongs_to_the_family_that_gave_it(memory: Memory) -> None:
    talk = conversation(memory)
    talk.restore(PROFILES["kimi"], Policy("omit"))
    talk.remember({0: turn("of kimi", "", call())}, complete=True, durable=True)
    assert carried(memory, talk.mint(0, 0, "")) == ""


def test_another_profile_of_the_family_reads_what_was_found(memory: Memory) -> None:
    chat = Chat(memory)
    chat.answer(turn("thought", "OK"))
    chat.ask("go on")
    chat.prepare()
    kept = chat.restoration
    assert kept is not None
    assert kept.edits[2].reasoning == {"reasoning_content": "thought"}
    legacy = chat.talk.restore(PROFILES["deepseek-legacy"], Policy("omit"))
    assert (legacy.edits, [one.rule for one in legacy.diagnoses]) == ({}, ["anchor"])


@pytest.mark.parametrize("keeps", [True, False], ids=["kept", "replaced"])
def test_calls_are_forgotten_where_ids_come_back(memory: Memory, keeps: bool) -> None:
    chat, again = Chat(memory), Chat(memory)
    made = chat.answer(turn("thought", "", call()))["tool_calls"][0]
    if not keeps:
        made["id"] = chat.messages[-1]["tool_call_id"] = "own"
    assert chat.carried() == ["thought"]
    memory.engine.flush()
    again.say_elsewhere({"tool_calls": [{**made, "id": "own"}]})
    assert again.carried() == ["" if keeps else "thought"]
