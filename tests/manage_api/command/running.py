"""`thinkback` as a user runs it."""

import contextlib
import os
import subprocess
import sys
from pathlib import Path
from unittest import mock

from click.testing import CliRunner

from manage_api.command.cli import main
from tests.support.gateway import free_port

__all__ = ("THINKBACK", "Command")

THINKBACK = Path(sys.executable).with_name("thinkback")
INSIDE = (
    "backup",
    "check",
    "export",
    "import",
    "key",
    "restore",
    "rotate-secret",
    "status",
    "user",
)
"""Verbs that neither start nor end a process nor become another: an interpreter for each of them
would take half of the time.
"""


class Command:
    """Runs the console script in a directory, with nothing of the tests' own environment
    but the path.
    """

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.listen_addr = f"127.0.0.1:{free_port()}"
        self.environ = {
            "PATH": os.environ["PATH"],
            "LANG": "C.UTF-8",
            "LISTEN_ADDR": self.listen_addr,
            "ADMIN_LISTEN_ADDR": f"127.0.0.1:{free_port()}",
            "MODELS_REFRESH_SECONDS": "0",
        }

    def __call__(
        self, *arguments: str, typed: str = "", **environ: str
    ) -> subprocess.CompletedProcess[str]:
        """Run it to its end, in this process if it may be."""
        if arguments[0] not in INSIDE:
            return self.outside(*arguments, **environ)
        with (
            contextlib.chdir(self.directory),
            mock.patch.dict(os.environ, self.environ | environ, clear=True),
        ):
            done = CliRunner().invoke(main, arguments, input=typed, catch_exceptions=False)
        return subprocess.CompletedProcess(arguments, done.exit_code, done.stdout, done.stderr)

    def outside(self, *arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
        """Run it in a process of its own."""
        return subprocess.run(
            [THINKBACK, *arguments],
            cwd=self.directory,
            env=self.environ | environ,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
