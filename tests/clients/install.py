"""Coding agents from the npm registry and PyPI, at the versions of package-lock.json and uv.lock,
for the tests to drive.

`python -m tests.clients.install` installs them or says what could not be had.
"""

import fcntl
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

__all__ = ("AIDER", "PLACE", "Unavailable", "install", "install_aider")

HERE = Path(__file__).parent
ROOT = HERE.parent.parent
PLACE = ROOT / ".clients"
AIDER = PLACE / "aider"
SECONDS = 180
"""Those from npm fill 1.7 GB: 25 s on a good line."""


class Unavailable(Exception):
    """Says why the clients can't be had here."""


def install() -> Path:
    """The folder of npm's packages; nothing is done when it is whole already.
    Raises Unavailable.

    Processes that call this at once wait for the first of them.
    """
    if not shutil.which("node") or not shutil.which("npm"):
        raise Unavailable("node and npm are not installed")
    _unless_done("installed", HERE / "package-lock.json", _fetch)
    return PLACE / "node_modules"


def install_aider() -> Path:
    """The folder of aider's environment, as for `install`. Raises Unavailable where no Python is
    old enough, too.
    """
    _unless_done("aider.installed", HERE / "uv.lock", _fetch_aider)
    return AIDER


def _unless_done(name: str, lock_file: Path, fetch: Callable[[], None]) -> None:
    """Fetch, unless a file of that name says that all of the lock file is here."""
    PLACE.mkdir(exist_ok=True)
    with (PLACE / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        wanted, done = lock_file.read_bytes(), PLACE / name
        if not done.exists() or done.read_bytes() != wanted:
            done.unlink(missing_ok=True)
            fetch()
            done.write_bytes(wanted)


def _fetch() -> None:
    for name in ("package.json", "package-lock.json"):
        shutil.copy(HERE / name, PLACE)
    # Their programs come in packages of their own: nobody's install script has to run. `npm ci`
    # would refuse a lock file that lacks packages for machines of other kinds.
    quiet = ["--no-audit", "--no-fund", "--loglevel=error"]
    _get("npm", ["install", "--no-save", "--ignore-scripts", *quiet])


def _fetch_aider() -> None:
    uv = shutil.which("uv") or str(ROOT / ".uv/bin/uv")  # which the Makefile installs
    if not shutil.which(uv):
        raise Unavailable("uv is not installed")
    # The repository's own .python-version names one that is too new for it.
    command = ["sync", "--quiet", "--frozen", "--project", str(HERE), "--python", ">=3.10,<3.13"]
    environment = {"UV_PROJECT_ENVIRONMENT": str(AIDER), "UV_PYTHON_DOWNLOADS": "never"}
    _get(uv, command, environment)


def _get(program: str, arguments: Sequence[str], environment: Mapping[str, str] = {}) -> None:
    name = Path(program).name
    try:
        subprocess.run(
            [program, *arguments],
            cwd=PLACE,
            env={**os.environ, **environment},
            check=True,
            capture_output=True,
            text=True,
            timeout=SECONDS,
        )
    except subprocess.TimeoutExpired as error:
        raise Unavailable(f"{name} did not get them within {SECONDS} s") from error
    except subprocess.CalledProcessError as error:
        raise Unavailable(f"{name} could not get them: {error.stderr.strip()[-500:]}") from error


if __name__ == "__main__":
    try:
        sys.stdout.write(f"{install()}\n{install_aider()}\n")
    except Unavailable as reason:
        sys.exit(f"The coding agents are not installed: {reason}.")
