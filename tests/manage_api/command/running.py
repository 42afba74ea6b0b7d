"""`thinkback` as a user runs it."""

import os
import subprocess
import sys
from pathlib import Path

from tests.support.gateway import free_port

__all__ = ("THINKBACK", "Command")

THINKBACK = Path(sys.executable).with_name("thinkback")


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

    def __call__(self, *arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
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
