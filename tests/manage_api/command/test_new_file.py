"""A file that may hold keys is the owner's alone, and replaces none."""

import stat
from pathlib import Path

import pytest

from manage_api.command.new_file import write_new
from shared.errors import ThinkbackError


def test_it_is_the_owners_alone(tmp_path: Path) -> None:
    write_new(tmp_path / "new", "ü")

    assert (tmp_path / "new").read_text("utf-8") == "ü"
    assert stat.S_IMODE((tmp_path / "new").stat().st_mode) == 0o600


def test_no_file_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "there").write_text("mine")
    with pytest.raises(ThinkbackError, match="already exists"):
        write_new(tmp_path / "there", "other")
    with pytest.raises(ThinkbackError, match="Can't write"):
        write_new(tmp_path / "missing/new", "other")
    assert (tmp_path / "there").read_text() == "mine"
