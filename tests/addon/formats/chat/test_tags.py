"""Thinking in tags is parted from the text at the beginning only, and nothing of the
content is lost.
"""

import pytest

from addon.formats.chat.tags import Tags


@pytest.mark.parametrize(
    ("content", "thought", "text"),
    [
        ("<think>r</think>a", "r", "a"),
        ("<think>\nr\n</think>\n\na\n", "\nr\n", "a\n"),
        (" \n<think>r</think>a", "r", "a"),
        ("<think>r</think>\n<think>s</think> a", "rs", "a"),
        ("<think></think>a", "", "a"),
        ("<think>r</think>", "r", ""),
        ("<think>r", "r", ""),
        ("<think>r</thi", "r</thi", ""),
        ("<think>r<think></think>a", "r<think>", "a"),
        ("<think>r</think>a<think>b</think>", "r", "a<think>b</think>"),
        ("a<think>r</think>", "", "a<think>r</think>"),
        (" a", "", " a"),
        ("<thi", "", "<thi"),
        ("<think>r</think>\n<thi", "r", "<thi"),
        (" \n", "", " \n"),
        ("", "", ""),
    ],
)
def test_tags_count_at_the_beginning(content: str, thought: str, text: str) -> None:
    tags = Tags()
    found = [tags.feed(content), tags.close(), tags.close()]
    assert "".join(first for first, _ in found) == thought
    assert "".join(second for _, second in found) == text


def test_thinking_is_told_as_it_comes() -> None:
    tags = Tags()
    assert [
        tags.feed(piece) for piece in ("<think>", "abc", "d</th", "e", "</think>", "\n", "f")
    ] == [*[("", ""), ("abc", ""), ("d", ""), ("</the", ""), ("", ""), ("", ""), ("", "f")]]
    assert tags.head == "<think>abcd</the</think>\n"


def test_a_content_that_comes_after_reasoning_of_its_own_has_no_tags() -> None:
    tags = Tags()
    tags.leave()
    assert tags.feed("<think>a") == ("", "<think>a")
