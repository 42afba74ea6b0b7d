"""Whatever a request looks like, others may go on after so many calls of functions."""

import sys
from collections.abc import Iterator
from types import FrameType
from typing import Any

import pytest

from tests.addon.desk import Desk, upstream
from tests.harden.hostile import SHAPES, hostile
from tests.harden.loop import Watched, whole_story

SIZE = 16 * 1024
CALLS = 30_000
"""Two for each byte: some passes over so small a request are one piece, but none compares each of
its parts with each.
"""


class Counted(Watched):
    """Counts calls of functions instead of time."""

    calls = 0

    def note(self) -> None:
        self.longest, self.calls = max(self.longest, self.calls), 0

    def count(self, frame: FrameType, event: str, argument: object) -> None:
        self.calls += event in ("call", "c_call")


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    upstreams = [upstream(name, api="messages") for name in ("one", "two")]
    made = Desk(tmp_path_factory.mktemp("loop") / "x.db", *upstreams)
    yield made
    made.memory.engine.close()


@pytest.mark.parametrize("name", SHAPES)
def test_a_hostile_request_lets_others_go_on(desk: Desk, name: str) -> None:
    intake, body = desk.intake(), hostile(name, SIZE)

    def job() -> Any:
        sys.setprofile(work.count)
        try:
            return whole_story(intake, body, work)
        finally:
            sys.setprofile(None)

    work = Counted(job)
    try:
        work.go_on(0)
        work.result()
    finally:
        intake.close()
    assert work.longest <= CALLS
