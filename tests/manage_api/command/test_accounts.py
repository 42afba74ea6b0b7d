import re
from contextlib import closing
from pathlib import Path
from subprocess import CompletedProcess

import msgspec
import pytest

from manage_api.domains.users.service import give_key
from shared.model import Limits
from shared.store import open_engine
from tests.manage_api.command.running import Command


@pytest.fixture
def thinkback(tmp_path: Path) -> Command:
    """The command as a user has it, in a directory of its own."""
    return Command(tmp_path)


def rows(done: CompletedProcess[str]) -> list[dict[str, object]]:
    assert done.returncode == 0, done.stderr
    return [msgspec.json.decode(line) for line in done.stdout.splitlines()]


def test_a_user_is_added_with_a_key_and_listed(thinkback: Command) -> None:
    ada = ("user", "add", "ada", "--password", "a long password", "--json")
    [added] = rows(thinkback.outside(*ada))

    assert re.fullmatch(r"sk-[0-9A-Za-z]{43}", str(added["api_key"]))
    assert "password" not in added
    listed = rows(thinkback("user", "list", "--json"))
    assert [(user["username"], user["role"]) for user in listed] == [
        ("admin", "admin"),
        ("ada", "user"),
    ]


def test_without_a_password_one_is_made_and_shown(thinkback: Command) -> None:
    [added] = rows(thinkback("user", "add", "ada", "--admin", "--json"))

    assert len(str(added["password"])) >= 16
    assert added["role"] == "admin"


def test_the_first_use_makes_the_first_account_and_shows_it_once(thinkback: Command) -> None:
    first, second = thinkback("user", "list"), thinkback("user", "list")

    assert "Password" in first.stderr
    assert "sk-" in first.stderr
    assert second.stderr == ""


def test_a_password_that_was_given_is_not_shown(thinkback: Command) -> None:
    done = thinkback("user", "list", ADMIN_PASSWORD="correct horse battery")

    assert "ADMIN_PASSWORD" in done.stderr
    assert "correct horse" not in done.stderr + done.stdout


def test_a_key_is_made_listed_and_revoked(thinkback: Command) -> None:
    [made] = rows(thinkback("key", "new", "admin", "--name", "robot", "--scope", "admin", "--json"))
    revoked = thinkback("key", "revoke", str(made["id"]))

    key = rows(thinkback("key", "list", "--json"))[-1]
    assert revoked.returncode == 0
    assert (key["name"], key["scope"], key["username"]) == ("robot", "admin", "admin")
    assert key["revoked_at"]
    assert "api_key" not in key


def test_an_account_is_disabled_and_enabled(thinkback: Command) -> None:
    thinkback("user", "add", "ada")

    states = []
    for verb in ("disable", "enable"):
        assert thinkback("user", verb, "ada").returncode == 0
        states.append(rows(thinkback("user", "list", "--json"))[-1]["disabled"])
    assert states == [True, False]


def test_a_password_is_changed(thinkback: Command) -> None:
    [changed] = rows(thinkback("user", "passwd", "admin", "--json"))

    assert changed["username"] == "admin"
    assert changed["password"]


def test_lists_are_readable_without_json(thinkback: Command) -> None:
    thinkback("user", "add", "ada")

    table = thinkback("user", "list").stdout.splitlines()

    assert table[0].split() == [
        "id",
        "username",
        "role",
        "disabled",
        "must_change_password",
        "created_at",
    ]
    assert table[2].split()[:5] == ["2", "ada", "user", "no", "no"]


def test_keys_are_listed_in_words(thinkback: Command, tmp_path: Path) -> None:
    thinkback("key", "new", "admin", "--name", "robot")
    limits = Limits(quota_tokens=1_000_000, period="month", rpm=60)
    with closing(open_engine(f"sqlite:{tmp_path}/data/adapter.db")) as engine:
        fields = {"scope": "inference", "now": 0, "expires_at": 1_800_000_000_000}
        give_key(engine, user_id=1, name="bound", models=("a-*", "b"), limits=limits, **fields)

    heading, _, robot, bound = thinkback("key", "list").stdout.splitlines()

    columns = [
        "username",
        "id",
        "user_id",
        "name",
        "suffix",
        "scope",
        "created_at",
        "expires_at",
        "revoked_at",
    ]
    assert heading.split() == [*columns, "models", "limits"]
    assert re.fullmatch(r"admin +2 +1 +robot +\w{4} +inference +\S+ \S+ +- +- +all +none", robot)
    assert bound.split()[6:10] == ["1970-01-01", "00:00:00", "2027-01-15", "08:00:00"]
    assert bound.endswith("  a-*, b  1,000,000 tokens per month; 60 requests per minute")


def test_a_new_key_is_shown_in_words(thinkback: Command) -> None:
    shown = thinkback("key", "new", "admin").stdout

    assert re.search(r"^expires at +-$", shown, re.MULTILINE)
    assert re.search(r"^models +all$", shown, re.MULTILINE)
    assert re.search(r"^limits +none$", shown, re.MULTILINE)
