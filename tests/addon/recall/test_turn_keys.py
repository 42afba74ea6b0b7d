"""Places know what stands before them; keys are the same for what is the same, and for
nothing else.
"""

from typing import Any

import pytest

from addon.formats.neutral.turn import Message, ToolCall, Turn
from addon.recall.identity import digest, mint, new_token
from addon.recall.turn_keys import Anchor, Asked, Keys, Place, places_of

KEY = b"the gateway's key"
FIRST, SECOND = new_token(b"first random bytes"), new_token(b"second random byte")
KEYS = Keys(b"namespace")
ANCHOR = Anchor("after", "since", b"words")
LONG = "x" * 64


def user(text: str) -> Message:
    return Message("user", b'"%s"' % text.encode())


def calls(*ids: str) -> Message:
    return Message("assistant", calls=tuple(ToolCall(call_id, "Read", "{}") for call_id in ids))


def place(*made: ToolCall, text: str = "") -> Place:
    message = Message("assistant", b'"%s"' % text.encode(), calls=made)
    places, _ = places_of([user("hi"), message], KEY)
    return places[0]


def test_a_place_knows_the_last_id_of_ours_before_it_and_before_the_user_s_words() -> None:
    said = Message("assistant", b'"OK"')
    messages = [
        user("one"),
        calls(mint(FIRST, 0, KEY)),
        user("two"),
        said,
        calls(mint(SECOND, 0, KEY)),
        said,
    ]
    places, answer = places_of(messages, KEY)
    assert [(one.at, one.after, one.asked.since) for one in [*places, answer]] == [
        (1, "", ""),
        (3, FIRST, FIRST),
        (4, FIRST, FIRST),
        (5, SECOND, FIRST),
        (6, SECOND, FIRST),
    ]


def test_foreign_ids_and_other_messages_do_not_count() -> None:
    messages = [Message("system"), user("one"), calls("call_0", ""), Message("tool"), Message("")]
    places, answer = places_of(messages, KEY)
    assert (len(places), places[0].minted, answer.after, answer.asked.since) == (1, {}, "", "")


def test_without_messages_there_is_the_place_of_the_answer() -> None:
    places, answer = places_of([], KEY)
    assert (places, answer.anchor) == ([], Anchor("", "", digest("")))


def test_the_words_are_the_last_user_message_s() -> None:
    _, answer = places_of([user("context"), user("<user_query>hi</user_query> at noon")], KEY)
    assert answer.anchor.words == digest("hi")


class Counted(list[Message]):
    """Messages that count how many of them were handed out."""

    handed = 0

    def __getitem__(self, at: Any) -> Any:
        found = super().__getitem__(at)
        self.handed += len(found) if isinstance(at, slice) else 1
        return found


def test_results_are_looked_for_right_after_their_turn_only() -> None:
    messages = Counted(
        [user("hi"), *[calls("call_0"), Message("tool", b'"done"', result_of="call_0")] * 500]
    )
    places, _ = places_of(messages, KEY)
    assert all(len(KEYS.of_results(place, messages)) == 1 for place in places)
    assert messages.handed <= 3 * len(messages)


@pytest.mark.parametrize(
    ("turn", "replayed"),
    [
        (Turn(text="All done."), place(text=" All done.")),
        (
            Turn(calls=(ToolCall("theirs", "Read", '{"a": 1}'),)),
            place(ToolCall("", "Read", '{"a":1.0}')),
        ),
    ],
    ids=["text", "call"],
)
def test_a_turn_is_findable_by_what_its_place_asks_for(turn: Turn, replayed: Place) -> None:
    kept = KEYS.of_turn(turn, replayed.anchor)
    [lead] = KEYS.leads(replayed, [])
    assert {*lead.after, *lead.words} <= set(kept)
    assert lead.anywhere in kept


@pytest.mark.parametrize("other", [Anchor("x", "since", b"words"), Anchor("after", "", b"others")])
def test_what_stood_before_is_part_of_the_keys(other: Anchor) -> None:
    turn = Turn(text="OK")
    assert set(KEYS.of_turn(turn, ANCHOR)) - set(KEYS.of_turn(turn, other))


@pytest.mark.parametrize("seen", [LONG[:32], LONG[:-1]])
@pytest.mark.parametrize("anchor", [ANCHOR, Anchor("", "", b"words")], ids=["id", "words"])
def test_a_text_of_which_the_client_shows_the_beginning_is_looked_for_at_its_place(
    seen: str, anchor: Anchor
) -> None:
    replayed = place(text=seen)
    replayed.after, replayed.asked = anchor.after, Asked()
    [lead] = KEYS.leads(replayed, [])
    found = KEYS.of_turn(Turn(text=LONG), replayed.anchor, complete=False)
    assert {*lead.after, *lead.words} & set(found)


def test_a_turn_has_few_keys() -> None:
    said, calling = Turn(text=LONG), Turn(calls=(ToolCall("", "Read", "{}"),))
    assert len(KEYS.of_turn(said, ANCHOR)) == 2
    assert len(KEYS.of_turn(calling, ANCHOR)) == 1
    assert len(KEYS.of_turn(Turn(text="OK"), ANCHOR)) == 3


def test_a_turn_that_only_calls_is_not_found_by_having_no_text() -> None:
    silent = KEYS.of_turn(Turn(), ANCHOR)
    calling = KEYS.of_turn(Turn(calls=(ToolCall("", "Read", "{}"),)), ANCHOR)
    assert not set(silent) & set(calling)


def test_namespaces_share_no_key() -> None:
    turn = Turn(text=LONG, calls=(ToolCall("", "Read", "{}"),))
    assert not set(KEYS.of_turn(turn, ANCHOR)) & set(Keys(b"another").of_turn(turn, ANCHOR))


def test_keys_of_calls_are_those_that_were_kept() -> None:
    replayed = place(ToolCall("a", "Read", "{}"), ToolCall("b", "Glob", "{}"))
    kept = KEYS.of_turn(Turn(calls=replayed.message.calls), replayed.anchor)
    assert set(kept) == set(KEYS.of_calls(replayed))


def test_a_question_s_context_is_what_was_said_since_the_last_id() -> None:
    said, minted = Message("assistant", b'"OK"'), calls(mint(FIRST, 0, KEY))
    contexts = [
        places_of([*messages, user("two")], KEY)[1].asked.context
        for messages in (
            [],
            [user("one"), said],
            [user("else"), said],
            [user("one"), minted],
            [user("else"), said, minted],
            [user("one"), minted, said],
        )
    ]
    assert contexts[3] == contexts[4]
    assert len(set(contexts)) == 5


@pytest.mark.parametrize("results", [{}, {"a": "one"}, {"a": "one", "x": "two"}])
def test_calls_without_all_their_results_have_no_keys_of_results(results: dict[str, str]) -> None:
    message = calls("a", "b")
    messages = [message, *(Message("tool", result_of=call_id) for call_id in results)]
    assert KEYS.of_results(Place(0, message, {}, "", place().asked), messages) == []


def test_results_count_with_their_calls_in_any_order_of_results() -> None:
    message = calls("a", "b")
    one, two = Message("tool", b'"one"', result_of="a"), Message("tool", b'"two"', result_of="b")
    asked = Place(0, message, {}, "", place().asked)
    assert KEYS.of_results(asked, [message, one, two]) == KEYS.of_results(
        asked, [message, two, one]
    )
    swapped = [
        message,
        Message("tool", b'"two"', result_of="a"),
        Message("tool", b'"one"', result_of="b"),
    ]
    assert KEYS.of_results(asked, [message, one, two]) != KEYS.of_results(asked, swapped)
