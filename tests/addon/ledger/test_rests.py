"""Which keys of upstreams rest is known to admins and to all processes over one database."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from addon.ledger.rests import KeyRests
from addon.routing.keyring import Keyring
from shared.config.schema import Upstream
from shared.store.engine import Engine
from shared.store.key_rests import resting
from tests.addon.recall.chat import StoppedClock
from tests.support.database import open_database

UP = Upstream(name="up", base_url="https://up.example", api_keys=("sk-a", "sk-b"))


class Process:
    """What one process knows of the keys."""

    def __init__(self, path: Path, clock: StoppedClock) -> None:
        self.clock = clock
        self.engine: Engine = open_database(path, clock)
        self.keyring = Keyring()
        self.rests = KeyRests(self.engine, clock, self.keyring)

    def fail(self, key: str, seconds: float) -> None:
        """An upstream refuses the key."""
        self.keyring.failed(UP, key, self.clock.monotonic() + seconds)
        self.rests.begin("up", key, seconds, "it was answered with 429")
        self.engine.flush()

    def work(self, key: str) -> None:
        """An upstream takes the key."""
        if self.keyring.worked(UP, key):
            self.rests.end("up", key)
        self.engine.flush()

    def resting(self) -> list[str]:
        """What rests here after the next tick."""
        self.rests.refresh([UP])
        return [key for key in UP.api_keys if self.keyring.rests(UP, key, self.clock.monotonic())]


@pytest.fixture
def processes(tmp_path: Path) -> Iterator[list[Process]]:
    clock = StoppedClock()
    pair = [Process(tmp_path / "adapter.db", clock) for _ in range(2)]
    with closing(pair[0].engine), closing(pair[1].engine):
        yield pair


def test_fault_14_a_key_that_fails_in_one_process_rests_in_the_other(
    processes: list[Process],
) -> None:
    here, there = processes
    here.fail("sk-a", 60)
    assert there.resting() == ["sk-a"]
    here.clock.ms += 61_000
    assert there.resting() == []


def test_fault_14_a_key_that_works_again_in_one_process_does_in_the_other(
    processes: list[Process],
) -> None:
    here, there = processes
    here.fail("sk-a", 600)
    here.fail("sk-b", 600)
    assert there.resting() == here.resting() == ["sk-a", "sk-b"]
    there.work("sk-b")
    assert here.resting() == there.resting() == ["sk-a"]


def test_a_process_that_starts_later_knows_what_rests(
    processes: list[Process], tmp_path: Path
) -> None:
    here, _ = processes
    here.fail("sk-b", 60)
    late = Process(tmp_path / "adapter.db", here.clock)
    with closing(late.engine):
        assert late.resting() == ["sk-b"]


def test_an_upstream_that_is_configured_later_brings_its_rests(processes: list[Process]) -> None:
    here, there = processes
    here.fail("sk-a", 60)
    there.rests.refresh([])
    assert there.resting() == ["sk-a"]


def test_admins_see_which_keys_rest(processes: list[Process]) -> None:
    here, _ = processes
    now = here.clock.now_ms()
    here.fail("sk-a", 60)
    assert [one.until for one in resting(here.engine, now).values()] == [now + 60_000]
    here.work("sk-a")
    assert resting(here.engine, now) == {}
