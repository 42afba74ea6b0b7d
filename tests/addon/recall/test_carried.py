"""What a client carries is a turn's own, or another's: blanks and lost parts tell nothing."""

import json

import pytest

from addon.formats.chat import patch_request
from addon.formats.neutral.turn import SUMMARY, Message, Part, Reasoning, Text, message_of
from addon.recall.carried import carries, contradicts
from addon.recall.memory import Record, Thought
from tests.addon.recall.chat import Json

SIGNED: Json = {"type": "reasoning.text", "text": "first", "signature": "s"}
BLOB: Json = {"type": "reasoning.encrypted", "data": "d", "id": "rs_1"}
ANNEX: Json = {"google": {"thought_signature": "g", "odd": 1}}
DETAILS = json.dumps([SIGNED, BLOB])


def record(reasoning: str | None, *thoughts: Reasoning, **members: bool) -> Record:
    placed = tuple(Thought(0, one) for one in thoughts)
    return Record(token="a", reasoning=reasoning, thoughts=placed, **members)  # type: ignore[arg-type]


WORDS = record(" first\n")
CUT = record("first and on", complete=False)
NONE = record(None)
KEPT = record("first", Reasoning("", "reasoning", DETAILS, "reasoning_details"))
CALLED = record(None, Reasoning("", "", json.dumps(ANNEX), "extra_content", "0"))
BLOCKS = record(
    "first\n\nsecond",
    Reasoning("first", "thinking", "s", "signature"),
    Reasoning("second", "thinking", "t", "signature"),
)
ITEM = record(None, Reasoning("a summary", SUMMARY, "gAAA", "encrypted_content", "rs_1"))


def chat(**members: object) -> Message:
    message = {"role": "assistant", "content": "Done.", **members}
    body = json.dumps({"model": "m", "messages": [message]}).encode()
    return patch_request.decode(body).messages[0]


def called(annex: Json | None) -> Message:
    call = {"id": "x", "function": {"name": "Read"}}
    return chat(tool_calls=[call if annex is None else call | {"extra_content": annex}])


def neutral(*parts: Part) -> Message:
    return message_of("assistant", [*parts, Text("Done.")])


def signed(text: str, signature: str) -> Reasoning:
    return Reasoning(text, "thinking", signature, "signature")


@pytest.mark.parametrize(
    ("message", "turn"),
    [
        (chat(), WORDS),
        (chat(reasoning_content=""), WORDS),
        (chat(reasoning_content=" \n"), NONE),
        (chat(reasoning_content="first"), WORDS),
        (chat(reasoning_content="another", reasoning="fir\nst"), WORDS),
        (chat(reasoning_content="first a"), CUT),
        (chat(reasoning_content="firstsecond"), BLOCKS),
        (chat(reasoning_content="a summary"), ITEM),
        (chat(reasoning_details=[]), KEPT),
        (chat(reasoning_details=[SIGNED, BLOB]), KEPT),
        (chat(reasoning_details=[BLOB]), KEPT),
        (chat(reasoning_details=[{"type": "reasoning.text", "text": " first"}]), KEPT),
        (
            chat(reasoning_details=[SIGNED | {"signature": None}, "odd"], reasoning="first"),
            KEPT,
        ),
        (called({"google": {"odd": 1.0, "thought_signature": "g"}}), CALLED),
        (called(None), CALLED),
        (neutral(), BLOCKS),
        (neutral(signed("second", "t")), BLOCKS),
        (neutral(signed("first", "s"), signed("second", "t")), BLOCKS),
        (neutral(Reasoning("a summary of it", SUMMARY)), WORDS),
        (neutral(Reasoning("first", "thinking"), Reasoning("second", "thinking")), BLOCKS),
        (neutral(Reasoning("first", "reasoning", DETAILS, "reasoning_details")), KEPT),
        (neutral(signed("x", "of another")), record(None, disowned=True)),
    ],
    ids=str,
)
def test_what_is_left_of_a_turns_own_contradicts_nothing(message: Message, turn: Record) -> None:
    assert not contradicts(message, turn)


@pytest.mark.parametrize(
    ("message", "turn"),
    [
        (chat(reasoning_content="second"), WORDS),
        (chat(reasoning_content="first a"), record("first and on")),
        (chat(reasoning_content="first"), NONE),
        (chat(reasoning_details=[{"type": "reasoning.text", "text": "second"}]), KEPT),
        (chat(reasoning_details=[SIGNED | {"signature": "t"}]), KEPT),
        (chat(reasoning_details=[SIGNED | {"signature": "t"}], reasoning="first"), WORDS),
        (called({"google": {"thought_signature": "h"}}), CALLED),
        (called({"google": {"thought_signature": "h"}}), NONE),
        (neutral(signed("first", "of another")), BLOCKS),
        (neutral(signed("first", "s"), signed("second", "of another")), BLOCKS),
        (neutral(Reasoning("third", "reasoning_content")), WORDS),
        (neutral(Reasoning("", SUMMARY, "gBBB", "encrypted_content")), ITEM),
        (neutral(Reasoning("first", "<think>", "<think>first</think>", "<think>")), WORDS),
    ],
    ids=str,
)
def test_other_words_or_state_are_anothers(message: Message, turn: Record) -> None:
    assert contradicts(message, turn)


@pytest.mark.parametrize(
    ("message", "is_any"),
    [
        (chat(), False),
        (chat(reasoning_content=" \n", reasoning_details=[]), False),
        (chat(reasoning_content="first"), True),
        (chat(reasoning_details=[BLOB]), True),
        (called(ANNEX), True),
        (called(None), False),
        (neutral(), False),
        (neutral(Reasoning("a summary", SUMMARY)), False),
        (neutral(Reasoning("a summary", SUMMARY, "gAAA", "encrypted_content")), True),
    ],
    ids=str,
)
def test_blanks_and_summaries_are_no_reasoning(message: Message, is_any: bool) -> None:
    assert carries(message) == is_any
