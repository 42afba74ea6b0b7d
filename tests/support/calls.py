"""Counts what work consists of, which a busy machine does not change: calls of functions."""

import sys
from collections import Counter
from collections.abc import Callable
from types import CodeType, FrameType

__all__ = ("calls_of",)


def calls_of(job: Callable[[], object]) -> Counter[str]:
    """How often a job calls each of the data plane's functions, by its name in the source:
    `Recall.turns`, `digest_of`.
    """
    called: Counter[CodeType] = Counter()

    def count(frame: FrameType, event: str, _: object) -> None:
        if event == "call":
            called[frame.f_code] += 1

    sys.setprofile(count)
    try:
        job()
    finally:
        sys.setprofile(None)
    names: Counter[str] = Counter()
    for code, times in called.items():
        names[code.co_qualname] += times
    return names
