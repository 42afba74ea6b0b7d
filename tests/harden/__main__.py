"""Measure every figure and print a line for each: `HARDEN=1 python -m tests.harden [MODULE …]`.

A module of this folder that has `figures() -> Iterable[Figure]` is measured. The exit status
is 1 when a figure is missed.
"""

import importlib
import pkgutil
import sys
from collections.abc import Iterator

import tests.harden
from tests.harden.figure import Figure


def measured(wanted: list[str]) -> Iterator[Figure]:
    """The figures of the modules that are wanted, or of all."""
    for found in sorted(pkgutil.iter_modules(tests.harden.__path__), key=lambda found: found.name):
        if found.name.startswith(("test_", "_")) or (wanted and found.name not in wanted):
            continue
        module = importlib.import_module(f"tests.harden.{found.name}")
        if hasattr(module, "figures"):
            yield from module.figures()


def main() -> int:
    missed = 0
    for figure in measured(sys.argv[1:]):
        sys.stdout.write(f"{figure.line()}\n")
        sys.stdout.flush()
        missed += not figure.ok
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
