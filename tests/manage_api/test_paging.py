"""Cursors, days, and files made page by page."""

import csv
import io
import json
from base64 import urlsafe_b64encode
from collections.abc import Iterator

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from litestar.exceptions import ValidationException
from litestar.response import Stream

from manage_api.paging import (
    Page,
    as_csv,
    as_jsonl,
    cursor_for,
    page_of,
    place_in,
    search_page,
    span_of,
)
from shared.model import LARGEST

DAY_MS = 86_400_000


class Line(msgspec.Struct):
    text: str
    number: int | None = None
    secret: str = "secret"


def refused(error: pytest.ExceptionInfo[ValidationException]) -> str:
    """The field that an error names."""
    [problem] = error.value.extra
    return str(problem["key"])


def encoded(text: bytes) -> str:
    return urlsafe_b64encode(text).decode().rstrip("=")


async def content(stream: Stream) -> str:
    return b"".join([part async for part in stream.iterator]).decode()


# -- cursors ---------------------------------------------------------------------------------------


@given(place=st.integers(0, LARGEST) | st.text())
def test_a_cursor_leads_back_to_its_place(place: int | str) -> None:
    assert place_in(cursor_for(place), type(place)) == place


@pytest.mark.parametrize("cursor", [None, ""], ids=["none", "empty"])
def test_without_a_cursor_it_is_the_beginning(cursor: str | None) -> None:
    assert place_in(cursor, int) is None


@pytest.mark.parametrize(
    "cursor",
    [
        pytest.param("5", id="no-base64"),
        pytest.param("%%%%", id="no-alphabet"),
        pytest.param("ééé", id="no-ascii"),
        pytest.param("x" * 4097, id="long"),
        pytest.param(encoded(b"not json"), id="no-json"),
        pytest.param(encoded(b"\xff"), id="no-text"),
        pytest.param(encoded(b'"5"'), id="text-for-a-number"),
        pytest.param(encoded(b"1.5"), id="fraction"),
        pytest.param(encoded(b"-1"), id="negative"),
        pytest.param(encoded(b"true"), id="truth"),
        pytest.param(encoded(b"null"), id="null"),
        pytest.param(encoded(b"9007199254740992"), id="too-large"),
        pytest.param(encoded(b"9" * 30), id="far-too-large"),
    ],
)
def test_what_is_no_cursor_is_refused_by_name(cursor: str) -> None:
    with pytest.raises(ValidationException) as error:
        place_in(cursor, int)
    assert refused(error) == "cursor"


@pytest.mark.parametrize(
    ("rows", "following"), [([], None), ([1, 2], None), ([1, 2, 3], cursor_for(2))]
)
def test_a_page_ends_where_the_next_begins(rows: list[int], following: str | None) -> None:
    assert page_of(rows, 2, lambda row: row) == Page(rows[:2], following)


class Searched:
    """Numbers below 100 that are found, ten looked at a time."""

    def __init__(self, *found: int) -> None:
        self._found = found
        self.reads = 0

    def read(self, before: int, most: int) -> tuple[list[int], int | None]:
        self.reads += 1
        top = min(before, 100)
        rows = [
            number for number in range(top - 1, max(-1, top - 11), -1) if number in self._found
        ][:most]
        last = rows[-1] if len(rows) == most else top - 10
        return rows, last if last > 0 else None


async def test_a_search_is_read_until_the_page_is_full() -> None:
    table = Searched(95, 50, 40, 5)

    page = await search_page(table.read, None, 2)

    assert (page.items, table.reads) == ([95, 50], 5)
    assert await search_page(table.read, page.next, 5) == Page([40, 5], None)


async def test_a_search_for_nothing_comes_to_its_end() -> None:
    assert await search_page(Searched().read, None, 2) == Page([], None)


async def test_a_long_search_goes_on_in_the_next_request() -> None:
    page = await search_page(lambda before, _: ([], before - 1), cursor_for(1000), 2)

    assert page.items == []
    assert 0 < place_in(page.next, int) < 1000


# -- days ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("text", ["2026-11-20", "20261120"])
def test_days_are_read_with_both_ends(text: str) -> None:
    span = span_of(text, text)

    assert (span.first_day, span.last_day) == (2026_11_20, 2026_11_20)
    assert (span.since_ms, span.before_ms) == (1_795_132_800_000, 1_795_132_800_000 + DAY_MS)


@pytest.mark.parametrize("text", [None, ""], ids=["none", "empty"])
def test_without_days_it_is_always(text: str | None) -> None:
    span = span_of(text, text)

    assert (span.first_day, span.last_day, span.since_ms, span.before_ms) == (
        None,
        None,
        None,
        None,
    )


@pytest.mark.parametrize("text", ["0001-01-01", "9999-12-31"])
def test_the_first_and_the_last_day_there_are_can_be_used(text: str) -> None:
    span = span_of(text, text)

    assert span.before_ms - span.since_ms == DAY_MS


@pytest.mark.parametrize(
    "text", ["yesterday", "2026-02-30", "2026-13-01", "20-11-2026", "2026-11-20T00:00", "٢٠٢٦١١٢٠"]
)
@pytest.mark.parametrize("field", ["from", "to"])
def test_what_is_no_day_is_refused_by_name(field: str, text: str) -> None:
    with pytest.raises(ValidationException) as error:
        span_of(*((text, None) if field == "from" else (None, text)))
    assert refused(error) == field


def test_days_in_the_wrong_order_are_refused() -> None:
    with pytest.raises(ValidationException) as error:
        span_of("2026-11-21", "2026-11-20")
    assert refused(error) == "from"


# -- files -----------------------------------------------------------------------------------------


async def test_a_table_has_a_header_and_the_wanted_columns() -> None:
    stream = as_csv(
        "lines",
        ("number", "text"),
        [[Line("a,b", 1), Line('say "hi"')], [], [Line("多行\n文字", 0)]],
    )

    rows = list(csv.reader(io.StringIO(await content(stream), newline="")))
    assert rows == [["number", "text"], ["1", "a,b"], ["", 'say "hi"'], ["0", "多行\n文字"]]
    assert stream.headers["Content-Disposition"] == 'attachment; filename="lines.csv"'
    assert stream.media_type == "text/csv"


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1"])
async def test_no_text_is_run_by_a_spreadsheet(text: str) -> None:
    stream = as_csv("lines", ("text", "number"), [[Line(text, -5)]])

    [_, row] = csv.reader(io.StringIO(await content(stream), newline=""))
    assert row == [f"'{text}", "-5"]


async def test_lines_of_json_have_everything() -> None:
    stream = as_jsonl("lines", [[Line("a\nb", 1)], [], [Line("多")]])

    lines = (await content(stream)).splitlines()
    assert [json.loads(line)["text"] for line in lines] == ["a\nb", "多"]
    assert stream.headers["Content-Disposition"] == 'attachment; filename="lines.jsonl"'
    assert stream.media_type == "application/jsonl"


@pytest.mark.parametrize("kind", ["csv", "jsonl"])
async def test_a_page_is_read_when_it_is_sent(kind: str) -> None:
    read: list[int] = []

    def pages() -> Iterator[list[Line]]:
        for number in range(3):
            read.append(number)
            yield [Line("a")]

    stream = as_csv("x", ("text",), pages()) if kind == "csv" else as_jsonl("x", pages())
    parts = aiter(stream.iterator)
    await anext(parts)
    await anext(parts)

    assert read == [0]
