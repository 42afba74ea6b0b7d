"""Work goes on slice by slice until it is done, and comes to what it would come to at once."""

import asyncio

import pytest

from addon.formats.wire.pace import Work, breathe, can_wait, wait_for, worked


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


async def came(value: int) -> int:
    await asyncio.sleep(0)
    return value


async def failed() -> int:
    await asyncio.sleep(0)
    raise OSError("lost")


async def test_work_waits_while_others_go_on() -> None:
    work = Work(lambda: wait_for(came(1)) + wait_for(came(2)), Clock().monotonic)
    assert (work.go_on(9), work.waits) == (False, True)
    await work.arrive()
    assert (work.go_on(9), work.waits) == (False, True)
    await work.arrive()
    assert work.go_on(9)
    assert work.result() == 3


async def test_what_a_job_waits_for_in_vain_is_raised_where_it_waits() -> None:
    def job() -> str:
        try:
            wait_for(failed())
        except OSError as error:
            return str(error)
        return ""

    assert await worked(job, Clock().monotonic) == "lost"


def test_a_job_that_is_stopped_while_it_waits_waits_no_longer() -> None:
    work = Work(lambda: wait_for(came(1)), Clock().monotonic)
    work.go_on(9)
    work.stop()
    assert work.done


def test_only_work_can_wait() -> None:
    work = Work(can_wait, Clock().monotonic)
    work.go_on(9)
    assert (work.result(), can_wait()) == (True, False)
