"""A machine as a newcomer has it: nothing of ours, a home without anything, a mirror of Pythons."""

import contextlib
import hashlib
import http.server
import os
import platform
import re
import shutil
import signal
import subprocess
import sys
import tarfile
import threading
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import msgspec

from tests.support.gateway import eventually, free_port

__all__ = (
    "PythonMirror",
    "Terminal",
    "make_terminal",
    "old_python",
    "publish",
    "served_pythons",
)

ROOT = Path(__file__).parents[2]
OURS = re.compile(r"(python|pip|uv|pyenv|thinkback|cloudflared|tailscale|ngrok)[\d.]*x?")
"""Programs that a fresh machine lacks, or has in another version."""

LONGEST = 300
"""Seconds that a command may take on a busy machine."""

BUILD = "20260101"
LEFT_OUT = {"__pycache__", "test", "site-packages", "idlelib", "tkinter", "turtledemo"}


class Terminal:
    """A shell in a directory, with a home of its own, in which commands are entered."""

    def __init__(self, directory: Path, environment: dict[str, str]) -> None:
        self.directory = directory
        self.environment = environment

    def __call__(self, command: str) -> str:
        """Run a command to its end; what it printed. It may change the directory."""
        where = Path(self.environment["HOME"]) / "where"
        done = subprocess.run(
            ["/bin/sh", "-c", f'{command}\ncode=$?; pwd > "{where}"; exit $code'],
            cwd=self.directory,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=LONGEST,
            check=False,
        )
        self.directory = Path(where.read_text().strip())
        assert done.returncode == 0, f"{command}: {done.stdout}"
        return done.stdout

    @contextlib.contextmanager
    def running(self, command: str, until: str) -> Iterator[str]:
        """Have a command run in the foreground; what it printed once that has the text."""
        log = Path(self.environment["HOME"]) / "terminal.log"
        with log.open("wb") as file:
            process = subprocess.Popen(
                ["/bin/sh", "-c", command],
                cwd=self.directory,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        try:
            printed = eventually(
                lambda: until in log.read_text() or process.poll() is not None, LONGEST
            )
            assert printed, log.read_text()
            assert process.poll() is None, log.read_text()
            yield log.read_text()
        finally:
            _interrupt(process)


def _interrupt(process: subprocess.Popen[bytes]) -> None:
    """Press Ctrl-C, and again when that does not help."""
    for number in (signal.SIGINT, signal.SIGINT, signal.SIGKILL):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, number)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(20)
            return


def make_terminal(directory: Path, *, python: Path | None, uv: Path | None) -> Terminal:
    """A terminal in an empty directory, where `python3` is that one and no other Python is found.

    With `uv`, that is installed, and what this machine has fetched before is not fetched again.
    """
    programs, home, work = (directory / name for name in ("bin", "home", "work"))
    for folder in (programs, home, work):
        folder.mkdir()
    for program in (each for folder in ("/usr/bin", "/bin") for each in Path(folder).iterdir()):
        link = programs / program.name
        if not OURS.match(program.name) and not link.exists():
            link.symlink_to(program)
    environment = {"PATH": str(programs), "HOME": str(home), "LANG": "C.UTF-8"}
    environment |= {
        name: text
        for name, text in os.environ.items()
        if name.startswith(("PIP_", "SSL_", "UV_")) and not name.startswith("UV_PYTHON_")
    }
    if python:
        for name in ("python3", python.name):
            (programs / name).unlink(missing_ok=True)
            (programs / name).symlink_to(python)
    if uv:
        (programs / "uv").symlink_to(uv)
        environment.setdefault("UV_CACHE_DIR", str(Path.home() / ".cache/uv"))
    for name in ("LISTEN_ADDR", "ADMIN_LISTEN_ADDR"):
        environment[name] = f"127.0.0.1:{free_port()}"
    return Terminal(work, environment)


def publish(directory: Path) -> Path:
    """Put what would be committed of this checkout into a repository that can be cloned."""
    repository = directory / "thinkback.git"
    git = ("git", f"--git-dir={repository}", f"--work-tree={ROOT}")
    who = ("-c", "user.name=Grace", "-c", "user.email=grace@example.org")
    commit = ("commit", "--quiet", "--message=All of it")
    for words in (("init", "--quiet"), ("add", "--all"), (*who, *commit)):
        subprocess.run([*git, *words], cwd=ROOT, check=True, timeout=60, capture_output=True)
    return repository


class PythonMirror(msgspec.Struct, frozen=True):
    """What uv needs to know of a mirror of python-build-standalone."""

    url: str
    downloads: Path
    """What uv would otherwise have built in: which archives there are, and their digests."""

    asked: list[str]
    """The paths that were fetched."""

    @property
    def environment(self) -> dict[str, str]:
        return {
            "UV_PYTHON_INSTALL_MIRROR": self.url,
            "UV_PYTHON_DOWNLOADS_JSON_URL": self.downloads.as_uri(),
        }


@contextlib.contextmanager
def served_pythons(directory: Path) -> Iterator[PythonMirror]:
    """Serve the Python that runs the tests as an archive that has the shape of
    github.com/astral-sh/python-build-standalone's `install_only`.
    """
    version = platform.python_version()
    machine = platform.machine()
    name = f"cpython-{version}+{BUILD}-{machine}-unknown-linux-gnu-install_only_stripped.tar.gz"
    archive = directory / BUILD / name
    archive.parent.mkdir()
    _pack(archive)
    downloads = directory / "downloads.json"
    downloads.write_bytes(msgspec.json.encode(_downloads(archive, version, machine)))
    asked: list[str] = []

    class Files(http.server.SimpleHTTPRequestHandler):
        def log_message(self, format: str, *args: object) -> None:
            asked.append(self.path)

    files = partial(Files, directory=str(directory))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), files) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield PythonMirror(f"http://127.0.0.1:{server.server_port}", downloads, asked)
        server.shutdown()


def _pack(archive: Path) -> None:
    base = Path(sys.base_prefix)
    minor = f"python3.{sys.version_info.minor}"
    wanted = [base / "bin" / minor, base / "lib" / minor, base / "include" / minor]
    with tarfile.open(archive, "w:gz", compresslevel=1) as tar:
        for path in (*wanted, *(base / "lib").glob("libpython3*.so*")):
            if path.exists():
                tar.add(path, f"python/{path.relative_to(base)}", filter=_needed)


def _needed(member: tarfile.TarInfo) -> tarfile.TarInfo | None:
    parts = set(Path(member.name).parts)
    if parts & LEFT_OUT or member.name.endswith(".a"):
        return None
    return member


def _downloads(archive: Path, version: str, machine: str) -> dict[str, object]:
    """The list that uv reads, with the one archive; its URL's beginning is the mirror's place."""
    major, minor, patch = map(int, version.split("."))
    release = "https://github.com/astral-sh/python-build-standalone/releases/download"
    entry = {
        "name": "cpython",
        "arch": {"family": machine, "variant": None},
        "os": "linux",
        "libc": "gnu",
        "major": major,
        "minor": minor,
        "patch": patch,
        "prerelease": "",
        "url": f"{release}/{BUILD}/{archive.name.replace('+', '%2B')}",
        "sha256": hashlib.sha256(archive.read_bytes()).hexdigest(),
        "variant": None,
        "build": BUILD,
    }
    return {f"cpython-{version}-linux-{machine}-gnu": entry}


def old_python() -> Path | None:
    """A Python of the system that is too old, as Debian 12 has one, or none."""
    found = map(shutil.which, ("/usr/bin/python3.11", "/usr/bin/python3.10"))
    return next((Path(each) for each in found if each), None)
