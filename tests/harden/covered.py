"""F21: the tests take every branch of what admits, counts, remembers, reads and serves."""

import json
import os
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
TESTS = ("tests/addon", "tests/harden/test_torture.py", "tests/e2e/test_restarts.py")
"""What fails inside is there in a torture only; sockets that are handed over and left, in a real
gateway only. A branch that nothing but generated input takes has no test that says what for.
"""

LEAST_PERCENT = 95

# Bodies are taken in by greenlets, the database is written by threads, and a gateway's programs
# are processes that end by themselves, or by what their supervisor does to them.
SETTINGS = """\
[run]
branch = true
concurrency = greenlet, thread
data_file = {folder}/data
parallel = true
patch = subprocess, _exit
source_dirs = {root}/addon
"""


def figures() -> Iterable[Figure]:
    with TemporaryDirectory() as folder:
        report, settings = Path(folder, "report.json"), Path(folder, "settings")
        settings.write_text(SETTINGS.format(folder=folder, root=ROOT), "utf-8")
        at = f"--rcfile={settings}"
        workers = f"--numprocesses={os.cpu_count()}"
        failed = _coverage("run", at, "-m", "pytest", "-q", workers, *TESTS) != 0
        _coverage("combine", at, "-q")
        _coverage("json", at, "-q", "-o", str(report))
        files = json.loads(report.read_text("utf-8"))["files"]
    for room in ROOMS:
        yield _figure(room, files, failed=failed)


def _coverage(*arguments: str) -> int:
    """Its exit status."""
    command = [sys.executable, "-m", "coverage", *arguments]
    return subprocess.run(command, cwd=ROOT, stdout=sys.stderr, check=False).returncode


def _figure(room: str, files: dict[str, Any], *, failed: bool) -> Figure:
    """What was taken of all files of the room, and the three with most that was not."""
    found = {path: file for path, file in files.items() if path.startswith(f"addon/{room}/")}
    missing = {path: file["missing_branches"] for path, file in found.items()}
    for path, jumps in missing.items():
        for start, end in jumps:
            sys.stderr.write(f"not taken: {path}:{start} to {max(0, end) or 'the end'}\n")
    branches = sum(file["summary"]["num_branches"] for file in found.values())
    percent = 100 * (1 - sum(map(len, missing.values())) / branches)
    most = sorted(filter(missing.get, missing), key=lambda path: -len(missing[path]))[:3]
    said = ", ".join(f"{Path(path).name} {len(missing[path])}" for path in most) or "none"
    measured = f"{percent:.1f} % (not taken: {said})"
    if failed:
        measured += "; tests failed"
    scale = f"{branches:,} branches of addon/{room}, by unit tests, torture and restarts"
    ok = percent >= LEAST_PERCENT and not failed
    return Figure("F21", scale, measured, f"≥ {LEAST_PERCENT} %", ok)
