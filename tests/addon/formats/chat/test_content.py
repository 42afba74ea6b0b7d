"""Reasoning in chunks of the content is read, and put back as a chunk."""

import pytest

from addon.formats.chat.content import THINKING_CHUNK, thought_of, with_thinking
from addon.formats.chat.request import edited
from addon.formats.turn import Edit

CHUNK = b'{"type":"thinking","thinking":[{"type":"text","text":"r"}]}'


@pytest.mark.parametrize(
    ("part", "thought"),
    [
        ({"type": "thinking", "thinking": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]}, "ab"),
        ({"type": "thinking", "thinking": "a"}, "a"),
        ({"type": "thinking"}, ""),
        ({"type": "text", "text": "a"}, None),
        ("a", None),
    ],
    ids=str,
)
def test_the_thinking_of_a_part_is_read(part: object, thought: str | None) -> None:
    assert thought_of(part) == thought


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"null", b"[" + CHUNK + b"]"),
        (b'""', b"[" + CHUNK + b"]"),
        (b'"a"', b"[" + CHUNK + b',{"type":"text","text":"a"}]'),
        (b'[{"type":"text","text":"a"}]', b"[" + CHUNK + b',{"type":"text","text":"a"}]'),
        (b'[{"type":"thinking","thinking":"x"},{"text":"a"}]', b"[" + CHUNK + b',{"text":"a"}]'),
        (b'"\xff"', b'"\xff"'),
    ],
)
def test_reasoning_becomes_the_first_chunk(content: bytes, expected: bytes) -> None:
    assert with_thinking(content, "r") == expected


def test_restored_reasoning_that_came_as_a_chunk_goes_back_as_one() -> None:
    found = edited(b'{"role":"assistant","content":"a","x":1.0}', Edit(reasoning={THINKING_CHUNK: "r"}))
    assert found == b'{"role":"assistant","x":1.0,"content":[' + CHUNK + b',{"type":"text","text":"a"}]}'
    assert edited(b'{"content":"a"}', Edit(reasoning={THINKING_CHUNK: ""})) == b'{"content":"a"}'
