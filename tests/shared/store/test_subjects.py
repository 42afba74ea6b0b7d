"""Names are fit to be shown, and limits, models and search texts come out of the database
as they went in.
"""

import pytest

from shared.model import Limits
from shared.store.subjects import (
    folded,
    limit_params,
    limits_from,
    models_from,
    name_fault,
    page_params,
)


@pytest.mark.parametrize("name", ["a", "李雷", "نویسه‌ها", "👩‍💻", "x" * 64, "o'neill; --"])
def test_names_of_any_language_are_taken(name: str) -> None:
    assert name_fault(name, "A name") == ""


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("", "A name must have 1 to 64 characters."),
        (" a", "A name can't begin or end with a space."),
        ("a\nb", "A name can't contain control characters."),
    ],
    ids=["empty", "blank", "control"],
)
def test_a_fault_says_what_is_wrong_with_which_name(name: str, words: str) -> None:
    assert name_fault(name, "A name") == words


def test_models_and_limits_are_read_as_they_were_written() -> None:
    limits = Limits(
        quota_tokens=1, quota_cost_micros=None, period="day", rpm=2, tpm=None, concurrency=3
    )
    models, *columns = limit_params(("a*", "模型"), limits).values()
    assert (models_from(models), limits_from(tuple(columns))) == (("a*", "模型"), limits)


def test_a_search_text_is_taken_literally_and_the_windows_are_those_of_now() -> None:
    assert page_params(now_ms=1_800_000_000_000, text=r"50%_\ ", after=3, limit=2) == {
        "text": r"%50\%\_\\ %",
        "after": 3,
        "limit": 2,
        "day": 20270115,
        "month": 202701,
    }


def test_a_name_is_folded_as_databases_do_it_which_know_ascii_letters_only() -> None:
    assert folded("ŽOFIE Ada İ ẞ Σ") == "Žofie ada İ ẞ Σ"
    assert page_params(now_ms=0, text="Ž_A", after=0, limit=1)["text"] == "%Ž\\_a%"
