"""`thinkback import` says what came over from another gateway, and what did not."""

import json
from pathlib import Path

import pytest

from tests.manage_api.command.running import Command
from tests.support.reasoning_cache import write_cache
from tests.support.turns import FIELD, Json

LONG = "I have read the whole file and changed the three places that were wrong in it."


@pytest.fixture
def thinkback(tmp_path: Path) -> Command:
    return Command(tmp_path)


def said(reasoning: str, text: str) -> Json:
    return {"role": "assistant", "content": text, FIELD: reasoning}


def report_of(thinkback: Command, *arguments: str, **environ: str) -> Json:
    done = thinkback("import", *arguments, "--json", **environ)
    assert done.returncode == 0, done.stderr
    return dict(json.loads(done.stdout))


def test_a_cache_is_taken_for_one_user(thinkback: Command, tmp_path: Path) -> None:
    write_cache(tmp_path / "cache.sqlite3", [said("thought", LONG), said("thought", "OK.")])
    report = {
        "source": "a cache of deepseek-cursor-proxy",
        "taken": ["1 turns with their reasoning, for admin"],
        "left_out": [
            "1 turns without an id of their own and with little text: they could be mistaken for "
            "others"
        ],
    }
    thinkback("user", "list")

    assert report_of(thinkback, "cache.sqlite3", "--dry-run") == report
    assert report_of(thinkback, "cache.sqlite3") == report
    words = thinkback("import", "cache.sqlite3", "--dry-run")
    assert words.stdout.splitlines()[:2] == [
        "This is a cache of deepseek-cursor-proxy.",
        "Would come over:",
    ]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"anything", "is nothing that Thinkback can take over"),
        (b"SQLite format 3\0 but no more", "Can't read the database"),
    ],
)
def test_another_file_is_refused_in_words(
    thinkback: Command, tmp_path: Path, content: bytes, said: str
) -> None:
    (tmp_path / "other").write_bytes(content)
    done = thinkback("import", "other")

    assert (done.returncode, done.stdout) == (1, "")
    assert said in done.stderr
    assert "Traceback" not in done.stderr


def test_an_unknown_account_is_named(thinkback: Command, tmp_path: Path) -> None:
    write_cache(tmp_path / "cache.sqlite3", [said("thought", LONG)])
    done = thinkback("import", "cache.sqlite3", "--user", "eve")

    assert done.returncode == 1
    assert "no account “eve”" in done.stderr
