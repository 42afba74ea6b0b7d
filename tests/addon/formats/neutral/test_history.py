"""The results of calls follow the calls, each call has one, and none stands alone."""

import pytest

from addon.formats.neutral.history import _Arranged, well_formed
from addon.formats.neutral.turn import Image, Message, Text, ToolCall, message_of

LOST = "[The result of this tool call is not in the conversation.]"
ORPHAN = "[Result of a tool call that is not in the conversation]\n"


def said(words: str) -> Message:
    return message_of("user", [Text(words)])


def calling(*ids: str) -> Message:
    return message_of("assistant", [ToolCall(call_id, "Read", "{}") for call_id in ids])


def result(call_id: str, words: str = "fine") -> Message:
    return message_of("tool", [Text(words)], result_of=call_id)


def arranged(*messages: Message, unique_ids: bool = False) -> list[Message]:
    return well_formed(messages, unique_ids=unique_ids)


@pytest.mark.parametrize("unique_ids", [False, True])
@pytest.mark.parametrize(
    "messages",
    [
        [],
        [said("hi"), message_of("assistant", [Text("hello")])],
        [said("hi"), calling("a", "b"), result("a"), result("b"), said("on"), calling("c"), result("c")],
    ],
    ids=["none", "without tools", "with tools"],
)  # fmt: skip
def test_a_conversation_in_order_stays_as_it_is(messages: list[Message], unique_ids: bool) -> None:
    assert arranged(*messages, unique_ids=unique_ids) == messages


def test_results_follow_their_calls_in_the_order_of_the_calls() -> None:
    first, second = result("a"), result("b")
    assert arranged(calling("a", "b"), said("wait"), second, said("on"), first) == [
        calling("a", "b"),
        first,
        second,
        said("wait"),
        said("on"),
    ]


def test_a_call_without_a_result_gets_a_remark_in_its_place() -> None:
    assert arranged(calling("a", "b"), result("b")) == [
        calling("a", "b"),
        result("a", LOST),
        result("b"),
    ]


def test_a_result_without_a_call_is_what_the_user_says() -> None:
    picture = Image("data:image/png;base64,AA==")
    orphan = message_of("tool", [Text("fine"), picture], result_of="gone", cache="5m")
    (found,) = arranged(orphan)
    assert found == message_of("user", [Text(ORPHAN), Text("fine"), picture], cache="5m")


def test_a_result_before_its_call_is_no_result_of_it() -> None:
    before, call, after = arranged(result("a", "early"), calling("a"))
    assert (before.role, before.text) == ("user", f"{ORPHAN}early")
    assert (call, after) == (calling("a"), result("a", LOST))


def test_of_two_results_of_a_call_the_second_is_what_the_user_says() -> None:
    *before, last = arranged(calling("a"), result("a", "1"), result("a", "2"))
    assert before == [calling("a"), result("a", "1")]
    assert (last.role, last.text) == ("user", f"{ORPHAN}2")


def test_calls_that_share_an_id_get_their_own_results_and_ids() -> None:
    messages = [calling("a"), result("a", "1"), calling("a"), result("a", "2")]
    assert arranged(*messages) == messages
    assert arranged(*messages, unique_ids=True) == [
        calling("a"),
        result("a", "1"),
        calling("a_2"),
        result("a_2", "2"),
    ]


def test_a_new_id_is_nobody_elses() -> None:
    found = arranged(calling("a_2"), calling("a"), calling("a"), calling("a"), unique_ids=True)
    ids = [call.id for message in found for call in message.calls]
    assert ids == ["a_2", "a", "a_3", "a_4"]


def test_all_but_the_id_of_a_call_stays() -> None:
    thought, call = Text("so"), ToolCall("a", "f", "text", custom=True, cache="1h")
    messages = [calling("a"), result("a"), message_of("assistant", [thought, call])]
    found = arranged(*messages, unique_ids=True)[2]
    assert found == message_of(
        "assistant", [thought, ToolCall("a_2", "f", "text", custom=True, cache="1h")]
    )


class Looked(set[str]):
    """Counts how often it is asked whether something is in it."""

    times = 0

    def __contains__(self, name: object) -> bool:
        self.times += 1
        return super().__contains__(name)


def test_calls_that_all_have_one_id_get_their_names_in_linear_time() -> None:
    arranging = _Arranged([calling("a") for _ in range(500)], unique_ids=True)
    arranging._ids = looked = Looked()
    ids = [call.id for message in arranging.messages() for call in message.calls]
    assert ids[:3] == ["a", "a_2", "a_3"]
    assert len(set(ids)) == 500
    assert looked.times <= 3 * 500
