"""What single parts cost: translating between formats, the database on the way of a request, and
the pages over a long past.
"""

from pathlib import Path

from tests.bench.books import measure_books
from tests.bench.formats import COMBINATIONS, measure_formats
from tests.bench.pages import measure_pages
from tests.bench.tables import Table, figure

__all__ = ("parts",)


def parts(directory: Path) -> list[Table]:
    """All of it; each table in a folder of its own."""
    tables = []
    for measure in (_formats, _books, _pages):
        place = directory / measure.__name__
        place.mkdir()
        tables.append(measure(place))
    return tables


def _formats(directory: Path) -> Table:
    relaying, whole = measure_formats(directory)
    rows = []
    for client, upstream in COMBINATIONS:
        cells = (
            figure(value)
            for found in (relaying, whole)
            for value in (
                found[client, upstream],
                found[client, upstream] / found[client, client],
            )
        )
        rows.append((f"{client} over {upstream}", *cells))
    head = ("client over upstream", "translating µs", "×", "gateway µs", "×")
    return Table("CPU per delta by format, beside the same format on both sides", head, rows)


def _books(directory: Path) -> Table:
    rows = [(what, figure(value)) for what, value in measure_books(directory).items()]
    return Table("The database on the way of a request, median", ("", "µs"), rows)


def _pages(directory: Path) -> Table:
    rows = [(f"`{page}`", figure(value)) for page, value in measure_pages(directory).items()]
    title = "Pages over 1,000,000 exchanges and 100,000 audit records, server time, median"
    return Table(title, ("", "ms"), rows)
