"""The text of a message is the same in every shape that clients give its content."""

import pytest

from addon.formats.turn import Message, text_of


@pytest.mark.parametrize(
    ("content", "text"),
    [
        pytest.param(b"null", "", id="null"),
        pytest.param(b'""', "", id="empty"),
        pytest.param(b"[]", "", id="no parts"),
        pytest.param(b'[{"type":"text","text":""}]', "", id="empty part"),
        pytest.param(b'"a b"', "a b", id="string"),
        pytest.param(b'[{"type":"text","text":"a "},{"type":"text","text":"b"}]', "a b", id="parts"),
        pytest.param(b'["a ", "b"]', "a b", id="bare strings"),
        pytest.param(b'[{"type":"image_url","image_url":{"url":"x"}},{"text":"a"},{"text":1},null]', "a", id="others"),
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
