"""What is said of capacity follows from the costs, and the page has what the program says."""

import pytest

from tools.capacity import BEGIN, COSTS, END, PAGE, Costs, Day, limits, main, simulate, written


def test_docs_have_what_the_program_says() -> None:
    page = PAGE.read_text("utf-8")
    assert written(page) == page, "run `python -m tools.capacity --write`"


@pytest.mark.parametrize("page", ["", BEGIN, END])
def test_a_page_without_the_marks_is_refused(page: str) -> None:
    with pytest.raises(ValueError, match="lacks"):
        written(page)


@pytest.mark.parametrize("developers", [200, 700, 2_000])
def test_a_peak_is_that_of_a_queue_without_waiting(developers: int) -> None:
    """Little's law: what runs at once is what comes in a second times how long it lasts."""
    day = Day()
    peak = simulate(developers, day)
    mean = developers * day.requests / (day.hours * 3600) * day.peak
    running = mean * day.answer_seconds
    assert running * 0.75 < peak.streams < running + 4 * running**0.5 + running * 0.25
    assert peak.requests > mean


def test_what_costs_nothing_uses_nothing_up() -> None:
    free = Costs(request_ms=0, delta_ms=0, history_ms_per_mb=0, rows=0)
    assert simulate(1_000, costs=free).cores == 0
    used = {one.name: one.used for one in limits(1_000, costs=free)}
    assert used["one core"] == used["SQLite's one writer"] == 0


def test_limits_come_in_the_order_in_which_they_break() -> None:
    used = [one.used for one in limits(5_000)]
    assert used == sorted(used, reverse=True)


def test_longer_answers_need_more_cores() -> None:
    longer = simulate(500, Day(answer_seconds=60))
    assert longer.cores > 2 * simulate(500).cores
    assert longer.rows == pytest.approx(simulate(500).requests * COSTS.rows, rel=0.3)


def test_it_prints_both_tables_for_the_numbers_that_are_asked(
    capsys: pytest.CaptureFixture[str],
) -> None:
    main(["50", "--answer-seconds", "1"])
    printed = capsys.readouterr().out
    assert printed.startswith("| developers | 50 |")
    assert "| one core |" in printed


def test_an_unknown_option_is_refused_in_words(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--answers", "1"])
    assert "--answers" in capsys.readouterr().err
