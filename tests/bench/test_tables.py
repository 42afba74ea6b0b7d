from pathlib import Path

import pytest

from tests.bench.tables import Table, placed

PAGE = """# Title

<!-- growth: written by make bench-full -->
old
<!-- end of growth -->

Words.
"""
PERFORMANCE = (Path(__file__).parents[2] / "docs/performance.md").read_text()
TABLE = Table("Of two", ("", "ms"), [("a", "1"), ("long name", "23")])


def test_a_table_replaces_what_is_between_its_marks_and_nothing_else() -> None:
    once = placed(PAGE, "growth", TABLE.markdown())

    assert placed(once, "growth", TABLE.markdown()) == once
    assert once.replace(f"\n\n{TABLE.markdown()}\n\n", "\nold\n") == PAGE


def test_a_page_without_the_marks_is_refused() -> None:
    with pytest.raises(ValueError, match="the page lacks <!-- others"):
        placed(PAGE, "others", "")


@pytest.mark.parametrize("name", ["promises", "others", "one core", "growth", "parts"])
def test_the_page_about_performance_has_a_place_for_each_measure(name: str) -> None:
    assert placed(PERFORMANCE, name, TABLE.markdown()).count(TABLE.markdown()) == 1


def test_columns_stand_under_each_other() -> None:
    assert TABLE.text().splitlines()[1:] == [
        "Of two",
        "           ms",
        "a           1",
        "long name  23",
    ]
