"""Words are compared by whole lines at an end, in time that grows with their length."""

import pytest

from addon.formats.wire.pace import LONG
from addon.recall.identity import digest
from addon.recall.words import Words, brief
from tests.support.breaths import breaths

MANY = "\n".join(f"line {number}" for number in range(20))


@pytest.mark.parametrize(
    ("mine", "theirs", "common"),
    [
        ("Fix it.", "Fix it.", 7),
        ("Fix it.", "Fix it.\n\nRules:\nNone.", 7),
        ("Files:\na.py\n\nFix it.", "Fix it.", 7),
        ("Fix it.\nAnd that.", " Fix it. \n\n\tAnd that.\n" + MANY, 16),
        ("Fix it.", "Please:\nFix it.\nThanks.", 0),
        ("Fix it.", "Fix it. Now.", 0),
        ("Fix it.\nAnd that.", "Fix it.\nAnd this.", 0),
        (MANY, MANY + "\nand more", 24),
        (MANY, "more above\n" + MANY, 28),
        (MANY, MANY.replace("line 2", "another"), 28),
        (MANY, MANY.replace("line 2", "another").replace("line 18", "another"), 0),
        ("", "", 0),
        ("", "Fix it.", 0),
    ],
)
def test_words_have_in_common_what_is_whole_lines_of_both(
    mine: str, theirs: str, common: int
) -> None:
    one, other = Words(mine), Words(theirs)
    assert one.common(other.lines) == common
    assert other.common(one.lines) == common


@pytest.mark.parametrize(
    "wrapped",
    [
        "<system-reminder>Monday</system-reminder>Fix it.",
        "Fix it.<system-reminder>\nTuesday\n</system-reminder>\n",
        "<env_details>\n<open_file>a.py</open_file>\n</env_details>\nFix it.<git_status></git_status>",
        "<files>a.py</files><user_query>Fix it.</user_query> at noon",
    ],
)
def test_blocks_of_a_client_s_own_are_not_the_user_s_words(wrapped: str) -> None:
    words = Words(wrapped)
    assert words.common(Words("Fix it.").lines) == 7
    assert (words.first, words.core) == ("Fix it.", Words("Fix it.").core)


@pytest.mark.parametrize(
    "text",
    [
        "<div>Fix it.</div>",
        "<env_details>Fix it.",
        "Fix it.</env_details>",
        "</env_details>Fix it.<env_details>",
        "<env_details>Fix it.</env_details>",
    ],
)
def test_what_is_no_block_or_everything_is_said(text: str) -> None:
    assert Words(text).first == text


def test_the_marks_of_many_lines_are_no_more_than_those_of_eight() -> None:
    assert len(Words(MANY).lines) == len(Words(MANY * 9).lines) == 32
    assert len(Words("Fix it.").lines) == 4


def test_a_digest_is_told_from_others_by_eight_characters() -> None:
    assert Words("Fix it.").brief == brief(digest("Fix it."))
    assert len({brief(digest(str(number))) for number in range(1000)}) == 1000
    assert {len(brief(digest(str(number)))) for number in range(9)} == {8}


def test_tags_that_nothing_closes_are_read_once() -> None:
    text = "<open-tag>" * 100_000 + "</other-tag>"
    assert Words(text).first == text


def test_the_lines_of_a_long_text_are_looked_at_in_pieces() -> None:
    text = "\n\n".join(f"line {number} of many" for number in range(200_000))
    words, count = breaths(lambda: Words(text).lines)
    short = "\n".join(
        f"line {number} of many" for number in (0, 1, 2, 3, 9, *range(199_996, 200_000))
    )
    assert words == Words(short).lines
    assert count >= 10


def test_a_block_is_found_wherever_the_pieces_of_a_long_text_end() -> None:
    for offset in range(20):
        text = "x" * (LONG - offset) + "<system-reminder>a\n</system-reminder>\nFix it."
        assert Words(text).first == "x" * (LONG - offset)
        assert Words(text).common(Words("Fix it.").lines) == 7


def test_a_text_of_more_tags_than_any_client_puts_there_is_taken_as_it_is() -> None:
    text = "<a-b>x</a-b>" * 6_000
    assert Words(text).first == text
