"""A step belongs to a conversation's turn at one endpoint, and ends with it."""

import pytest

from addon.recall.conversation_steps import ConversationSteps
from shared.profiles import Profile, Step
from tests.addon.recall.chat import Chat, Memory, turn

ENDPOINT = ("one", "m")


def steps(chat: Chat, endpoint: tuple[str, str] = ENDPOINT) -> dict[int, Step]:
    """What the conversation's next request finds."""
    chat.prepare()
    assert chat.restoration is not None
    return of(chat).of(endpoint, chat.profile, chat.restoration)


def of(chat: Chat) -> ConversationSteps:
    memory = chat.memory
    return ConversationSteps(memory.recall, chat.talk, memory.clock.now_ms())


@pytest.fixture
def chat(memory: Memory) -> Chat:
    """A conversation with a lost turn, for which thinking was switched off."""
    chat = Chat(memory)
    chat.say_elsewhere({"content": "Said elsewhere."})
    chat.ask("go on")
    chat.prepare()
    of(chat).keep(ENDPOINT, {2: "off"})
    return chat


def test_a_step_is_found_again_as_the_conversation_goes_on_and_after_a_restart(chat: Chat) -> None:
    chat.answer(turn("thought", "OK"))
    chat.ask("more")
    assert steps(chat) == {2: "off"}
    chat.memory.engine.flush()
    chat.memory.restart()
    assert steps(chat) == {2: "off"}


def test_it_is_the_endpoint_s_the_user_s_and_the_conversation_s(chat: Chat) -> None:
    assert steps(chat, ("one", "n")) == {}
    assert steps(chat, ("two", "m")) == {}
    for other in (Chat(chat.memory, principal="user:2"), Chat(chat.memory, "Another prompt.")):
        other.messages[2:] = chat.messages[2:]
        assert steps(other) == {}


def test_it_ends_when_the_turn_has_left_the_history(chat: Chat) -> None:
    del chat.messages[2]
    assert steps(chat) == {}


def test_it_is_tried_without_after_a_day(chat: Chat) -> None:
    chat.memory.clock.pass_days(1)
    assert steps(chat) == {}


def test_a_profile_whose_ladder_changes_no_whole_request_asks_for_nothing(chat: Chat) -> None:
    chat.profile = Profile(name="x", family="deepseek", missing=("omit", "empty"))
    assert steps(chat) == {}


def test_what_else_was_sent_for_a_turn_is_no_step(chat: Chat) -> None:
    chat.send()
    of(chat).keep(ENDPOINT, {2: "empty"})
    assert steps(chat) == {}
