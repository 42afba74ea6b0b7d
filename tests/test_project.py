"""The project from outside: the Makefile's verbs, what they install and when, and what CI runs."""

import os
import re
import shutil
import subprocess
import sys
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

from shared.config.azure import AZURE_ENVIRONMENT
from shared.config.draft import ENVIRONMENT, UPSTREAM_ENVIRONMENT
from shared.config.passed import SECRETS
from tests.conftest import LONGEST_FIRST

ROOT = Path(__file__).parents[1]
VERBS = {
    "help",
    "install",
    "run",
    "tunnel",
    "web",
    "start",
    "stop",
    "restart",
    "status",
    "log",
    "test",
    "test-fast",
    "fmt",
    "harden",
    "lint",
    "check",
}
VERBS |= {
    "coverage",
    "doctor",
    "harden-long",
    "cluster",
    "bench",
    "bench-full",
    "release",
    "screenshots",
    "structure",
    "vendor",
}

FAKE_UV = """#!/bin/sh
case "$1 $2" in
    "--version "*) echo uv ;;
    "python find") [ -n "$3$PINNED" ] && echo "/usr/bin/python-for-${3:-pin}" ;;
    "sync "*)
        echo "$*" >> synced
        mkdir -p .venv/bin
        for program in thinkback pytest ruff; do
            printf '#!/bin/sh\\necho %s "$@"\\n' $program > .venv/bin/$program
            chmod +x .venv/bin/$program
        done ;;
esac
"""


class Checkout:
    """A directory with the real Makefile and a `uv` on PATH that installs stand-ins and
    notes what it was asked.
    """

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self._path = directory / "path"
        self._path.mkdir()
        (self._path / "uv").write_text(FAKE_UV)
        (self._path / "uv").chmod(0o755)
        for name in ("Makefile", "pyproject.toml", "uv.lock"):
            shutil.copy(ROOT / name, directory)
            self.age(name, 0)

    def make(self, *words: str, pinned: str = "3.13") -> str:
        """What `make` printed."""
        environ = {"PATH": f"{self._path}:/usr/bin:/bin", "PINNED": pinned}
        done = subprocess.run(
            ["make", *words],
            cwd=self.directory,
            env=environ,
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def synced(self) -> list[str]:
        """The calls of `uv sync`, of which there is one for each installation."""
        notes = self.directory / "synced"
        return notes.read_text().splitlines() if notes.exists() else []

    def age(self, name: str, seconds: int) -> None:
        """Set when a file was changed: so long after the epoch."""
        os.utime(self.directory / name, (seconds, seconds))


@pytest.fixture
def checkout(tmp_path: Path) -> Checkout:
    return Checkout(tmp_path)


def test_every_verb_is_explained(checkout: Checkout) -> None:
    explained = re.findall(r"^  make ([\w-]+) +\S+", checkout.make("help"), flags=re.MULTILINE)

    assert set(explained) == VERBS


def test_make_alone_is_help(checkout: Checkout) -> None:
    assert checkout.make() == checkout.make("help")


def test_run_installs_what_the_gateway_needs_and_starts_it(checkout: Checkout) -> None:
    started = checkout.make("run")

    assert started == "thinkback up\n"
    assert ["--frozen" in call and "--no-dev" in call for call in checkout.synced()] == [True]


def test_nothing_is_installed_twice(checkout: Checkout) -> None:
    for verb in ("run", "run", "test", "run", "test"):
        checkout.make(verb)

    assert ["--no-dev" in call for call in checkout.synced()] == [True, False]


def test_the_fuzzer_is_installed_where_it_is_used(checkout: Checkout) -> None:
    checkout.make("--ignore-errors", "harden")
    checkout.make("test")

    assert ["--group fuzz" in call for call in checkout.synced()] == [True]


def test_tools_for_tests_stay_installed_when_the_gateway_is_run(checkout: Checkout) -> None:
    checkout.make("test")
    checkout.make("run")

    assert len(checkout.synced()) == 1
    assert all("--inexact" in call for call in checkout.synced())


@pytest.mark.parametrize("changed", ["uv.lock", "pyproject.toml"])
def test_a_changed_lock_is_installed(checkout: Checkout, changed: str) -> None:
    checkout.make("run")
    checkout.age(changed, 4_000_000_000)
    checkout.make("run")

    assert len(checkout.synced()) == 2


@pytest.mark.parametrize(
    ("pinned", "python"), [("3.13", "pin"), ("", ">=3.12,<3.15")], ids=["pinned", "another"]
)
def test_where_the_pinned_python_is_missing_another_will_do(
    checkout: Checkout, pinned: str, python: str
) -> None:
    checkout.make("install", pinned=pinned)

    assert checkout.synced()[0].split("--python ")[1] == f"/usr/bin/python-for-{python} --no-dev"


@pytest.mark.parametrize(
    ("verb", "command"),
    [
        ("web", "up --web"),
        ("start", "start"),
        ("stop", "stop"),
        ("status", "status"),
        ("log", "log -f"),
    ],
)
def test_a_verb_is_a_thin_name_for_the_command(checkout: Checkout, verb: str, command: str) -> None:
    assert checkout.make(verb) == f"thinkback {command}\n"


def test_all_tests_run_on_all_cores_and_one_file_in_one_process(checkout: Checkout) -> None:
    path = "tests/shared/test_pricing.py::test_nothing"

    assert checkout.make("test").startswith("pytest --numprocesses logical ")
    assert checkout.make("test", f"FILE={path}") == f"pytest {path}\n"


def test_what_begins_first_is_there() -> None:
    assert [path for path in LONGEST_FIRST if not (ROOT / path).exists()] == []


def test_the_fast_tests_are_those_of_the_sources(checkout: Checkout) -> None:
    paths = re.findall(r"tests/\S+", checkout.make("test-fast"))

    assert {f"tests/{package}" for package in ("addon", "manage_api", "shared")} < set(paths)
    assert [path for path in paths if not (ROOT / path).exists()] == []


def test_formatting_mends_first_and_formats_what_was_mended(checkout: Checkout) -> None:
    assert re.findall("^ruff .*", checkout.make("fmt"), flags=re.MULTILINE) == [
        "ruff check --fix-only",
        "ruff format",
    ]


def test_ci_runs_what_the_readme_tells_people_to_run() -> None:
    script = (ROOT / ".ci/run").read_text()

    assert os.access(ROOT / ".ci/run", os.X_OK)
    verbs = re.findall(r"^make (\w+)", script, flags=re.MULTILINE)
    assert verbs == ["lint", "structure", "test"]
    assert "make test" in (ROOT / "README.md").read_text()


def verbs_in(*pages: Path) -> set[str]:
    """The verbs that the pages tell people to use."""
    text = "\n".join(page.read_text() for page in pages)
    return set(re.findall(r"(?:^|`)make ([a-z-]+)", text, flags=re.MULTILINE))


def test_the_documentation_names_verbs_that_there_are() -> None:
    assert verbs_in(ROOT / "README.md", *(ROOT / "docs").glob("*.md")) <= VERBS


def test_the_guide_for_contributors_names_every_verb() -> None:
    assert verbs_in(ROOT / "CONTRIBUTING.md") == VERBS - {"help"}


def test_no_variable_of_the_makefile_is_one_that_the_gateway_reads() -> None:
    """make hands its own value on to the gateway in place of the environment's."""
    makefile = (ROOT / "Makefile").read_text("utf-8")
    variables = set(re.findall(r"^(?:export )?(\w+) *:?=", makefile, re.MULTILINE))
    assert "UNITS" in variables
    assert not variables & {*ENVIRONMENT, *UPSTREAM_ENVIRONMENT, *AZURE_ENVIRONMENT, *SECRETS}


def test_no_module_of_the_addon_bears_the_name_of_another() -> None:
    names = {path.stem for path in (ROOT / "addon").iterdir()} - {"__init__", "__pycache__"}

    assert not names & sys.stdlib_module_names
    assert not names & packages_distributions().keys()
