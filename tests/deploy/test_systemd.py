"""The units are what systemd takes, as it says itself."""

import shutil
import subprocess
from pathlib import Path

import pytest

from tests.support.gateway import THINKBACK

DEPLOY = Path(__file__).parents[2] / "deploy"
UNITS = ("thinkback.service", "thinkback.socket")


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="systemd is not installed")
def test_systemd_finds_no_fault_in_the_units(tmp_path: Path) -> None:
    for name in UNITS:
        text = (DEPLOY / name).read_text()
        (tmp_path / name).write_text(
            text.replace("/opt/thinkback/.venv/bin/thinkback", str(THINKBACK))
        )

    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", *(tmp_path / name for name in UNITS)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    told = [line for line in done.stderr.splitlines() if "thinkback." in line]
    assert (done.returncode, told) == (0, [])
