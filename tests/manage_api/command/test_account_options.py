"""An account and a key get their limits, their end and their password on the command line."""

import fcntl
import os
import re
import subprocess
import termios
from contextlib import closing, suppress
from pathlib import Path

import pytest

from shared.model import Limits
from shared.security.passwords import check_password
from shared.store import open_engine
from shared.store.accounts import find_user_by_name
from shared.store.virtual_keys import list_keys
from tests.manage_api.command.running import THINKBACK, Command

LIMITS = ("--quota", "5000", "--period", "month", "--models", "gpt-*, o5", "--expires")
END = 4_102_444_800_000
"""The first moment of 2100."""


@pytest.fixture
def thinkback(tmp_path: Path) -> Command:
    return Command(tmp_path)


def hash_of(thinkback: Command, name: str) -> str | None:
    with closing(open_engine(f"sqlite:{thinkback.directory}/data/adapter.db")) as engine:
        row = find_user_by_name(engine, name)
    assert row
    return row[1]


def test_an_account_and_a_key_are_limited_from_the_start(
    thinkback: Command, tmp_path: Path
) -> None:
    thinkback("user", "add", "ada", *LIMITS, "2100-01-01")
    thinkback("key", "new", "admin", *LIMITS, "2100-01-01")

    with closing(open_engine(f"sqlite:{tmp_path}/data/adapter.db")) as engine:
        row = find_user_by_name(engine, "ada")
        assert row
        user = row[0]
        [first] = list_keys(engine, user_id=user.id)
        new = list_keys(engine, user_id=1)[-1]
    limits = Limits(quota_tokens=5000, period="month")
    assert (user.limits, user.models, first.expires_at) == (limits, ("gpt-*", "o5"), END)
    assert (new.limits, new.models, new.expires_at) == (limits, ("gpt-*", "o5"), END)


@pytest.mark.parametrize(
    ("option", "value", "why"),
    [
        ("--quota", "-1", "-1 is not in the range"),
        ("--expires", "2020-01-01", "a day to come"),
        ("--expires", "soon", "'soon' does not match"),
        ("--models", "m" * 257, "at most 256 models"),
    ],
)
def test_what_makes_no_sense_is_refused_in_words(
    thinkback: Command, option: str, value: str, why: str
) -> None:
    done = thinkback("user", "add", "ada", option, value)

    assert done.returncode == 2
    assert why in done.stderr
    assert not list(thinkback.directory.iterdir())


def test_a_password_is_read_from_standard_input(thinkback: Command) -> None:
    done = thinkback("user", "passwd", "admin", "--password", "-", typed="a long password\n")

    assert done.returncode == 0, done.stderr
    assert "a long password" not in done.stdout
    assert check_password("a long password", hash_of(thinkback, "admin"))


class Terminal:
    """A command that has a terminal of its own."""

    def __init__(self, thinkback: Command, *arguments: str) -> None:
        self._ours, theirs = os.openpty()

        def take_terminal() -> None:
            os.setsid()
            fcntl.ioctl(theirs, termios.TIOCSCTTY, 0)

        self.process = subprocess.Popen(
            [THINKBACK, *arguments],
            cwd=thinkback.directory,
            env=thinkback.environ,
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            preexec_fn=take_terminal,
        )
        os.close(theirs)
        self.shown = ""

    def answer(self, prompt: str, text: str) -> None:
        """Type a line at the next prompt."""
        asked = ""
        while not asked.endswith(prompt):
            asked += os.read(self._ours, 4096).decode()
        self.shown += asked
        os.write(self._ours, f"{text}\n".encode())

    def end(self) -> str:
        """All that it has shown, once it has ended."""
        with suppress(OSError):  # how Linux says that nobody has the other side any more
            while rest := os.read(self._ours, 4096):
                self.shown += rest.decode()
        os.close(self._ours)
        assert self.process.wait() == 0
        return self.shown


def test_on_a_terminal_a_password_is_asked_for_until_it_is_good(thinkback: Command) -> None:
    terminal = Terminal(thinkback, "user", "add", "ada")
    for first, again in (("short", None), ("a long password", "another"), ("a good one", None)):
        terminal.answer("a random one): ", first)
        if again:
            terminal.answer("again: ", again)
    terminal.answer("again: ", "a good one")
    shown = terminal.end()

    assert "Use at least" in shown
    assert "The two are not the same." in shown
    assert "a good one" not in shown
    assert check_password("a good one", hash_of(thinkback, "ada"))


def test_on_a_terminal_nothing_typed_is_a_random_one(thinkback: Command) -> None:
    terminal = Terminal(thinkback, "user", "passwd", "admin")
    terminal.answer("a random one): ", "")

    [password] = re.findall(r"^password +(\S+)", terminal.end(), re.MULTILINE)
    assert check_password(password, hash_of(thinkback, "admin"))
