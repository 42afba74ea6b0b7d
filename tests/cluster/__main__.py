"""Measure what a cluster promises, in six minutes: `python -m tests.cluster`."""

import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.cluster.run import FULL, run
from tests.cluster.topology import Workers
from tests.cluster.upstream import Upstream


def main() -> int:
    held = True
    with (
        TemporaryDirectory() as folder,
        Upstream() as upstream,
        Workers(Path(folder), upstream.base_url, workers=2) as topology,
    ):
        for figure in run(topology, upstream, FULL):
            held = held and figure.ok
            sys.stdout.write(f"{figure.line()}\n")
    return int(not held)


if __name__ == "__main__":
    sys.exit(main())
