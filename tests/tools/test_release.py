"""`make release`, on a repository that is thrown away: what it writes, and when it refuses."""

import subprocess
from collections.abc import Callable
from datetime import date
from pathlib import Path

import pytest

from tools.release import ROOT, ReleaseError, current_version, release, unreleased_notes

TODAY = date(2026, 12, 1)
PYPROJECT = """[project]
name = "thinkback"
version = "0.9.0"
dependencies = ["other>=0.9.0"]
"""
LOCK = """[[package]]
name = "other"
version = "0.9.0"

[[package]]
name = "thinkback"
version = "0.9.0"
source = { editable = "." }
"""
README = """```console
$ make run
Thinkback 0.9.0 is running.
```
"""
CHANGELOG = """# Changelog

## Unreleased

### Added
- A thing that 0.9.0 had not.

## 0.9.0 - 2026-11-01

### Added
- The beginning.
"""


class Repository:
    """A repository with the files that state the version, committed."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.git("init", "--quiet", "--initial-branch=main")
        self.git("config", "user.name", "Grace")
        self.git("config", "user.email", "grace@example.org")
        self.write("pyproject.toml", PYPROJECT)
        self.write("uv.lock", LOCK)
        self.write("README.md", README)
        self.write("CHANGELOG.md", CHANGELOG)
        self.commit()

    def git(self, *arguments: str) -> str:
        return subprocess.run(
            ["git", *arguments], cwd=self.root, capture_output=True, text=True, check=True
        ).stdout.strip()

    def read(self, name: str) -> str:
        return (self.root / name).read_text()

    def write(self, name: str, text: str) -> None:
        (self.root / name).write_text(text)

    def commit(self) -> None:
        self.git("add", "--all")
        self.git("commit", "--quiet", "--allow-empty", "--message=Change something")

    def state(self) -> tuple[str, str, str]:
        """What a refused release leaves alone: the last commit, the tags, the work tree."""
        return self.git("rev-parse", "HEAD"), self.git("tag"), self.git("status", "--porcelain")


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    return Repository(tmp_path)


def test_a_release_bumps_every_place_that_states_the_version(repository: Repository) -> None:
    release(repository.root, "0.10.0", TODAY)

    assert current_version(repository.root) == "0.10.0"
    assert 'dependencies = ["other>=0.9.0"]' in repository.read("pyproject.toml")
    assert 'name = "other"\nversion = "0.9.0"' in repository.read("uv.lock")
    assert "Thinkback 0.10.0 is running." in repository.read("README.md")


def test_a_release_dates_what_was_unreleased(repository: Repository) -> None:
    release(repository.root, "1.0.0", TODAY)

    dated = CHANGELOG.replace("## Unreleased\n", "## Unreleased\n\n## 1.0.0 - 2026-12-01\n")
    assert repository.read("CHANGELOG.md") == dated


def test_a_release_is_one_commit_with_a_tag_that_tells_what_changed(
    repository: Repository,
) -> None:
    before = repository.git("rev-parse", "HEAD")

    release(repository.root, "1.0.0", TODAY)

    assert repository.git("log", "-1", "--format=%P %s") == f"{before} Release 1.0.0"
    assert repository.git("cat-file", "-t", "v1.0.0") == "tag"
    assert repository.git("rev-parse", "v1.0.0^{commit}") == repository.git("rev-parse", "HEAD")
    told = repository.git("for-each-ref", "--format=%(contents)", "refs/tags/v1.0.0")
    assert told == "Thinkback 1.0.0\n\n### Added\n- A thing that 0.9.0 had not."
    assert repository.git("status", "--porcelain") == ""


def test_a_second_release_follows_the_first(repository: Repository) -> None:
    release(repository.root, "1.0.0", TODAY)
    again = repository.read("CHANGELOG.md").replace(
        "## Unreleased\n", "## Unreleased\n\n### Fixed\n- A mistake.\n", 1
    )
    repository.write("CHANGELOG.md", again)
    repository.commit()

    release(repository.root, "1.0.1", TODAY)

    assert repository.git("tag").split() == ["v1.0.0", "v1.0.1"]
    assert unreleased_is_empty(repository)


def unreleased_is_empty(repository: Repository) -> bool:
    try:
        unreleased_notes(repository.read("CHANGELOG.md"))
    except ReleaseError:
        return True
    return False


def change_a_file(repository: Repository) -> None:
    repository.write("README.md", README + "More.\n")


def add_a_file(repository: Repository) -> None:
    repository.write("new.py", "")


def say_nothing_new(repository: Repository) -> None:
    empty = CHANGELOG.replace("- A thing that 0.9.0 had not.\n", "")
    repository.write("CHANGELOG.md", empty)
    repository.commit()


def drop_the_section(repository: Repository) -> None:
    repository.write("CHANGELOG.md", CHANGELOG.replace("Unreleased", "Next"))
    repository.commit()


def forget_the_lock(repository: Repository) -> None:
    repository.write("uv.lock", LOCK.replace("0.9.0", "0.8.0"))
    repository.commit()


def forget_the_readme(repository: Repository) -> None:
    repository.write("README.md", "Nothing is running.\n")
    repository.commit()


def tag_it(repository: Repository) -> None:
    repository.git("tag", "v1.0.0")


def describe_it(repository: Repository) -> None:
    repository.write("CHANGELOG.md", CHANGELOG.replace("## 0.9.0", "## 1.0.0"))
    repository.commit()


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (change_a_file, "Commit or stash your changes"),
        (add_a_file, "Commit or stash your changes"),
        (say_nothing_new, "is empty"),
        (drop_the_section, "must have one section '## Unreleased'"),
        (forget_the_lock, "uv.lock has 0.8.0"),
        (forget_the_readme, "README.md has none"),
        (tag_it, "already a tag v1.0.0"),
        (describe_it, "already has a section for 1.0.0"),
    ],
)
def test_nothing_is_released_unless_all_is_in_order(
    repository: Repository, spoil: Callable[[Repository], None], reason: str
) -> None:
    spoil(repository)
    before = repository.state()

    with pytest.raises(ReleaseError, match=reason):
        release(repository.root, "1.0.0", TODAY)

    assert repository.state() == before


@pytest.mark.parametrize(
    ("version", "reason"),
    [
        ("0.9.0", "not higher"),
        ("0.8.9", "not higher"),
        ("0.10", "not a version"),
        ("v1.0.0", "not a version"),
        ("1.0.0rc1", "not a version"),
        ("01.0.0", "not a version"),
    ],
)
def test_a_version_must_be_higher_than_the_last(
    repository: Repository, version: str, reason: str
) -> None:
    before = repository.state()

    with pytest.raises(ReleaseError, match=reason):
        release(repository.root, version, TODAY)

    assert repository.state() == before


def test_a_commit_that_is_refused_leaves_the_files_as_they_were(repository: Repository) -> None:
    hook = repository.root / ".git/hooks/pre-commit"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text("#!/bin/sh\necho not today >&2\nexit 1\n")
    hook.chmod(0o755)
    before = repository.state()

    with pytest.raises(ReleaseError, match="not today"):
        release(repository.root, "1.0.0", TODAY)

    assert repository.state() == before


def test_this_repository_states_one_version() -> None:
    assert current_version(ROOT)
