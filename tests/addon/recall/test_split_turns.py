"""A turn that is replayed as several messages has its reasoning once, where it stood."""

import pytest

from addon.formats.neutral.turn import Message, Part, Reasoning, Text, message_of
from addon.recall.memory import Record, Thought
from addon.recall.split_turns import WHOLE, Share, shares_of, with_thoughts
from addon.recall.turn_keys import Place, places_of
from tests.addon.recall.chat import ID_KEY, call

FIRST = Reasoning("one", "thinking", "state 1", "signature")
SECOND = Reasoning("two", "thinking", "state 2", "signature")
SAID, CALL, OTHER = Text("I look."), call(), call("Glob")


def record(token: str, *thoughts: Thought, reasoning: str | None = "one") -> Record:
    return Record(token=token, reasoning=reasoning, text="I look.", thoughts=thoughts)


def places(*found: tuple[Record | None, tuple[Part, ...]]) -> list[Place]:
    """The places of assistant messages side by side, resolved."""
    made, _ = places_of([message_of("assistant", parts) for _, parts in found], ID_KEY)
    for place, (turn, _) in zip(made, found, strict=True):
        place.record = turn
    return made


def written(turn: Record, *messages: tuple[Part, ...]) -> list[list[Part]]:
    made = places(*((turn, parts) for parts in messages))
    shares = shares_of(made)
    return [list(with_thoughts(place.message, turn, shares.get(place.at, WHOLE))) for place in made]


@pytest.mark.parametrize(
    ("thoughts", "expected"),
    [
        ([(0, FIRST)], [[FIRST, SAID], [CALL, OTHER]]),
        ([(0, FIRST), (1, SECOND)], [[FIRST, SAID], [SECOND, CALL, OTHER]]),
        ([(0, FIRST), (2, SECOND)], [[FIRST, SAID], [CALL, SECOND, OTHER]]),
        ([(0, FIRST), (3, SECOND)], [[FIRST, SAID], [CALL, OTHER, SECOND]]),
        ([(0, FIRST), (9, SECOND)], [[FIRST, SAID], [CALL, OTHER, SECOND]]),
    ],
)
def test_each_message_has_the_thoughts_before_its_own_parts(
    thoughts: list[tuple[int, Reasoning]], expected: list[list[Part]]
) -> None:
    turn = record("a", *(Thought(at, one) for at, one in thoughts))
    assert written(turn, (SAID,), (CALL, OTHER)) == expected
    joined = [part for parts in expected for part in parts]
    assert written(turn, (SAID, CALL, OTHER)) == [joined]
    assert [part for parts in written(turn, (SAID,), (CALL,), (OTHER,)) for part in parts] == joined


def test_only_messages_side_by_side_are_parts_of_one_turn() -> None:
    turn = record("a")
    apart = [
        message_of("assistant", [SAID]),
        message_of("user", [SAID]),
        message_of("assistant", [CALL]),
    ]
    made, _ = places_of(apart, ID_KEY)
    for place in made:
        place.record = turn
    assert shares_of(made) == {}
    assert shares_of(places((turn, (SAID,)), (turn, (CALL,)))) == {
        0: Share(is_last=False),
        1: Share(1, is_first=False),
    }


STATE = Thought(0, FIRST)


@pytest.mark.parametrize(
    ("before", "after", "is_one"),
    [
        (record("a"), record("a"), True),
        (record("a"), record("b"), False),
        (record(""), record("a"), True),
        (record("", STATE), record("a", STATE), True),
        (record(""), record("a", reasoning="another"), False),
        (None, record("a"), False),
        (record("a"), None, False),
    ],
)
def test_one_turn_is_what_was_found_to_be_one(
    before: Record | None, after: Record | None, is_one: bool
) -> None:
    assert bool(shares_of(places((before, (SAID,)), (after, (CALL,))))) == is_one


@pytest.mark.parametrize("held", [FIRST, Reasoning("one", "reasoning_content")])
def test_a_message_that_holds_the_reasoning_of_the_next_is_part_of_its_turn(
    held: Reasoning,
) -> None:
    made = places((None, (held, SAID)), (record("a", STATE), (CALL,)))
    assert shares_of(made)[1] == Share(1, is_first=False)


def test_a_chat_message_has_no_parts_to_count() -> None:
    made, _ = places_of([Message("assistant"), Message("assistant")], ID_KEY)
    for place in made:
        place.record = record("a")
    assert shares_of(made)[1].start == 0


def test_a_message_that_says_something_else_is_no_part_of_the_next_ones_turn() -> None:
    made = places((None, (FIRST, Text("Said elsewhere."))), (record("a", STATE), (CALL,)))
    assert shares_of(made) == {}
