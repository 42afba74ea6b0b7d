"""What is installed, and what the sources do that a scanner would stop at (F19)."""

import re
import subprocess
import sys
import sysconfig
import tomllib
from collections.abc import Iterable
from pathlib import Path

from tests.harden.figure import Figure

__all__ = ("figures",)

ROOT = Path(__file__).parents[2]
RUFF = Path(sys.executable).with_name("ruff")
KNOWN_PTH = re.compile(
    r"(_virtualenv|distutils-precedence|a1_coverage|coverage|_?thinkback|_editable_impl_thinkback)\.pth"
)
"""Files by which the environment's own tools run code at Python's start."""


def figures() -> Iterable[Figure]:
    yield _findings()
    yield _hashes()
    yield _startup_files()


def _findings() -> Figure:
    """ruff's S rules are bandit's. Those left out are of low severity there (asserts, programs
    that are started, random numbers); each other exception stands in the sources.
    """
    rules = ["--select", "S", "--ignore", "S101,S311,S603", "--output-format", "concise"]
    done = subprocess.run(
        [RUFF, "check", *rules, "addon", "manage_api", "shared", "tools"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    count = len(done.stdout.splitlines()) if done.returncode else 0
    scale = "bandit's rules of medium severity and up over the sources"
    return Figure("F19", scale, f"{count} findings", "0", not count)


def _hashes() -> Figure:
    packages = tomllib.loads((ROOT / "uv.lock").read_text("utf-8"))["package"]
    files = [
        file
        for package in packages
        if "registry" in package["source"]
        for file in [*package.get("wheels", []), *filter(None, [package.get("sdist")])]
    ]
    bare = sum(not file.get("hash", "").startswith("sha256:") for file in files)
    strange = sum(
        package["source"].keys() - {"registry", "editable"} != set() for package in packages
    )
    scale = f"{len(packages)} locked packages, {len(files)} files"
    measured = f"{bare} without a hash, {strange} of another source"
    return Figure("F19", scale, measured, "0", not bare + strange)


def _startup_files() -> Figure:
    """A `.pth` file runs code in every program of the environment."""
    folder = Path(sysconfig.get_path("purelib"))
    running = [
        path.name
        for path in folder.glob("*.pth")
        if not KNOWN_PTH.fullmatch(path.name) and re.search(r"(?m)^import[ \t]", path.read_text())
    ]
    names = ", ".join(running) or "none"
    return Figure("F19", "files that run code at Python's start", names, "none", not running)
