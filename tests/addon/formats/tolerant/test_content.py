"""Reasoning in chunks of the content is read, and made."""

import pytest

from addon.formats.tolerant.content import thinking_chunk, thought_of


@pytest.mark.parametrize(
    ("part", "thought"),
    [
        (
            {
                "type": "thinking",
                "thinking": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}],
            },
            "ab",
        ),
        ({"type": "thinking", "thinking": "a"}, "a"),
        ({"type": "thinking"}, ""),
        ({"type": "text", "text": "a"}, None),
        ("a", None),
    ],
    ids=str,
)
def test_the_thinking_of_a_part_is_read(part: object, thought: str | None) -> None:
    assert thought_of(part) == thought


def test_a_chunk_holds_what_is_read_from_it() -> None:
    assert thought_of(thinking_chunk(" r\n")) == " r\n"
