"""What the fixed replay costs, counted, beside what is recorded in `counts.json`: Python calls and
blocks of memory, which are the same on a busy machine. `python -m tests.bench.counts` shows both,
with `--record` what is counted now is what must not grow from now on.
"""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import msgspec

from tests.bench.replay import Cost, Counts
from tests.bench.tables import Table, figure

__all__ = ("RECORD", "counted", "grown", "recorded")

RECORD = Path(__file__).with_name("counts.json")
ROOT = Path(__file__).parents[2]

CALLS_SPARE, BLOCKS_SPARE = 1.05, 1.10
"""How much more is let pass: a read that comes in two, a slice of long work that ends earlier."""

REPLAY_SECONDS = 120
SHOWN = 8
"""Files that are named when their calls have grown."""


def counted() -> Counts:
    """Play the replay in a process of its own; raises RuntimeError with its log if it can't be."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.bench.replay"],
        cwd=ROOT,
        env={"PATH": os.environ["PATH"], "LANG": "C.UTF-8", "PYTHONHASHSEED": "0"},
        capture_output=True,
        text=True,
        timeout=REPLAY_SECONDS,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(f"the replay failed:\n{done.stdout[-2000:]}{done.stderr[-4000:]}")
    counts: Counts = msgspec.json.decode(done.stdout.splitlines()[-1], type=Counts)
    return counts


def recorded() -> Counts:
    counts: Counts = msgspec.json.decode(RECORD.read_bytes(), type=Counts)
    return counts


def grown(before: Counts, now: Counts) -> Iterator[str]:
    """Say of each cost that has grown by how much, and where."""
    for what, cost in now.items():
        known = before[what]
        if cost.calls > known.calls * CALLS_SPARE + 1:
            where = "; ".join(_grown_files(known, cost))
            yield f"{what} takes {cost.calls:g} Python calls, not {known.calls:g}: {where}"
        if cost.blocks > known.blocks * BLOCKS_SPARE + 1:
            yield f"{what} holds {cost.blocks:g} blocks of memory, not {known.blocks:g}"


def _grown_files(before: Cost, now: Cost) -> list[str]:
    more = {file: calls - before.called.get(file, 0) for file, calls in now.called.items()}
    most = sorted((file for file in more if more[file] > 0), key=lambda file: -more[file])
    return [
        f"{file} {now.called[file]:g}, not {before.called.get(file, 0):g}" for file in most[:SHOWN]
    ]


def main() -> None:
    now = counted()
    if "--record" in sys.argv:
        RECORD.write_bytes(msgspec.json.format(msgspec.json.encode(now), indent=1) + b"\n")
    before = recorded()
    rows = [
        (what, *map(figure, (before[what].calls, cost.calls, before[what].blocks, cost.blocks)))
        for what, cost in now.items()
    ]
    head = ("one of", "calls recorded", "now", "blocks recorded", "now")
    table = Table("What the replay costs", head, rows)
    sys.stdout.write("\n".join([table.text(), *grown(before, now), ""]))


if __name__ == "__main__":
    main()
