"""Strangers write so many lines a minute into the log, and what is left out is told once."""

from addon.admission.log_budget import LINES, LINES_OF_AN_ADDRESS, MOST_ADDRESSES, REST, LogBudget


def test_an_address_has_its_lines_and_others_theirs() -> None:
    budget = LogBudget()
    taken = [budget.take("192.0.2.1") for _ in range(LINES_OF_AN_ADDRESS + 7)]
    assert taken == [True] * LINES_OF_AN_ADDRESS + [False] * 7
    assert budget.take("192.0.2.2")


def test_all_strangers_together_have_their_lines() -> None:
    budget = LogBudget()
    for minute in (1, 2):
        addresses = [f"10.0.{n // 200}.{n % 200}" for n in range(LINES + 50)]
        assert sum(map(budget.take, addresses)) == LINES
        assert len(budget.next_minute(minute * 60)) == 50


def test_what_was_left_out_is_told_once_a_minute_and_each_minute_has_its_own_lines() -> None:
    budget = LogBudget()
    for _ in range(LINES_OF_AN_ADDRESS + 7):
        budget.take("2001:db8::1")
    budget.take("192.0.2.2")
    assert budget.next_minute(59) == []
    assert budget.next_minute(60) == [("2001:db8::/64", 7)]
    assert budget.take("2001:db8::1")
    assert budget.next_minute(61) == budget.next_minute(121) == []


def test_no_number_of_addresses_takes_more_than_so_much_memory() -> None:
    budget = LogBudget()
    for n in range(MOST_ADDRESSES + 500):
        budget.take(f"10.{n >> 16}.{n >> 8 & 255}.{n & 255}")
    left_out = budget.next_minute(60)
    assert left_out[0] == (REST, 500)
    assert sum(count for _, count in left_out) == MOST_ADDRESSES + 500 - LINES


def test_a_minute_is_one_wherever_the_clock_stands() -> None:
    budget = LogBudget()
    budget.next_minute(1000)
    for _ in range(LINES_OF_AN_ADDRESS + 1):
        budget.take("192.0.2.1")
    assert budget.next_minute(1059) == []
    assert budget.next_minute(1060) == [("192.0.2.1", 1)]
