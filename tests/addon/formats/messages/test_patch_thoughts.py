"""Thinking goes to a Messages upstream in the place and with the state that it had there."""

import pytest

from addon.formats.neutral.turn import Edit, Message, Reasoning, Text
from tests.addon.formats.messages.test_patch_request import (
    CLAUDE,
    OTHER,
    Json,
    contents,
    request,
    said,
    thinking,
    using,
)


def test_a_copy_is_opened_where_it_stands() -> None:
    given = request(
        said("assistant", thinking("t", "tb1.one", x=1), "a", thinking("", "tb1.long"), using()),
        said("assistant", {"type": "redacted_thinking", "data": "tb1.data", "y": [1]}, "b"),
    )
    assert contents(given) == [
        [
            thinking("t", "one", x=1),
            {"type": "text", "text": "a"},
            thinking("all of it", "long"),
            using(),
        ],
        [{"type": "redacted_thinking", "data": "data", "y": [1]}, {"type": "text", "text": "b"}],
    ]
    assert given.request.messages[0].parts[0] == Reasoning("t", "thinking", "one", "signature")


def test_marks_on_thinking_are_taken_off_for_claude() -> None:
    mark = {"cache_control": {"type": "ephemeral"}}
    given = request(
        said("assistant", thinking("t", "tb1.one", **mark), {"type": "text", "text": "a", **mark})
    )
    assert contents(given) == [[thinking("t", "one"), {"type": "text", "text": "a", **mark}]]


@pytest.mark.parametrize(
    "block", [thinking("t", "of another"), {"type": "redacted_thinking", "data": "of another"}]
)
@pytest.mark.parametrize("model", [CLAUDE, OTHER])
def test_state_that_is_no_copy_of_ours_is_left_out(block: Json, model: str) -> None:
    assert contents(request(said("assistant", block, "a")), model) == [
        [{"type": "text", "text": "a"}]
    ]


def test_state_that_is_unusable_is_left_out_and_its_text_stays_where_that_is_taken() -> None:
    given = request(
        said("assistant", thinking("t", "tb1.one"), "a"),
        said("assistant", thinking("u", "tb1.two")),
    )
    unusable = frozenset({"one", "two"})
    assert contents(given, unusable=unusable) == [[{"type": "text", "text": "a"}]]
    assert contents(given, OTHER, unusable=unusable) == [
        [thinking("t"), {"type": "text", "text": "a"}],
        [thinking("u")],
    ]


def test_thinking_without_a_signature_goes_to_others_as_it_came() -> None:
    given = request(
        said("assistant", thinking("t", ""), "a"), said("assistant", thinking("u", "tb1.none"), "b")
    )
    assert contents(given) == [[{"type": "text", "text": "a"}], [{"type": "text", "text": "b"}]]
    assert contents(given, OTHER) == [
        [thinking("t", ""), {"type": "text", "text": "a"}],
        [thinking("u"), {"type": "text", "text": "b"}],
    ]


def restoring(message: Message, *thoughts: tuple[int, Reasoning]) -> Edit:
    """The edit that puts pieces of reasoning before so many other parts."""
    others = [part for part in message.parts if not isinstance(part, Reasoning)]
    parts = [
        part
        for at, other in enumerate(others)
        for part in (*(one for to, one in thoughts if to == at), other)
    ]
    return Edit(parts=(*parts, *(one for to, one in thoughts if to >= len(others))))


ONE = Reasoning("t", "thinking", "one", "signature")
TWO = Reasoning("", "thinking", "two", "redacted_thinking")
REDACTED = {"type": "redacted_thinking", "data": "two"}


def test_reasoning_that_the_client_dropped_is_put_back_where_it_stood() -> None:
    given = request(said("assistant", "a", using("call_1", x=1), using("call_2")))
    edit = restoring(given.request.messages[0], (0, ONE), (2, TWO))
    edit.ids = {"call_1": "toolu_1"}
    assert contents(given, edits={0: edit}) == [
        [
            thinking("t", "one"),
            {"type": "text", "text": "a"},
            using("toolu_1", x=1),
            REDACTED,
            using("call_2"),
        ]
    ]


def test_reasoning_goes_before_a_string_and_after_everything() -> None:
    given = request(
        {"role": "assistant", "content": "a\u2028"}, {"role": "assistant", "content": []}
    )
    edits = {
        0: restoring(given.request.messages[0], (0, ONE), (1, TWO)),
        1: restoring(given.request.messages[1], (0, ONE)),
    }
    assert contents(given, edits=edits) == [
        [thinking("t", "one"), {"type": "text", "text": "a\u2028"}, REDACTED],
        [thinking("t", "one")],
    ]


def test_what_the_client_sent_of_it_keeps_its_members() -> None:
    given = request(said("assistant", "a", thinking("short", "tb1.one", x=1), using()))
    edit = restoring(given.request.messages[0], (0, ONE), (1, TWO))
    assert contents(given, edits={0: edit}) == [
        [thinking("t", "one", x=1), {"type": "text", "text": "a"}, REDACTED, using()]
    ]


def test_an_edit_may_take_reasoning_out_or_replace_it_by_text() -> None:
    given = request(said("assistant", thinking("t", "tb1.one"), "a"))
    assert contents(given, OTHER, edits={0: Edit(reasoning={})}) == [
        [{"type": "text", "text": "a"}]
    ]
    told = Edit(reasoning={"thinking": "otherwise"})
    assert contents(given, OTHER, edits={0: told}) == [
        [thinking("otherwise"), {"type": "text", "text": "a"}]
    ]
    emptied = Edit(parts=(Text("a"),))
    assert contents(given, edits={0: emptied}) == [[{"type": "text", "text": "a"}]]
