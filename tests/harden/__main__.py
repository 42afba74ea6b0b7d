"""Measure every figure and print a line for each: `HARDEN=1 python -m tests.harden [MODULE …]`.

A module of this folder that has `figures() -> Iterable[Figure]` is measured. `--write PAGE` puts
what was measured into the table there. The exit status is 1 when a figure is missed.
"""

import argparse
import importlib
import sys
import time
import traceback
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from tests.harden.figure import LENGTH, Figure
from tests.harden.table import figures_of, here_and_today, number, written

__all__ = ("measured", "modules")

FOLDER = Path(__file__).parent

APART = {"covered", "mutated"}
"""They take as long as all others together: measured when they are named, and at full length."""


def modules(wanted: list[str]) -> list[Path]:
    """Those that are wanted, or all that are not apart; in the order of their figures."""
    left_out = APART if LENGTH != "long" else set()
    return sorted(
        (
            path
            for path in FOLDER.glob("[a-z]*.py")
            if "def figures() ->" in path.read_text("utf-8")
            and not path.name.startswith("test_")
            and (path.stem in wanted if wanted else path.stem not in left_out)
        ),
        key=lambda path: [number(name) for name in figures_of(path)],
    )


def measured(module: Path) -> Iterator[Figure]:
    """The figures of a module; what stops it is one that is missed."""
    measure = importlib.import_module(f"tests.harden.{module.stem}").figures
    yield from guarded(measure, figures_of(module))


def guarded(measure: Callable[[], Iterable[Figure]], names: list[str]) -> Iterator[Figure]:
    """The figures of these names; after an exception the next of them is missed."""
    seen = -1
    try:
        for figure in measure():
            seen = names.index(figure.name)
            yield figure
    except Exception as error:
        traceback.print_exc()
        missed = names[min(seen + 1, len(names) - 1)]
        yield Figure(missed, "–", f"not measured: {type(error).__name__}", "–", ok=False)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.harden", description=__doc__)
    parser.add_argument("--write", type=Path, metavar="PAGE")
    parser.add_argument("modules", nargs="*")
    asked = parser.parse_args()
    figures: list[Figure] = []
    try:
        for module in modules(asked.modules):
            began = time.monotonic()
            for figure in measured(module):
                sys.stdout.write(f"{figure.line()}\n")
                sys.stdout.flush()
                figures.append(figure)
            sys.stderr.write(f"     {module.stem} took {time.monotonic() - began:.0f} s\n")
    finally:
        if asked.write and figures:
            page = written(asked.write.read_text("utf-8"), figures, here_and_today())
            asked.write.write_text(page, "utf-8")
    return int(not all(figure.ok for figure in figures))


if __name__ == "__main__":
    sys.exit(main())
