"""With packages of the tests' own in uvloop's place; the real one is no part of an installation."""

import subprocess
import sys
from pathlib import Path

import pytest

RUN = """
import asyncio, sys
from addon.edge.event_loop import choose
async def main():
    return type(asyncio.get_running_loop()).__name__
choose(sys.argv[1])
print("loop", asyncio.run(main()), "uvloop" in sys.modules)
"""

WORKING = """
import asyncio
__version__ = "1.2"
class Loop(asyncio.SelectorEventLoop):
    pass
new_event_loop = Loop
"""

BROKEN = f"""{WORKING}
def set_task_factory(self, factory):
    raise TypeError("no eager_start")
Loop.set_task_factory = set_task_factory
"""


def run(directory: Path, package: str, wanted: str = "") -> list[str]:
    """What is said with this package installed."""
    (directory / "uvloop.py").write_text(package)
    code = f"import sys; sys.path.insert(0, {str(directory)!r})\n{RUN}"
    done = subprocess.run(
        [sys.executable, "-c", code, wanted], capture_output=True, text=True, timeout=60, check=True
    )
    return done.stdout.splitlines()


@pytest.mark.parametrize(
    ("package", "wanted", "said"),
    [
        (WORKING, "", "loop Loop True"),
        (WORKING, "asyncio", "loop _UnixSelectorEventLoop False"),
        ("raise ImportError", "", "loop _UnixSelectorEventLoop False"),
    ],
    ids=["installed", "switched off", "not installed"],
)
def test_the_loop_is_uvloop_s_where_it_is_installed_and_not_switched_off(
    package: str, wanted: str, said: str, tmp_path: Path
) -> None:
    assert run(tmp_path, package, wanted) == [said]


def test_one_that_does_not_work_is_said_and_not_used(tmp_path: Path) -> None:
    warning, said = run(tmp_path, BROKEN)
    assert "uvloop 1.2 does not work here (no eager_start): asyncio's event loop is used" in warning
    assert said == "loop _UnixSelectorEventLoop True"
