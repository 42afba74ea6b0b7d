"""The table of all figures in docs/security.md. What is measured replaces the rows of its
figures; those of others stay, each with its own day and machine.
"""

import os
import re
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path

from tests.harden.figure import Figure

__all__ = ("BEGIN", "END", "PROMISES", "figures_of", "here_and_today", "number", "written")

BEGIN = "<!-- figures: written by make harden TABLE=docs/security.md -->"
END = "<!-- end of figures -->"

HEAD = """\
| | Promise | Scale | Measured | Bound | | When, where |
| --- | --- | --- | --- | --- | --- | --- |
"""

PROMISES = {
    "F1": "Malformed requests are answered or closed, and reach no upstream",
    "F2": "Kills lose nothing that a client was told",
    "F3": "Whatever ends a stream, it is in the ledger once",
    "F4": "A quota that is nearly spent is sold once",
    "F5": "Streams leave nothing behind",
    "F6": "An upstream that fails costs a clear error in time",
    "F7": "Secrets are nowhere that others look",
    "F8": "Slow senders shut nobody out",
    "F9": "Bodies and heads that swell hold neither memory nor the loop",
    "F10": "A locked database stalls nobody",
    "F11": "Whatever call fails, nothing is forwarded, hung or kept",
    "F12": "Every route answers those it is for and nobody else",
    "F13": "No reasoning crosses callers or providers",
    "F14": "Guessing is slow and tells nothing",
    "F15": "Text of others runs nothing in the pages",
    "F16": "Starts at once, and killed ones, leave a sound database",
    "F17": "A database that can't be written loses no usage",
    "F18": "A broken configuration is refused by its key's name",
    "F19": "What is installed and written passes the scanners",
    "F20": "Insecure starts are refused",
    "F21": "Tests reach what they are to protect, and fail when it changes",
    "F22": "Parsers take any bytes",
    "F23": "One request can't hold the loop",
    "F24": "Bytes that nobody let in hold little memory",
    "F25": "Restarts under load refuse nobody and cut nothing",
    "F26": "A data plane that hangs is replaced",
}

_NAME = re.compile(r'"(F\d+)"')
_ROW = re.compile(r"(?m)^\| (F\d+) \| [^|]*? \| (.*) \|$")
_UNMEASURED = "– | not measured | – | – | –"

type _Row = tuple[str, str]
"""A figure's name, and the cells after its promise as the page has them."""


def figures_of(module: Path) -> list[str]:
    """The names of the figures that a module of this folder measures."""
    return list(dict.fromkeys(_NAME.findall(module.read_text("utf-8"))))


def number(name: str) -> int:
    """`F8` is 8."""
    return int(name[1:])


def here_and_today() -> str:
    return f"{datetime.now(UTC):%Y-%m-%d}, {os.cpu_count()} cores"


def written(page: str, figures: Iterable[Figure], when: str) -> str:
    """The page with the figures in the table between its two marks."""
    before, _, rest = page.partition(BEGIN)
    old, end, after = rest.partition(END)
    if not end:
        raise ValueError(f"the page lacks {BEGIN} or {END}")
    new = [(figure.name, _cells(figure, when)) for figure in figures]
    fresh = {name for name, _ in new}
    rows = [row for row in _measured_before(old) if row[0] not in fresh] + new
    rows += [(name, _UNMEASURED) for name in PROMISES.keys() - {name for name, _ in rows}]
    lines = [f"| {name} | {PROMISES[name]} | {cells} |" for name, cells in sorted(rows, key=_place)]
    return f"{before}{BEGIN}\n\n{HEAD}{'\n'.join(lines)}\n\n{END}{after}"


def _measured_before(table: str) -> Iterator[_Row]:
    for name, cells in _ROW.findall(table):
        if cells != _UNMEASURED:
            yield name, cells


def _cells(figure: Figure, when: str) -> str:
    said = [figure.scale, figure.measured, figure.bound, figure.verdict, when]
    return " | ".join(text.replace("|", "\\|").replace("<", "&lt;") for text in said)


def _place(row: _Row) -> int:
    return number(row[0])
