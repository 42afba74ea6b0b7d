"""Pages through a long table look through a bounded number of rows each, and leave none out."""

import pytest

from shared.store.engine import Engine
from shared.store.paging import END, WINDOW, Source, read_newest
from tests.shared.store.plans import Explained, only_sqlite

pytestmark = only_sqlite

ROWS = 2 * WINDOW + 10
SENT = Source(
    found_in="recall_sent", number="used_at", read_from="recall_sent", columns="value, used_at"
)
BY_INDEX, BY_NUMBER = ["used_at <= 2010"], []

either_way = pytest.mark.parametrize(
    "finds", [BY_INDEX, BY_NUMBER], ids=["found by an index", "found by number"]
)


@pytest.fixture
def long(engine: Engine) -> Engine:
    """A table with the numbers from 1 to `ROWS`; those that 700 divides, and the first,
    have the value `rare`.
    """
    engine.transact(
        lambda work: work.run(
            """
            WITH RECURSIVE numbers (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < :rows)
            INSERT INTO recall_sent (key, value, used_at)
            SELECT CAST(n AS BLOB), CASE WHEN n % 700 = 0 OR n = 1 THEN 'rare' ELSE 'common' END, n FROM numbers
            """,
            {"rows": ROWS},
        ),
        alone=(),
    )
    return engine


def walk(
    engine: Engine,
    *,
    limit: int,
    finds: list[str],
    sifts: list[str],
    after: int = 0,
    before: int = END,
) -> list[tuple[list[int], int | None]]:
    """All pages: the numbers on each, and where the next begins."""
    pages: list[tuple[list[int], int | None]] = []
    following: int | None = before
    while following is not None:
        rows, following = read_newest(
            engine,
            SENT,
            finds=finds,
            sifts=sifts,
            params={},
            after=after,
            before=following,
            limit=limit,
        )
        pages.append(([number for _, number in rows], following))
    return pages


@either_way
def test_rows_come_newest_first_and_the_last_page_says_so(long: Engine, finds: list[str]) -> None:
    pages = walk(long, finds=finds, sifts=[], limit=200, before=500)
    assert pages == [
        ([*range(499, 299, -1)], 300),
        ([*range(299, 99, -1)], 100),
        ([*range(99, 0, -1)], None),
    ]


@either_way
def test_a_full_last_page_says_so_too(long: Engine, finds: list[str]) -> None:
    assert walk(long, finds=finds, sifts=[], limit=499, before=500) == [
        ([*range(499, 0, -1)], None)
    ]


@pytest.mark.parametrize("sifts", [[], ["value <> ''"]], ids=["all", "sifted"])
def test_the_finding_conditions_and_the_bounds_hold(long: Engine, sifts: list[str]) -> None:
    pages = walk(long, finds=["used_at <= 7"], sifts=sifts, limit=3, after=2)
    assert pages == [([7, 6, 5], 5), ([4, 3], None)]


@either_way
def test_what_is_rare_is_found_though_a_page_looks_through_a_window_only(
    long: Engine, finds: list[str]
) -> None:
    pages = walk(long, finds=finds, sifts=["value = 'rare'"], limit=1)
    assert [number for numbers, _ in pages for number in numbers] == [1400, 700, 1]


@either_way
def test_a_page_can_be_empty_before_the_end(long: Engine, finds: list[str]) -> None:
    pages = walk(long, finds=finds, sifts=["value = 'nothing'"], limit=3)
    assert pages == [([], ROWS - WINDOW + 1), ([], ROWS - 2 * WINDOW + 1), ([], None)]


@either_way
@pytest.mark.parametrize("after", [0, 9, 11, 500])
def test_looking_ends_at_the_lower_bound(long: Engine, finds: list[str], after: int) -> None:
    pages = walk(long, finds=finds, sifts=["value = 'nothing'"], limit=3, after=after)
    assert len(pages) == (3 if after < 10 else 2)


@either_way
@pytest.mark.parametrize("limit", [99, 499, 500, 501, 1_001])
def test_no_row_is_left_out_or_seen_twice(long: Engine, finds: list[str], limit: int) -> None:
    pages = walk(long, finds=finds, sifts=["used_at % 2 = 1"], limit=limit)
    assert [number for page, _ in pages for number in page] == [*range(ROWS - 1, 0, -2)]


@pytest.mark.parametrize("gone", ["used_at <= 1500", "used_at > 1500"], ids=["oldest", "newest"])
def test_pages_end_where_rows_were_deleted(long: Engine, gone: str) -> None:
    long.transact(lambda work: work.run(f"DELETE FROM recall_sent WHERE {gone}"), alone=())
    pages = walk(long, finds=[], sifts=["value = 'nothing'"], limit=3)
    assert [following for _, following in pages] == ([] if "<=" in gone else [501]) + [None]


@either_way
def test_nothing_is_there(engine: Engine, finds: list[str]) -> None:
    assert walk(engine, finds=finds, sifts=["value = 'rare'"], limit=3) == [([], None)]


@either_way
def test_nothing_is_sorted_and_no_row_read_in_vain(long: Engine, finds: list[str]) -> None:
    watched = Explained(long)
    walk(watched, finds=finds, sifts=["value = 'nothing'"], limit=3)
    assert [
        step for step in watched.steps if "TEMP B-TREE" in step or "SCAN recall_sent" in step
    ] == []
