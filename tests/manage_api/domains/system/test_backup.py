import stat
from contextlib import closing
from pathlib import Path

import pytest

from manage_api.domains.system.backup import back_up
from shared.errors import StoreError
from shared.store import open_engine
from shared.store.accounts import find_user_by_name
from shared.store.engine import Engine
from tests.manage_api.world import Person
from tests.support.database import full_disk
from tests.support.postgres import empty_database


def test_the_copy_is_a_whole_database_that_only_its_owner_can_read(
    ada: Person, store: Engine, tmp_path: Path
) -> None:
    back_up(store, tmp_path / "copy.db")

    copy = open_engine(f"sqlite:{tmp_path}/copy.db")
    assert find_user_by_name(copy, "ada")
    copy.close()
    assert stat.S_IMODE((tmp_path / "copy.db").stat().st_mode) == 0o600


def test_an_existing_file_is_never_replaced(store: Engine, tmp_path: Path) -> None:
    (tmp_path / "copy.db").write_text("precious")

    with pytest.raises(StoreError, match="already exists"):
        back_up(store, tmp_path / "copy.db")
    assert (tmp_path / "copy.db").read_text() == "precious"


def test_a_place_that_cannot_be_written_is_said(store: Engine, tmp_path: Path) -> None:
    with pytest.raises(StoreError, match=r"Can't write .*: there is no folder .*nowhere; create"):
        back_up(store, tmp_path / "nowhere" / "copy.db")
    with pytest.raises(StoreError, match=r"Can't write .*: Not a directory\.$"):
        back_up(store, Path("/dev/null/copy.db"))


def test_a_copy_for_which_there_is_no_room_leaves_nothing(store: Engine, tmp_path: Path) -> None:
    copy = tmp_path / "copy.db"
    with full_disk(), pytest.raises(StoreError, match=r"Can't write the copy .*: disk I/O error\."):
        back_up(store, copy)
    assert not copy.exists()


def test_a_server_is_not_copied_and_it_is_said_what_does_that(tmp_path: Path) -> None:
    with (
        closing(open_engine(empty_database())) as server,
        pytest.raises(StoreError, match="pg_dump"),
    ):
        back_up(server, tmp_path / "copy.db")
    assert not [*tmp_path.iterdir()]
