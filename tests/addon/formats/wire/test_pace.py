"""Work goes on slice by slice until it is done, and comes to what it would come to at once."""

import asyncio
from concurrent.futures import ThreadPoolExecutor

import pytest
from greenlet import getcurrent, greenlet

from addon.formats.wire.pace import (
    MOST_IDLE,
    Work,
    breathe,
    can_wait,
    lots_of,
    wait_for,
    worked,
)
from tests.support.breaths import breaths


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


def worker_of(done: list[int]) -> greenlet:
    """Do a job in one slice; the greenlet that did it."""
    work = Work(lambda: (count_to(1, done), getcurrent())[1], Clock().monotonic)
    assert work.go_on(9)
    return work.result()


def test_one_job_after_the_other_is_done_by_the_same_greenlet() -> None:
    done: list[int] = []
    assert worker_of(done) is worker_of(done)
    assert done == [0, 0]


def test_a_job_that_is_done_disturbs_none_that_its_greenlet_does_afterwards() -> None:
    done: list[int] = []
    first = Work(lambda: count_to(1, done), Clock().monotonic)
    assert first.go_on(9)
    second = Work(lambda: count_to(3, done), Clock().monotonic)
    second.go_on(1)
    first.stop()
    assert first.go_on(9)
    assert done == [0, 0]
    assert second.go_on(9)
    assert done == [0, 0, 1, 2]


def test_a_greenlet_whose_job_failed_or_was_stopped_spoils_no_other_job() -> None:
    done: list[int] = []
    for _ in range(3):
        failing = Work(lambda: 1 // 0, Clock().monotonic)
        assert failing.go_on(9)
        stopped = Work(lambda: count_to(3, done), Clock().monotonic)
        stopped.go_on(0)
        stopped.stop()
        assert stopped.done
    unbegun = Work(lambda: count_to(3, done), Clock().monotonic)
    unbegun.stop()
    assert done == [0, 0, 0]
    worker_of(done)
    assert done == [0, 0, 0, 0]


def test_many_jobs_at_once_are_all_done() -> None:
    works = [Work(lambda: count_to(2, []), Clock().monotonic) for _ in range(3 * MOST_IDLE)]
    for work in works:
        work.go_on(0)
    assert all(work.go_on(9) for work in works)


def test_each_thread_has_greenlets_of_its_own() -> None:
    ours = worker_of([])
    with ThreadPoolExecutor(1) as thread:
        theirs = thread.submit(worker_of, []).result()
    assert theirs is not ours
    assert worker_of([]) is ours


def test_many_small_things_take_a_breath_for_some_hundred() -> None:
    same, count = breaths(lambda: list(lots_of(range(10_000))))
    assert same == list(range(10_000))
    assert 10 < count < 200
