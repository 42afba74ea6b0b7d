"""The text of a message is the same in every shape of its content; turns and messages hold
parts in their order.
"""

import pytest

from addon.formats.neutral.turn import (
    SUMMARY,
    Edit,
    Message,
    Part,
    Reasoning,
    Refusal,
    Text,
    ToolCall,
    Turn,
    edited,
    marked,
    message_of,
    opened_message,
    text_of,
    turn_of,
)


@pytest.mark.parametrize(
    ("content", "text"),
    [
        pytest.param(b"null", "", id="null"),
        pytest.param(b'""', "", id="empty"),
        pytest.param(b"[]", "", id="no parts"),
        pytest.param(b'[{"type":"text","text":""}]', "", id="empty part"),
        pytest.param(b'"a b"', "a b", id="string"),
        pytest.param(
            b'[{"type":"text","text":"a "},{"type":"text","text":"b"}]', "a b", id="parts"
        ),
        pytest.param(b'["a ", "b"]', "a b", id="bare strings"),
        pytest.param(
            b'[{"type":"image_url","image_url":{"url":"x"}},{"text":"a"},{"text":1},null]',
            "a",
            id="others",
        ),
        pytest.param(rb'"\ud83d"', "\ud83d", id="lone surrogate"),
        pytest.param(b'{"text":"a"}', "", id="object"),
        pytest.param(b"7", "", id="number"),
        pytest.param(b'"\xff"', "", id="not UTF-8"),
        pytest.param(b"[" * 100_000, "", id="deep"),
    ],
)
def test_text_is_what_the_parts_say(content: bytes, text: str) -> None:
    assert text_of(content) == text
    assert Message(role="user", content=content).text == text


THOUGHT, CALL = Reasoning("r", "reasoning_content"), ToolCall("x", "f", "{}")


def test_a_plain_turn_has_its_parts_in_the_usual_order() -> None:
    turn = turn_of([THOUGHT, Text("a"), CALL], "stop")
    assert turn == Turn(text="a", calls=(CALL,), reasoning=THOUGHT, finish_reason="stop")
    assert turn.ordered == (THOUGHT, Text("a"), CALL)


@pytest.mark.parametrize(
    "parts",
    [
        pytest.param((CALL, Text("a")), id="order"),
        pytest.param((Reasoning("r", "thinking", "s", "signature"),), id="state"),
        pytest.param((Text("a"), Refusal("no")), id="refusal"),
        pytest.param((Text("a"), CALL, Text("b")), id="two texts"),
        pytest.param((THOUGHT, CALL, THOUGHT), id="two thoughts"),
    ],
)
def test_a_turn_keeps_its_parts_when_its_fields_do_not_say_all(parts: tuple[Part, ...]) -> None:
    assert turn_of(parts, "stop").parts == parts


def test_all_the_reasoning_of_a_turn_is_one_text() -> None:
    parts = [
        Reasoning("", "summary", "s"),
        Reasoning("a", "thinking"),
        Reasoning("b", "thinking", "s", "signature"),
    ]
    assert turn_of(parts, "stop").reasoning == Reasoning("a\n\nb", "thinking")
    assert turn_of(parts[:1], "stop").reasoning == Reasoning("", "summary")


def test_a_neutral_message_says_what_recall_asks_for() -> None:
    message = message_of(
        "assistant", [THOUGHT, Reasoning("s", SUMMARY), Text("a"), CALL, Text("b")]
    )
    assert (message.text, message.calls) == ("ab", (CALL,))
    assert message.reasoning == (("reasoning_content", "r"),)


@pytest.mark.parametrize(
    ("reasoning", "quoted"),
    [
        (THOUGHT, True),
        (Reasoning("", "reasoning_content"), True),
        (Reasoning("r", SUMMARY), False),
        (Reasoning("r", "thinking", "s", "signature"), True),
        (Reasoning("", "thinking", "d", "redacted_thinking"), False),
    ],
    ids=repr,
)
def test_a_summary_is_not_what_the_model_thought(reasoning: Reasoning, quoted: bool) -> None:
    assert reasoning.quoted is quoted


def test_an_edit_puts_reasoning_before_all_else_and_renames_calls_and_results() -> None:
    edit = Edit(reasoning={"reasoning_content": "new"}, ids={"x": "y"})
    found = edited(message_of("assistant", [THOUGHT, Text("a"), CALL]), edit)
    assert found.parts == (
        Reasoning("new", "reasoning_content"),
        Text("a"),
        ToolCall("y", "f", "{}"),
    )
    result = edited(
        message_of("tool", [Text("a")], result_of="x", failed=True, cache="5m"),
        Edit(ids={"x": "y"}),
    )
    assert result == message_of("tool", [Text("a")], result_of="y", failed=True, cache="5m")


def test_an_edit_without_reasoning_leaves_the_clients() -> None:
    assert edited(message_of("assistant", [THOUGHT]), Edit()).parts == (THOUGHT,)
    assert edited(message_of("assistant", [THOUGHT]), Edit(reasoning={})).parts == ()


def test_an_edit_can_put_the_whole_turn_back() -> None:
    thought = Reasoning("", SUMMARY, "e", "encrypted_content", "rs")
    edit = Edit(parts=(thought, CALL, Text("a")), ids={"x": "y"})
    assert edited(message_of("assistant", [Text("a"), CALL]), edit).parts == (
        thought,
        ToolCall("y", "f", "{}"),
        Text("a"),
    )


def test_a_turn_that_is_put_back_keeps_the_clients_cache_mark() -> None:
    cached = message_of("assistant", [Text("a", "5m"), ToolCall("x", "f", "{}", cache="1h")])
    thought = Reasoning("r", "thinking", "s", "signature")
    found = edited(cached, Edit(parts=(thought, Text("a"), CALL)))
    assert found.parts == (thought, Text("a"), ToolCall("x", "f", "{}", cache="1h"))
    assert edited(cached, Edit(parts=(thought,))).parts == (thought,)
    assert marked([Text("a")], "") == [Text("a")]


def test_a_copy_of_reasoning_is_replaced_by_what_it_holds_or_left_out() -> None:
    copy, other = Reasoning("", "r", "sealed", "x"), Reasoning("", "r", "not ours", "x")
    thought, plain = Reasoning("deep", "r"), Reasoning("seen", "r")
    message = message_of("assistant", [copy, Text("a"), other, plain])
    opened = opened_message(message, {copy: thought, other: None}.__getitem__)
    assert opened.parts == (thought, Text("a"), plain)
    assert opened.reasoning == (("r", "deep"), ("r", "seen"))
    bare = message_of("assistant", [plain])
    assert opened_message(bare, {}.__getitem__) is bare
