"""The table in docs/security.md has every figure, and the command writes its rows there."""

from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from tests.harden.__main__ import FOLDER, guarded, modules
from tests.harden.figure import Figure
from tests.harden.table import BEGIN, END, PROMISES, figures_of, written

PAGE = Path(__file__).parents[2] / "docs" / "security.md"
SLOW = Figure("F8", "2,000 slow heads", "31 ms", "≤ 100 ms", ok=True)
PARSERS = Figure("F22", "a | b", "<1", "0", ok=False)


def rows(page: str) -> list[str]:
    return [line for line in page.splitlines() if line.startswith("| F")]


def names(page: str) -> list[str]:
    return [line.split(" ")[1] for line in rows(page)]


def test_the_page_has_a_row_for_every_figure_that_is_measured() -> None:
    there = names(PAGE.read_text("utf-8"))
    assert {name for module in FOLDER.glob("*.py") for name in figures_of(module)} <= set(there)
    assert list(dict.fromkeys(there)) == list(PROMISES)


def test_the_page_is_as_the_command_writes_it() -> None:
    page = PAGE.read_text("utf-8")
    assert written(page, [], "") == page


def test_each_figure_is_measured_by_one_module_and_promised() -> None:
    every = [name for module in modules([]) for name in figures_of(module)]
    assert len(set(every)) == len(every)
    assert set(every) <= PROMISES.keys()


def test_what_was_measured_stands_by_number_between_the_marks() -> None:
    page = written(
        f"a\n{BEGIN}\na row of before\n{END}\nb\n", [PARSERS, SLOW], "2026-11-30, 2 cores"
    )
    assert page.startswith(f"a\n{BEGIN}\n")
    assert page.endswith(f"\n{END}\nb\n")
    assert "a row of before" not in page
    assert names(page) == list(PROMISES)
    promise = PROMISES["F8"]
    assert (
        f"| F8 | {promise} | 2,000 slow heads | 31 ms | ≤ 100 ms | holds | 2026-11-30, 2 cores |\n"
        in page
    )
    assert "| a \\| b | &lt;1 | 0 | MISSED | 2026-11-30, 2 cores |\n" in page


def test_a_run_replaces_the_rows_of_its_own_figures_only() -> None:
    page = written(f"{BEGIN}\n{END}", [SLOW, SLOW, PARSERS], "yesterday")
    again = written(page, [Figure("F8", "now", "1 ms", "≤ 2 ms", ok=True)], "today")
    assert [line for line in rows(again) if "yesterday" in line] == [
        line for line in rows(page) if "F22" in line
    ]
    assert [line.split(" | ")[2] for line in rows(again) if "today" in line] == ["now"]


@pytest.mark.parametrize("page", ["", BEGIN, END])
def test_a_page_without_the_marks_is_refused(page: str) -> None:
    with pytest.raises(ValueError, match="lacks"):
        written(page, [SLOW], "today")


def test_a_measurement_that_breaks_off_is_missed() -> None:
    def figures(*before: Figure) -> Iterator[Figure]:
        yield from before
        raise OSError("no more")

    names = ["F8", "F22"]
    none, one = guarded(figures, names), guarded(partial(figures, SLOW), names)
    assert [(figure.name, figure.ok) for figure in none] == [("F8", False)]
    assert [(figure.name, figure.ok) for figure in one] == [("F8", True), ("F22", False)]


def test_modules_come_by_the_numbers_of_their_figures() -> None:
    firsts = [int(figures_of(module)[0][1:]) for module in modules([])]
    assert firsts == sorted(firsts)
