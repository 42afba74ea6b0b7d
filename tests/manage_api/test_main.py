"""`python -m manage_api`, the sidecar as a process."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.manage_api.command.running import Command


@pytest.fixture
def command(tmp_path: Path) -> Command:
    return Command(tmp_path)


def test_a_broken_configuration_is_exit_code_2(command: Command) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "manage_api"],
        cwd=command.directory,
        env=command.environ | {"ADMIN_LISTEN_ADDR": "nowhere"},
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 2
    assert "ADMIN_LISTEN_ADDR" in done.stderr
    assert "Traceback" not in done.stderr
    line = r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d sidecar: error: Can't use the configuration: "
    assert re.match(line, done.stderr)
