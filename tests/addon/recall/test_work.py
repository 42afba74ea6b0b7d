"""What a conversation that comes again costs recall, counted in calls: nothing that was found out
of its turns is found out again.
"""

import json
from collections import Counter
from collections.abc import Callable

import pytest

from addon.formats.chat.patch_request import decode
from addon.formats.neutral.turn import Message
from addon.recall.identity import digest
from addon.recall.memory import LOT
from addon.recall.replay import Replay
from tests.addon.recall.chat import ID_KEY, Chat, Memory, call, turn
from tests.addon.recall.clients import replace_ids
from tests.addon.recall.test_resolve import LONG
from tests.support.breaths import breaths
from tests.support.calls import calls_of

FEW, MANY = 8, 24
"""Turns of the conversations that are compared."""

DIGESTS = ("digest_of", "canonical_arguments", "_spelled")
"""What passes over texts; a few times for the latest turns, whatever stands before them."""


def calls_tools(chat: Chat, number: int) -> None:
    chat.answer(turn(f"thought {number}", "", call(f"{number}.py")))


def calls_tools_by_other_ids(chat: Chat, number: int) -> None:
    chat.answer(turn(f"thought {number}", "", call(f"{number}.py")), results=f"{LONG} {number}")
    replace_ids(chat)


def talks(chat: Chat, number: int) -> None:
    chat.answer(turn(f"thought {number}", f"{LONG} {number}"))
    chat.ask(f"And what of {number}?")


type Turns = Callable[[Chat, int], None]

all_turns = pytest.mark.parametrize("add", [calls_tools, calls_tools_by_other_ids, talks])


def conversation(memory: Memory, add: Turns, count: int) -> tuple[Chat, list[Message]]:
    chat = Chat(memory, f"Fix all {count}.")
    for number in range(count):
        add(chat, count * MANY + number)  # no two conversations have a turn in common
    chat.prepare()
    return chat, messages_of(chat)


def messages_of(chat: Chat) -> list[Message]:
    return decode(json.dumps({"model": "m", "messages": chat.messages}).encode()).messages


def replay(chat: Chat, messages: list[Message]) -> Counter[str]:
    """The calls of a request with these messages, all of whose turns are found."""
    memory = chat.memory

    def job() -> None:
        talk = Replay(
            recall=memory.recall,
            clock=memory.clock,
            id_key=ID_KEY,
            random=memory.random.randbytes,
            principal_id=chat.principal,
            messages=messages,
            has_tools=True,
        )
        talk.wanted(chat.profile)
        found = talk.restore(chat.profile, chat.policy)
        talk.accepted(found)
        assert "missing" not in found.counts

    return calls_of(job)


@all_turns
def test_turns_that_came_before_are_digested_and_decoded_no_more(
    memory: Memory, add: Turns
) -> None:
    costs = []
    for count in (FEW, MANY):
        chat, messages = conversation(memory, add, count)
        replay(chat, messages)
        called = replay(chat, messages)
        costs.append([called[name] for name in DIGESTS])
        assert called["decode"] == called["_mac"] == 0
    few, many = costs
    assert many == few


@all_turns
def test_a_turn_more_costs_what_the_turn_before_did(memory: Memory, add: Turns) -> None:
    costs = []
    for count in (FEW, MANY):
        chat, messages = conversation(memory, add, count)
        replay(chat, messages)
        add(chat, count * MANY + count)
        longer = [*messages, *messages_of(chat)[len(messages) :]]
        called = replay(chat, longer)
        costs.append([called[name] for name in DIGESTS])
        assert called["_mac"] <= 1
    few, many = costs
    assert many == few


@all_turns
def test_hundreds_of_turns_are_looked_up_in_a_handful_of_statements(
    memory: Memory, add: Turns
) -> None:
    reads = []
    for count in (FEW, MANY):
        chat, messages = conversation(memory, add, count)
        reads.append(replay(chat, messages)["SqliteEngine.read"])
    few, many = reads
    assert many == few <= 8


def test_turns_that_memory_has_lost_are_read_and_decoded_once(memory: Memory) -> None:
    chat, messages = conversation(memory, calls_tools, MANY)
    memory.restart()
    assert replay(chat, messages)["decode"] == MANY
    assert replay(chat, messages)["decode"] == 0


def test_others_go_on_between_two_turns_that_are_decoded(memory: Memory) -> None:
    chat, _ = conversation(memory, calls_tools, MANY)
    tokens, namespace = memory.tokens(), digest(chat.principal, chat.profile.family)
    memory.restart()
    found, count = breaths(lambda: memory.recall.turns(namespace, tokens))
    assert (len(found), count) == (MANY, MANY - 1)


def test_others_go_on_between_two_lots_of_keys(memory: Memory) -> None:
    lots = 5
    keys = [memory.random.randbytes(16) for _ in range(lots * LOT)]
    found, count = breaths(lambda: memory.recall.tokens(keys))
    assert (len(found), count) == (lots * LOT, lots - 1)
