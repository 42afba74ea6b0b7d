"""Coding agents from the npm registry, at the versions of package-lock.json, for the tests
to drive.

`python -m tests.clients.install` installs them or says what could not be had.
"""

import fcntl
import shutil
import subprocess
import sys
from pathlib import Path

__all__ = ("PLACE", "Unavailable", "install")

HERE = Path(__file__).parent
PLACE = HERE.parent.parent / ".clients"
SECONDS = 120
"""They are 330 MB to download: 10 s on a good line."""


class Unavailable(Exception):
    """Says why the clients can't be had here."""


def install() -> Path:
    """The folder of the installed packages; nothing is done when it is whole already.
    Raises Unavailable.

    Processes that call this at once wait for the first of them.
    """
    if not shutil.which("node") or not shutil.which("npm"):
        raise Unavailable("node and npm are not installed")
    PLACE.mkdir(exist_ok=True)
    with (PLACE / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        wanted, done = (HERE / "package-lock.json").read_bytes(), PLACE / "installed"
        if not done.exists() or done.read_bytes() != wanted:
            done.unlink(missing_ok=True)
            _fetch()
            done.write_bytes(wanted)
    return PLACE / "node_modules"


def _fetch() -> None:
    for name in ("package.json", "package-lock.json"):
        shutil.copy(HERE / name, PLACE)
    # Their programs come in packages of their own: nobody's install script has to run.
    command = ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"]
    try:
        subprocess.run(
            command, cwd=PLACE, check=True, capture_output=True, text=True, timeout=SECONDS
        )
    except subprocess.TimeoutExpired as error:
        raise Unavailable(f"npm did not get them within {SECONDS} s") from error
    except subprocess.CalledProcessError as error:
        raise Unavailable(f"npm could not get them: {error.stderr.strip()[-500:]}") from error


if __name__ == "__main__":
    try:
        sys.stdout.write(f"{install()}\n")
    except Unavailable as reason:
        sys.exit(f"The coding agents are not installed: {reason}.")
