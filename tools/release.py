"""Make a release: bump the version, date the changelog, commit and tag.

`make release VERSION=1.2.3` changes nothing unless everything is in order. The version comes
from pyproject.toml: programs and pages read it from the installed package. The lock file and
the README's transcript repeat it, and are changed along with it.
"""

import argparse
import re
import subprocess
import sys
from datetime import UTC, date, datetime
from pathlib import Path

__all__ = ("ReleaseError", "current_version", "release", "unreleased_notes")

ROOT = Path(__file__).parents[1]
CHANGELOG = "CHANGELOG.md"

_PACKAGE = re.compile(r'(?<=^name = "thinkback"\nversion = ")[^"]*(?="$)', re.MULTILINE)
_TRANSCRIPT = re.compile(r"(?<=^Thinkback )\S*(?= is running\.$)", re.MULTILINE)
VERSIONS = {"pyproject.toml": _PACKAGE, "uv.lock": _PACKAGE, "README.md": _TRANSCRIPT}
"""Where the version is written; the first file is the source, the others repeat it."""

_VERSION = re.compile(r"(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)")
_HEADING = "## Unreleased\n"
_UNRELEASED = re.compile(rf"^{_HEADING}(.*?)(?=^## |\Z)", re.MULTILINE | re.DOTALL)
_RELEASED = re.compile(r"^## (?!Unreleased$)(\S+)", re.MULTILINE)


class ReleaseError(Exception):
    """Why no release is made, as a sentence."""


def current_version(root: Path) -> str:
    """Return the version that all of `VERSIONS` agree on. Raises ReleaseError."""
    written = {
        name: ", ".join(pattern.findall((root / name).read_text("utf-8"))) or "none"
        for name, pattern in VERSIONS.items()
    }
    if len(set(written.values())) > 1:
        places = "; ".join(f"{name} has {version}" for name, version in written.items())
        raise ReleaseError(f"The version must be the same everywhere: {places}.")
    return written["pyproject.toml"]


def unreleased_notes(changelog: str) -> str:
    """Return what the changelog says under Unreleased. Raises ReleaseError when it is nothing."""
    sections: list[str] = _UNRELEASED.findall(changelog)
    if len(sections) != 1:
        raise ReleaseError(f"{CHANGELOG} must have one section '## Unreleased'.")
    if not re.search(r"^- ", sections[0], re.MULTILINE):
        raise ReleaseError(f"The section Unreleased of {CHANGELOG} is empty: nothing to release.")
    return sections[0].strip("\n")


def release(root: Path, version: str, today: date) -> None:
    """Commit and tag the version in the repository at `root`. Raises ReleaseError."""
    _refuse_dirty(root)
    _refuse_lower(version, current_version(root))
    changelog = (root / CHANGELOG).read_text("utf-8")
    notes = unreleased_notes(changelog)
    _refuse_released(root, version, changelog)
    _commit(root, version, _changed_files(root, version, today))
    message = f"Thinkback {version}\n\n{notes}\n"
    # Without cleaning: the notes' headings begin with the mark of git's comments.
    _git(root, "tag", "--annotate", "--cleanup=verbatim", f"--message={message}", f"v{version}")


def _refuse_dirty(root: Path) -> None:
    if changes := _git(root, "status", "--porcelain"):
        raise ReleaseError(f"Commit or stash your changes first:\n{changes}")


def _refuse_lower(version: str, current: str) -> None:
    if not _VERSION.fullmatch(version):
        raise ReleaseError(f"'{version}' is not a version like 1.2.3.")
    if not _VERSION.fullmatch(current):
        raise ReleaseError(f"The present version '{current}' is not one like 1.2.3.")
    if _numbers(version) <= _numbers(current):
        raise ReleaseError(f"{version} is not higher than the present version {current}.")


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(map(int, version.split(".")))


def _refuse_released(root: Path, version: str, changelog: str) -> None:
    if version in _RELEASED.findall(changelog):
        raise ReleaseError(f"{CHANGELOG} already has a section for {version}.")
    if _git(root, "tag", "--list", f"v{version}"):
        raise ReleaseError(f"There is already a tag v{version}.")


def _changed_files(root: Path, version: str, today: date) -> dict[str, str]:
    """Return the files of the release, name -> text."""
    texts = {name: (root / name).read_text("utf-8") for name in (*VERSIONS, CHANGELOG)}
    changed = {name: pattern.sub(version, texts[name]) for name, pattern in VERSIONS.items()}
    dated = f"{_HEADING}\n## {version} - {today.isoformat()}\n"
    return changed | {CHANGELOG: texts[CHANGELOG].replace(_HEADING, dated, 1)}


def _commit(root: Path, version: str, files: dict[str, str]) -> None:
    """Commit the files, or leave them as they were."""
    try:
        for name, text in files.items():
            (root / name).write_text(text, "utf-8")
        _git(root, "commit", "--quiet", f"--message=Release {version}", "--", *files)
    except (OSError, ReleaseError):
        _git(root, "checkout", "--quiet", "--", *files)
        raise


def _git(root: Path, *arguments: str) -> str:
    done = subprocess.run(
        ["git", *arguments], cwd=root, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise ReleaseError(f"git {arguments[0]} failed: {done.stderr.strip()}")
    return done.stdout.rstrip()


def main() -> None:
    """Make the release that the command line names."""
    parser = argparse.ArgumentParser(prog="make release", usage="make release VERSION=1.2.3")
    parser.add_argument("version")
    version = parser.parse_args().version
    try:
        release(ROOT, version, datetime.now(UTC).date())
    except ReleaseError as error:
        sys.exit(str(error))
    print(f"Released {version}. Publish it with: git push --follow-tags")


if __name__ == "__main__":
    main()
