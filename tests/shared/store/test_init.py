"""Opening the database: what makes it ready, and how it says no."""

from pathlib import Path

import pytest

from shared.errors import StoreError
from shared.store import data_directory, open_engine


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


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        pytest.param(Path.mkdir, "unable to open database file", id="directory"),
        pytest.param(garbage, "file is not a database", id="garbage"),
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
