"""What the routes over long lists take and give.

A list answers `{"items": […], "next": …}`: the cursor in `next` asks for what follows, null
says that nothing does. A page of a search can be short, even empty, before the end, as one
request looks through so much and no more.
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
from shared.store.paging import END

__all__ = (
    "CSV",
    "JSONL",
    "LARGEST",
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
    "page_of_found",
    "place_in",
    "span_of",
)

LARGEST = 2**53 - 1
"""The largest number that is taken: readers of JSON and the database hold it exactly."""

RowId = Annotated[int, PathParameter(ge=1, le=LARGEST)]
"""The id in a path."""

SomeId = Annotated[int | None, QueryParameter(ge=0, le=LARGEST)]
SomeText = Annotated[str | None, QueryParameter(max_length=1024)]
FirstDay = Annotated[
    str | None, QueryParameter(name="from", description="The first day, of UTC: 2026-11-20.")
]
LastDay = Annotated[
    str | None, QueryParameter(name="to", description="The last day, of UTC: 2026-11-20.")
]
Limit = Annotated[int, QueryParameter(ge=1, le=200)]
Cursor = Annotated[
    str | None, QueryParameter(max_length=8192, description="The `next` of the page before.")
]

CSV = "text/csv"
JSONL = "application/jsonl"

_READS = 100
_DAY_MS = 86_400_000
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


class Page[T](msgspec.Struct, frozen=True):
    """A part of a list."""

    items: list[T]
    next: str | None
    """The cursor for the next part; null: this was the last."""


def page_of[T](rows: Sequence[T], limit: int, place: Callable[[T], int | str]) -> Page[T]:
    """The page of a list that was asked for one row more than `limit`; `place` is what the
    next page begins after.
    """
    items = list(rows[:limit])
    return Page(items, cursor_for(place(items[-1])) if len(rows) > limit else None)


async def page_of_found[T](
    read: Callable[[int, int], tuple[list[T], int | None]], cursor: str | None, limit: int
) -> Page[T]:
    """The page of a search through a table that is read newest first.

    `read` takes the number that rows must be below, and how many are wanted at most; it
    gives rows, and the number for the next call, None at the end. It is called until the
    page is full, or so often that others must have their turn.
    """
    items: list[T] = []
    before = place_in(cursor, int) or END
    for _ in range(_READS):
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
    """The cursor for what follows a place."""
    return base64.urlsafe_b64encode(msgspec.json.encode(place)).decode().rstrip("=")


def place_in[T](cursor: str | None, kind: type[T]) -> T | None:
    """The place in a cursor; None for the beginning. Raises the error for `cursor` when it
    is not one of ours.
    """
    if not cursor:
        return None
    try:
        place = msgspec.json.decode(
            base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)), type=kind
        )
    except ValueError:  # msgspec's and binascii's errors are ValueErrors
        place = None
    if place is None or (isinstance(place, int) and not 0 <= place <= LARGEST):
        raise invalid("cursor", "This is no cursor of this list: begin again without one.")
    return place


class Span(msgspec.Struct, frozen=True):
    """Days from the first to the last, both included; None: open on that side."""

    first: date | None
    last: date | None

    @property
    def first_day(self) -> int | None:
        """YYYYMMDD."""
        return _number(self.first) if self.first else None

    @property
    def last_day(self) -> int | None:
        """YYYYMMDD."""
        return _number(self.last) if self.last else None

    @property
    def since_ms(self) -> int | None:
        """Its begin, epoch milliseconds."""
        return _start_ms(self.first) if self.first else None

    @property
    def before_ms(self) -> int | None:
        """The first millisecond after it."""
        return _start_ms(self.last) + _DAY_MS if self.last else None


def span_of(first: str | None, last: str | None) -> Span:
    """The days that `from` and `to` of a query name."""
    span = Span(_day("from", first), _day("to", last))
    if span.first and span.last and span.first > span.last:
        raise invalid("from", "This day is after the one in `to`.")
    return span


def described_as(*media_types: str, besides_json: bool = False) -> type[Operation]:
    """How the API describes a route that answers texts of these kinds."""

    @dataclass
    class Texts(Operation):
        def __post_init__(self) -> None:
            answer = (self.responses or {})["200"]
            assert isinstance(answer, OpenAPIResponse)
            texts = {
                kind: OpenAPIMediaType(Schema(type=OpenAPIType.STRING)) for kind in media_types
            }
            answer.content = {**(answer.content or {}), **texts} if besides_json else texts

    return Texts


def _day(field: str, text: str | None) -> date | None:
    try:
        return date.fromisoformat(text) if text else None
    except ValueError:
        raise invalid(field, "Write the day like 2026-11-20.") from None


def _number(day: date) -> int:
    return day.year * 10_000 + day.month * 100 + day.day


def _start_ms(day: date) -> int:
    return int(datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp()) * 1000


def as_csv(name: str, columns: Sequence[str], pages: Iterable[Sequence[Any]]) -> Stream:
    """The rows as a file `name`.csv (RFC 4180, with a header) of these attributes."""

    def lines(rows: Iterable[Iterable[Any]]) -> bytes:
        text = io.StringIO()
        csv.writer(text).writerows([_cell(value) for value in row] for row in rows)
        return text.getvalue().encode()

    def part(rows: Sequence[Any]) -> bytes:
        return lines([getattr(row, column) for column in columns] for row in rows)

    return _download(f"{name}.csv", CSV, lines([columns]), part, pages)


def as_jsonl(name: str, pages: Iterable[Sequence[Any]]) -> Stream:
    """The rows as a file `name`.jsonl, one JSON object per line."""
    return _download(f"{name}.jsonl", JSONL, b"", msgspec.json.Encoder().encode_lines, pages)


def _cell(value: Any) -> Any:
    """Spreadsheets run what begins like a formula, so that gets an apostrophe in front
    (OWASP, “CSV Injection”).
    """
    return f"'{value}" if isinstance(value, str) and value.startswith(_FORMULA) else value


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
            await asyncio.sleep(0)  # other requests have their turn between two pages

    return Stream(
        parts(),
        media_type=media_type,
        headers={"Content-Disposition": f'attachment; filename="{name}"'},
    )
