"""What turns may take where no setting says so is a share of the disk."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest

from shared.store.room import room_for_turns

GIB = 1024**3


def test_a_server_has_a_disk_of_its_own() -> None:
    assert room_for_turns("postgresql://db/thinkback") == 20 * GIB


class Usage(NamedTuple):
    free: int


@pytest.fixture
def room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[int, int], int]:
    """The room on a disk with so much space free, for a database of this size."""

    def find(free: int, taken: int) -> int:
        database = tmp_path / "adapter.db"
        with database.open("wb") as file:
            file.truncate(taken)
        monkeypatch.setattr(shutil, "disk_usage", {tmp_path: Usage(free)}.__getitem__)
        return room_for_turns(f"sqlite:{database}")

    return find


@pytest.mark.parametrize(("free", "room_for"), [(0, 0.5), (5, 0.5), (50, 5), (200, 20), (5000, 20)])
def test_it_is_a_tenth_of_what_is_free_within_bounds(
    room: Callable[[int, int], int], free: int, room_for: float
) -> None:
    assert room(free * GIB, 0) == room_for * GIB


def test_it_does_not_shrink_as_the_database_grows(room: Callable[[int, int], int]) -> None:
    assert room(60 * GIB, 0) == room(50 * GIB, 10 * GIB) == 6 * GIB
