"""F21: the tests take every branch of what admits, counts, remembers, reads and serves."""

import json
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from tests.harden.figure import Figure

__all__ = ("figures",)

ROOT = Path(__file__).parents[2]
ROOMS = ("admission", "ledger", "recall", "formats", "edge")
TESTS = ("tests/addon", "tests/properties")
LEAST_PERCENT = 95


def figures() -> Iterable[Figure]:
    with TemporaryDirectory() as folder:
        report = Path(folder, "report.json")
        data = f"--data-file={folder}/data"
        run = ["run", "--branch", "--source=addon", data, "-m", "pytest", "-q", *TESTS]
        failed = _coverage(*run) != 0
        _coverage("json", data, "-q", "-o", str(report))
        files = json.loads(report.read_text("utf-8"))["files"]
    for room in ROOMS:
        yield _figure(room, files, failed=failed)


def _coverage(*arguments: str) -> int:
    """Its exit status."""
    command = [sys.executable, "-m", "coverage", *arguments]
    return subprocess.run(command, cwd=ROOT, stdout=sys.stderr, check=False).returncode


def _figure(room: str, files: dict[str, Any], *, failed: bool) -> Figure:
    """What was taken of all files of the room, and the three with most that was not."""
    found = {
        path: file["summary"]
        for path, file in files.items()
        if path.startswith(f"addon/{room}/") and file["summary"]["num_branches"]
    }
    missing = {path: each["missing_branches"] for path, each in found.items()}
    branches = sum(each["num_branches"] for each in found.values())
    percent = 100 * (1 - sum(missing.values()) / branches)
    most = sorted((path for path in missing if missing[path]), key=lambda path: -missing[path])[:3]
    said = ", ".join(f"{Path(path).name} {missing[path]}" for path in most) or "none"
    measured = f"{percent:.1f} % (not taken: {said})"
    if failed:
        measured += "; tests failed"
    scale = f"{branches:,} branches of addon/{room}, by its unit and property tests"
    ok = percent >= LEAST_PERCENT and not failed
    return Figure("F21", scale, measured, f"≥ {LEAST_PERCENT} %", ok)
