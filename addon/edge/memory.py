"""Memory that requests took: large pieces are given back to the system when they are gone, and
what refers to itself is collected when that holds nobody up.
"""

import ctypes
import gc
import os
import threading
from collections.abc import Callable
from pathlib import Path

__all__ = ("Collector", "FreeMemory", "give_back_soon")

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3
"""https://man7.org/linux/man-pages/man3/mallopt.3.html"""

_MMAP_BYTES = 4 * 1024 * 1024
"""From here on an allocation has pages of its own. glibc raises its limit to the size of what is
freed, up to 32 MiB, and then keeps the room of large bodies between small objects. Pages that are
asked for anew with each body cost a fifth of what a conversation of 2 MB does, so ordinary bodies
come from the heap, which `FreeMemory` looks after.
"""

_TRIM_BYTES = 4 * 1024 * 1024
"""What may lie free at the heap's end: some bodies."""

GROWN_BYTES = 16 * 1024 * 1024
"""By so much a process has grown beyond its least size when it is worth a look."""

REST_SECONDS = 5
"""What was given back is asked for again by the next large request, which takes its time."""

LONG_REST_SECONDS = 20
"""The same where little was given back: most of it is in use."""

IDLE_CPU_SECONDS = 0.05
"""CPU time within a second that a process takes which has nothing to do."""

_STATM = Path("/proc/self/statm")
"""https://man7.org/linux/man-pages/man5/proc_pid_statm.5.html: its second word is in pages."""

NEVER = 1_000_000_000

DUE, OVERDUE = 10, 200
"""Collections of the younger objects, some 20,000 new ones each, after which all objects are looked
at: when nobody works on a large request, and whoever does.
"""


def give_back_soon() -> bool:
    """Have the C library do so, in this process; whether it can be told."""
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):
        return False  # another C library than glibc, which needs no telling
    return bool(mallopt(_M_MMAP_THRESHOLD, _MMAP_BYTES) and mallopt(_M_TRIM_THRESHOLD, _TRIM_BYTES))


ALL = 50
"""Of so many looks one is at all objects. The others leave out what has survived one: what is known
of long conversations is a hundred thousand objects, and a look at them takes some 15 ms.
"""


class Collector:
    """Python looks at all objects whenever there are many new ones: in the middle of a large
    request, which is made of a million, that holds the event loop for a tenth of a second.
    """

    _looks = 0

    def begin(self) -> None:
        """Let Python look at young objects alone, and never at those that are there already."""
        gc.collect()
        gc.freeze()
        young, middle, _ = gc.get_threshold()
        gc.set_threshold(young, middle, NEVER)

    def each_second(self, *, is_working: bool) -> None:
        """Look at all objects if that is due, and no large request is being worked on."""
        if gc.get_count()[2] < (OVERDUE if is_working else DUE):
            return
        self._looks += 1
        if self._looks % ALL == 0:
            gc.unfreeze()
        gc.collect()
        gc.freeze()


def _cpu_seconds() -> float:
    return sum(os.times()[:2])


class FreeMemory:
    """What the C library keeps between small objects when a large request is gone: thirty times
    its body, which it gives back only when it is told to.
    """

    def __init__(self, cpu_seconds: Callable[[], float] = _cpu_seconds) -> None:
        """`cpu_seconds` tells how long the process has worked."""
        self._cpu = cpu_seconds
        self._trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # glibc's
        self._least, self._rest = _resident_bytes(), 0
        self._worked, self._stirred = 0.0, True

    def each_second(self, *, is_working: bool) -> threading.Thread | None:
        """Give it back, if there may be much of it and no large request is being worked on; what
        does so is returned.
        """
        self._rest = max(0, self._rest - 1)
        comes_to_rest = self._comes_to_rest()
        if is_working or self._trim is None or (self._rest and not comes_to_rest):
            return None
        resident = _resident_bytes()
        self._least = min(self._least, resident)
        if resident < self._least + GROWN_BYTES:
            return None
        self._rest = REST_SECONDS
        # Some milliseconds, for which only those wait who ask for large pieces meanwhile.
        giving = threading.Thread(target=self._give_back, name="free memory", daemon=True)
        giving.start()
        return giving

    def _comes_to_rest(self) -> bool:
        """Whether the process had work since this was last so, and has none for a second."""
        before, self._worked = self._worked, self._cpu()
        has_work = self._worked - before > IDLE_CPU_SECONDS
        rests = self._stirred and not has_work
        self._stirred = has_work
        return rests

    def _give_back(self) -> None:
        assert self._trim, "the C library has it"
        before = _resident_bytes()
        self._trim(0)
        if before - _resident_bytes() < GROWN_BYTES:
            self._rest = LONG_REST_SECONDS


def _resident_bytes() -> int:
    """0 where the system does not tell."""
    try:
        return int(_STATM.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        return 0
