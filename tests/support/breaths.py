"""Counts the breaths of long work."""

from collections.abc import Callable

from addon.formats.wire.pace import Work

__all__ = ("breaths",)


class _Counting(Work[object]):
    """A job that is done at once, and counts how often others could have gone on."""

    count = 0

    def breathe(self) -> None:
        self.count += 1


def breaths[T](job: Callable[[], T]) -> tuple[T, int]:
    """What a job comes to, and how often it let others go on."""
    results: list[T] = []
    work = _Counting(lambda: results.append(job()), lambda: 0.0)
    work.go_on(0)
    work.result()
    return results[0], work.count
