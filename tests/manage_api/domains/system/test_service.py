from pathlib import Path

import pytest

from manage_api.domains.system.service import check_integrity, copy_database
from shared.errors import StoreError
from shared.store import open_engine
from shared.store.engine import Engine
from tests.manage_api.world import Person


def test_a_sound_database_is_ok(environ: dict[str, str], ada: Person) -> None:
    assert check_integrity(environ["DATABASE_URL"]) == "ok"


def test_damage_is_found(environ: dict[str, str], tmp_path: Path) -> None:
    engine = open_engine(environ["DATABASE_URL"])
    [(page,)] = engine.read(
        "SELECT rootpage FROM sqlite_schema WHERE name = 'virtual_keys_user_id'"
    )
    engine.close()
    with (tmp_path / "data" / "adapter.db").open("r+b") as file:
        file.seek((page - 1) * 4096)
        file.write(b"\xff" * 4096)

    assert check_integrity(environ["DATABASE_URL"]) not in ("ok", "")


def test_a_copy_is_gone_when_it_is_closed(
    environ: dict[str, str], store: Engine, tmp_path: Path
) -> None:
    with copy_database(environ["DATABASE_URL"]) as copy:
        assert copy.read(15) == b"SQLite format 3"
        assert not list((tmp_path / "data").glob("backup-*"))


def test_a_copy_that_cannot_be_made_leaves_nothing(
    environ: dict[str, str], store: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = iter(["0" * 16] * 2)
    monkeypatch.setattr("secrets.token_hex", lambda _: next(names))
    (tmp_path / "data" / f"backup-{'0' * 16}.db").write_text("in the way")

    with pytest.raises(StoreError, match="already exists"):
        copy_database(environ["DATABASE_URL"])
