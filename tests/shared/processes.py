"""Real processes that run a piece of code, all at the same moment."""

import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path

__all__ = ("run_together", "start")

ROOT = Path(__file__).parents[2]


def start(code: str, *args: object) -> subprocess.Popen[str]:
    """A Python process running the code from the project's root, with text pipes."""
    command = [sys.executable, "-c", code, *map(str, args)]
    pipe = subprocess.PIPE
    return subprocess.Popen(command, cwd=ROOT, stdin=pipe, stdout=pipe, stderr=pipe, text=True)


def run_together(count: int, code: str, *args: object) -> list[str]:
    """What `count` processes print; the code calls `begin()` to wait until all of them run."""
    gate = "def begin():\n    print('ready', flush=True); input()\n"
    with ExitStack() as stack:
        processes = [stack.enter_context(start(gate + code, *args)) for _ in range(count)]
        for process in processes:
            stack.callback(process.kill)
        for process in processes:
            assert process.stdout.readline() == "ready\n", process.communicate()[1]
        for process in processes:
            process.stdin.write("\n")
            process.stdin.flush()
        outputs = [process.communicate(timeout=60) for process in processes]
        assert [process.returncode for process in processes] == [0] * count, outputs
    return [out for out, _ in outputs]
