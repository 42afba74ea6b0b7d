"""F22: parsers of what strangers and upstreams send raise nothing, whatever bytes they get."""

import re
import subprocess
import sys
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.fuzz.targets import CORPUS, TARGETS
from tests.harden.figure import Figure, at_scale

__all__ = ("figures",)

ROOT = Path(__file__).parents[2]
RUNS = at_scale(500, 20_000, 1_000_000)
MOST_SECONDS = at_scale(5, 20, 1_200)
"""For each target; slow ones make fewer runs in it."""

AT_ONCE = 2
MOST_BYTES = 2_048
HANG_SECONDS = 10


def figures() -> Iterable[Figure]:
    with ThreadPoolExecutor(AT_ONCE) as pool:
        found = dict(zip(TARGETS, pool.map(_fuzzed, TARGETS), strict=True))
    faults = [f"{name}: {fault}" for name, (_, fault) in found.items() if fault]
    runs = [count for count, _ in found.values()]
    scale = f"{len(TARGETS)} parsers, {min(runs):,} to {max(runs):,} inputs each by Atheris"
    measured = "; ".join([f"{len(faults)} exceptions or hangs", *faults])
    yield Figure("F22", scale, measured, "0", not faults and min(runs) > 0)


def _fuzzed(name: str) -> tuple[int, str]:
    """How many inputs were read, and the fault that ended it."""
    with TemporaryDirectory() as folder:
        options = [
            f"-atheris_runs={RUNS}",
            f"-max_total_time={MOST_SECONDS}",
            f"-timeout={HANG_SECONDS}",
            f"-max_len={MOST_BYTES}",
            f"-artifact_prefix={folder}/",
        ]
        done = subprocess.run(
            [sys.executable, "-m", "tests.fuzz", name, *options, folder, CORPUS / name],
            cwd=ROOT,
            capture_output=True,
            text=True,
            errors="replace",
            check=False,
        )
    ended = re.search(r"Done (\d+)", done.stderr)
    if done.returncode == 0 and ended:
        return int(ended[1]), ""
    said = re.findall(r"(?m)^(?:\w+Error|.*ERROR: libFuzzer).*", done.stdout + done.stderr)
    return 0, said[0] if said else f"exit status {done.returncode}"
