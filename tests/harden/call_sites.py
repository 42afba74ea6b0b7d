"""Exceptions at call sites: which calls the functions of some files reach, and one of them
raising instead of calling.
"""

import gc
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import CodeType, FunctionType
from typing import NamedTuple

__all__ = ("CallSite", "Injected", "Injector")

_TOOL = 4
"""One of the numbers that `sys.monitoring` leaves to anybody."""


class Injected(Exception):
    """What a call raises that no code expects."""


class CallSite(NamedTuple):
    """Where in the code a call is made."""

    code: CodeType
    offset: int

    def __str__(self) -> str:
        line = next(
            (
                number
                for start, end, number in self.code.co_lines()
                if start <= self.offset < end and number
            ),
            self.code.co_firstlineno,
        )
        return f"{self.code.co_filename.rpartition('/')[2]}:{line} in {self.code.co_qualname}"


class Injector:
    """Watches the functions of files whose paths begin so."""

    def __init__(self, *paths: str) -> None:
        self._codes = set(_codes(paths))
        self._reached: dict[CallSite, None] = {}
        self._target: CallSite | None = None
        self._watching = False
        self.raised = False
        """Whether the target was reached."""

    @contextmanager
    def installed(self) -> Iterator[None]:
        """While calls of the functions are seen."""
        monitoring = sys.monitoring
        monitoring.use_tool_id(_TOOL, "injected exceptions")
        monitoring.register_callback(_TOOL, monitoring.events.CALL, self._called)
        for code in self._codes:
            monitoring.set_local_events(_TOOL, code, monitoring.events.CALL)
        try:
            yield
        finally:
            for code in self._codes:
                monitoring.set_local_events(_TOOL, code, monitoring.events.NO_EVENTS)
            monitoring.free_tool_id(_TOOL)

    @contextmanager
    def watching(self, target: CallSite | None = None) -> Iterator[dict[CallSite, None]]:
        """The call sites that are reached meanwhile, in their order; the target raises the
        first time.
        """
        self._reached, self._target, self.raised, self._watching = {}, target, False, True
        try:
            yield self._reached
        finally:
            self._watching = False

    def _called(self, code: CodeType, offset: int, *_: object) -> None:
        if not self._watching:
            return
        site = CallSite(code, offset)
        self._reached.setdefault(site)
        if site == self._target and not self.raised:
            self.raised = True
            raise Injected(str(site))


def _codes(paths: tuple[str, ...]) -> Iterator[CodeType]:
    gc.unfreeze()  # what is frozen is not told
    for thing in gc.get_objects():
        if isinstance(thing, FunctionType) and thing.__code__.co_filename.startswith(paths):
            yield from _within(thing.__code__)


def _within(code: CodeType) -> Iterator[CodeType]:
    yield code
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _within(constant)
