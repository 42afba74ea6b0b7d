"""Work goes on slice by slice until it is done, and comes to what it would come to at once."""

import pytest

from addon.formats.wire.pace import Work, breathe


class Clock:
    """A second passes with each look."""

    def __init__(self) -> None:
        self.seconds = 0

    def monotonic(self) -> float:
        self.seconds += 1
        return self.seconds


def count_to(most: int, done: list[int]) -> int:
    for n in range(most):
        done.append(n)
        breathe()
    return most


def test_a_job_is_done_in_slices() -> None:
    done: list[int] = []
    work = Work(lambda: count_to(9, done), Clock().monotonic)
    seen = []
    while not work.go_on(3):
        seen.append(len(done))
    assert seen == [3, 6, 9]
    assert work.result() == 9


def test_slices_of_jobs_alternate() -> None:
    done: list[int] = []
    works = [Work(lambda: count_to(3, done), Clock().monotonic) for _ in range(2)]
    while not all(work.done for work in works):
        for work in works:
            work.go_on(0)
    assert done == [0, 0, 1, 1, 2, 2]


def test_what_a_job_raises_is_raised_by_its_result() -> None:
    work = Work(lambda: 1 // 0, Clock().monotonic)
    assert work.go_on(1)
    with pytest.raises(ZeroDivisionError):
        work.result()


def test_a_job_that_is_stopped_cleans_up_and_goes_no_further() -> None:
    done: list[int] = []

    def job() -> int:
        try:
            return count_to(9, done)
        finally:
            done.append(-1)

    work = Work(job, Clock().monotonic)
    work.go_on(2)
    work.stop()
    assert done == [0, 1, -1]


def test_a_job_that_was_forgotten_cleans_up() -> None:
    done: list[int] = []
    work = Work(lambda: count_to(9, done), Clock().monotonic)
    work.go_on(2)
    del work
    assert done == [0, 1]


def test_breathing_outside_of_a_job_does_nothing() -> None:
    assert count_to(3, []) == 3
