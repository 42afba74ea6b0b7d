"""Opening the database: what makes it ready, and how it says no."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from shared.errors import StoreError
from shared.store import data_directory, open_engine
from tests.support.database import without_override

OPEN = "import sys; from shared.store import open_engine; open_engine(sys.argv[1])"


def test_a_missing_database_is_made_with_its_directory(tmp_path: Path) -> None:
    url = f"sqlite:{tmp_path}/data/adapter.db?mode=rwc"
    engine = open_engine(url)
    assert engine.read("SELECT count(*) FROM users") == [(0,)]
    assert (data_directory(url) / "adapter.db").exists()
    engine.close()


def test_what_was_written_is_there_when_it_is_opened_again(tmp_path: Path) -> None:
    url = f"sqlite:{tmp_path}/adapter.db"
    first = open_engine(url)
    first.write_later([("INSERT INTO learned VALUES ('a', 'b', 1)", {})])
    first.close()
    again = open_engine(url)
    assert again.read("SELECT * FROM learned") == [("a", "b", 1)]
    again.close()


def garbage(path: Path) -> None:
    path.write_bytes(b"this is not a database" * 100)


def cut_off(path: Path) -> None:
    open_engine(f"sqlite:{path}").close()
    os.truncate(path, path.stat().st_size // 2)


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        pytest.param(Path.mkdir, "unable to open database file", id="directory"),
        pytest.param(garbage, "file is not a database.*thinkback restore", id="garbage"),
        pytest.param(cut_off, "malformed.*thinkback restore", id="cut off"),
        pytest.param(
            lambda path: path.symlink_to("/nowhere/adapter.db"), "No such file", id="dangling-link"
        ),
    ],
)
def test_a_file_that_is_no_database_is_refused_in_words(spoil, words: str, tmp_path: Path) -> None:
    path = tmp_path / "adapter.db"
    spoil(path)
    with pytest.raises(StoreError, match=f"Can't open the database .*adapter.db: .*{words}"):
        open_engine(f"sqlite:{path}")


def test_a_database_below_a_file_is_refused_in_words(tmp_path: Path) -> None:
    (tmp_path / "data").touch()
    with pytest.raises(StoreError, match=r"Can't open the database .*: File exists"):
        open_engine(f"sqlite:{tmp_path}/data/adapter.db")


@pytest.mark.parametrize("place", ["file", "folder"])
def test_a_place_that_cant_be_written_is_refused_in_words(place: str, tmp_path: Path) -> None:
    path = tmp_path / "data" / "adapter.db"
    open_engine(f"sqlite:{path}").close()
    spoilt = {"file": path, "folder": path.parent}[place]
    spoilt.chmod(0o500)
    done = subprocess.run(
        [sys.executable, "-c", OPEN, f"sqlite:{path}"],
        preexec_fn=without_override,
        capture_output=True,
        text=True,
        timeout=30,
    )
    spoilt.chmod(0o700)
    assert "StoreError: Can't open the database" in done.stderr
    assert "must be able to write the file and its folder" in done.stderr
    open_engine(f"sqlite:{path}").close()
