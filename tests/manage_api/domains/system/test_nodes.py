"""Nodes that are set up otherwise than those beside them are named."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from manage_api.domains.system.nodes import differing, differing_in
from shared.config.schema import Snapshot
from shared.store.engine import Engine
from shared.store.ledger import DEAD_AFTER_MS
from shared.store.nodes import Process, beat, describe
from tests.manage_api.world import ManualClock
from tests.support.database import open_database


@pytest.fixture
def store(tmp_path: Path, clock: ManualClock) -> Iterator[Engine]:
    with closing(open_database(tmp_path / "adapter.db", clock)) as store:
        yield store


def live(
    store: Engine, node: str, configuration: str = "c", secret: str = "s", *, seen: int = 0
) -> None:
    now = store.now_ms()
    described = describe(node, configuration=configuration, secret=secret)
    process = Process(host=f"{node}.lan")
    store.try_write([beat(node, "1", now, now - seen, process), described])


def test_nodes_that_are_alike_are_not_spoken_of(store: Engine) -> None:
    assert differing(store) == []
    live(store, "one")
    live(store, "two")
    assert differing(store) == []


def test_fault_26_a_node_with_other_settings_is_named(store: Engine) -> None:
    live(store, "one")
    live(store, "two")
    live(store, "odd", configuration="d")
    [told] = differing(store)
    assert told.startswith("The node odd on odd.lan has other settings in its file or environment")


def test_fault_26_a_node_with_another_secret_is_named_for_that_alone(store: Engine) -> None:
    for node in ("one", "two"):
        live(store, node)
    live(store, "odd", configuration="d", secret="t")
    [told] = differing(store)
    assert told.startswith("The node odd on odd.lan has another secret than the others")


def test_of_two_the_one_that_came_later_is_named(store: Engine, clock: ManualClock) -> None:
    live(store, "z-first")
    clock.seconds += 1
    live(store, "later", configuration="d")
    [told] = differing(store)
    assert "later on later.lan" in told


def test_the_dead_and_those_that_say_nothing_do_not_count(store: Engine) -> None:
    live(store, "one")
    live(store, "dead", configuration="d", seen=DEAD_AFTER_MS)
    live(store, "silent", configuration="", secret="")
    assert differing(store) == []


def test_a_check_makes_no_database(tmp_path: Path) -> None:
    path = tmp_path / "none" / "adapter.db"
    assert differing_in(Snapshot(database_url=f"sqlite:{path}")) == []
    assert not path.parent.exists()
