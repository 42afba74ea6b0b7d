"""Pages of long lists, their query parameters, and exports.

A list returns `{"items": […], "next": …}`: `next` is the cursor of the next page, null at
the end. A page of a search can be short or empty before the end, as one request looks
through a bounded number of rows.
"""

import asyncio
import base64
import csv
import io
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Annotated, Any

import msgspec
from litestar.openapi.spec import OpenAPIMediaType, OpenAPIResponse, OpenAPIType, Operation, Schema
from litestar.params import PathParameter, QueryParameter
from litestar.response import Stream

from manage_api.problems import invalid
from shared.model import LARGEST
from shared.store.paging import END

__all__ = (
    "CSV",
    "JSONL",
    "Cursor",
    "FirstDay",
    "LastDay",
    "Limit",
    "Page",
    "RowId",
    "SomeId",
    "SomeText",
    "Span",
    "as_csv",
    "as_jsonl",
    "cursor_for",
    "described_as",
    "page_of",
    "place_in",
    "search_page",
    "span_of",
)

RowId = Annotated[int, PathParameter(ge=1, le=LARGEST)]
"""The id in a path."""

SomeId = Annotated[int | None, QueryParameter(ge=0, le=LARGEST)]
SomeText = Annotated[str | None, QueryParameter(max_length=1024)]
FirstDay = Annotated[
    str | None, QueryParameter(name="from", description="The first day, in UTC: 2026-11-20.")
]
LastDay = Annotated[
    str | None, QueryParameter(name="to", description="The last day, in UTC: 2026-11-20.")
]
Limit = Annotated[int, QueryParameter(ge=1, le=200)]
Cursor = Annotated[
    str | None, QueryParameter(max_length=8192, description="`next` of the previous page.")
]

CSV = "text/csv"
JSONL = "application/jsonl"

_MAX_READS = 100
"""Windows of a search in one request, a few ms each: then other requests have their turn."""

_DAY_MS = 86_400_000
_FORMULA = ("=", "+", "-", "@", "\t", "\r")
"""Spreadsheets run cells that begin so (OWASP, "CSV Injection")."""


class Page[T](msgspec.Struct, frozen=True):
    """A part of a list."""

    items: list[T]
    next: str | None
    """The cursor of the next page; null: this is the last."""


def page_of[T](rows: Sequence[T], limit: int, place: Callable[[T], int | str]) -> Page[T]:
    """Make a page of rows that were read with a limit of one more than `limit`.

    The next page begins after the `place` of the last item.
    """
    items = list(rows[:limit])
    if len(rows) <= limit:
        return Page(items, None)
    return Page(items, cursor_for(place(items[-1])))


async def search_page[T](
    read: Callable[[int, int], tuple[list[T], int | None]], cursor: str | None, limit: int
) -> Page[T]:
    """Search a table newest first until the page is full or its time is up.

    `read` takes the number that rows must be below and a limit. It returns rows, and the
    number for the next call or None at the end.
    """
    items: list[T] = []
    before = place_in(cursor, int) or END
    for _ in range(_MAX_READS):
        rows, following = read(before, limit - len(items))
        items += rows
        if following is None:
            return Page(items, None)
        before = following
        if len(items) == limit:
            break
        await asyncio.sleep(0)
    return Page(items, cursor_for(before))


def cursor_for(place: int | str) -> str:
    """Return the cursor of the page after a place."""
    return base64.urlsafe_b64encode(msgspec.json.encode(place)).decode().rstrip("=")


def place_in[T](cursor: str | None, kind: type[T]) -> T | None:
    """Return the place in a cursor, None for the beginning; raises the error for a foreign one."""
    if not cursor:
        return None
    try:
        place = msgspec.json.decode(
            base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)), type=kind
        )
    except ValueError:  # msgspec's and binascii's errors are ValueErrors
        place = None
    if place is None or (isinstance(place, int) and not 0 <= place <= LARGEST):
        raise invalid("cursor", "This is not a cursor of this list: start again without one.")
    return place


class Span(msgspec.Struct, frozen=True):
    """Days from the first to the last, both included; None: unbounded."""

    first: date | None
    last: date | None

    @property
    def first_day(self) -> int | None:
        """YYYYMMDD."""
        return _number(self.first)

    @property
    def last_day(self) -> int | None:
        """YYYYMMDD."""
        return _number(self.last)

    @property
    def since_ms(self) -> int | None:
        """Its beginning, epoch milliseconds."""
        return _start_ms(self.first)

    @property
    def before_ms(self) -> int | None:
        """The first millisecond after it."""
        start = _start_ms(self.last)
        if start is None:
            return None
        return start + _DAY_MS


def span_of(first: str | None, last: str | None) -> Span:
    """Parse `from` and `to` of a query."""
    span = Span(_day("from", first), _day("to", last))
    if span.first and span.last and span.first > span.last:
        raise invalid("from", "This day is after the one in `to`.")
    return span


def described_as(*media_types: str, besides_json: bool = False) -> type[Operation]:
    """Describe a route that returns texts of these media types."""

    @dataclass
    class Texts(Operation):
        def __post_init__(self) -> None:
            answer = (self.responses or {})["200"]
            assert isinstance(answer, OpenAPIResponse)
            texts = {
                kind: OpenAPIMediaType(Schema(type=OpenAPIType.STRING)) for kind in media_types
            }
            if besides_json:
                texts = {**(answer.content or {}), **texts}
            answer.content = texts

    return Texts


def _day(field: str, text: str | None) -> date | None:
    if not text:
        return None
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise invalid(field, "Write the day like 2026-11-20.") from None


def _number(day: date | None) -> int | None:
    if day is None:
        return None
    return day.year * 10_000 + day.month * 100 + day.day


def _start_ms(day: date | None) -> int | None:
    if day is None:
        return None
    return int(datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp()) * 1000


def as_csv(name: str, columns: Sequence[str], pages: Iterable[Sequence[Any]]) -> Stream:
    """Export attributes of the rows as a file `name`.csv (RFC 4180, with a header)."""

    def lines(rows: Iterable[Iterable[Any]]) -> bytes:
        text = io.StringIO()
        csv.writer(text).writerows([_cell(value) for value in row] for row in rows)
        return text.getvalue().encode()

    def part(rows: Sequence[Any]) -> bytes:
        return lines([getattr(row, column) for column in columns] for row in rows)

    return _download(f"{name}.csv", CSV, lines([columns]), part, pages)


def as_jsonl(name: str, pages: Iterable[Sequence[Any]]) -> Stream:
    """Export the rows as a file `name`.jsonl, one JSON object per line."""
    return _download(f"{name}.jsonl", JSONL, b"", msgspec.json.Encoder().encode_lines, pages)


def _cell(value: Any) -> Any:
    """Put an apostrophe before what a spreadsheet would run as a formula."""
    if isinstance(value, str) and value.startswith(_FORMULA):
        return f"'{value}"
    return value


def _download(
    name: str,
    media_type: str,
    head: bytes,
    part: Callable[[Sequence[Any]], bytes],
    pages: Iterable[Sequence[Any]],
) -> Stream:
    async def parts() -> AsyncIterator[bytes]:
        yield head
        for rows in pages:
            yield part(rows)
            await asyncio.sleep(0)  # lets other requests run between two pages

    return Stream(
        parts(),
        media_type=media_type,
        headers={"Content-Disposition": f'attachment; filename="{name}"'},
    )
