"""How upstreams do is told from the newest exchanges."""

import msgspec
import pytest

from shared.store.engine import Engine
from shared.store.upstream_health import read_health
from tests.shared.store.plans import Explained, only_sqlite
from tests.shared.store.test_reports import NOON, settled


def missing(*whys: str) -> str:
    turns = [{"at": at, "rule": "missing", "why": why} for at, why in enumerate(whys)]
    return msgspec.json.encode({"turns": [*turns, {"at": 99, "rule": "id", "why": ""}]}).decode()


def test_health_is_told_per_upstream(engine: Engine) -> None:
    settled(engine, restored=3, first_byte_ms=20)
    settled(engine, error_class="upstream_500", missing=2, details=missing("gone", "gone"))
    settled(
        engine,
        error_class="client_left",
        missing=2,
        details=missing("gone", "foreign"),
        first_byte_ms=10,
    )
    settled(engine, upstream="spare")
    settled(engine, at=NOON - 1, upstream="old")
    settled(engine, at=NOON - 1, missing=1, details=missing("long ago"))
    main, spare = read_health(engine, NOON)
    assert (main.upstream, main.requests, main.failures) == ("main", 3, 1)
    assert (main.restored, main.missing, main.reasons) == (3, 4, {"gone": 3, "foreign": 1})
    assert (main.first_byte_p50_ms, main.first_byte_p95_ms) == (10, 20)
    assert (spare.requests, spare.first_byte_p50_ms, spare.reasons) == (1, None, {})


@pytest.mark.parametrize(
    ("waits", "p50", "p95"),
    [
        ([7], 7, 7),
        ([1, 2], 1, 2),
        ([*range(1, 101)], 50, 95),
        ([*range(1, 21)], 10, 19),
        ([*range(1, 22)], 11, 20),
    ],
    ids=["one", "two", "hundred", "twenty", "twenty-one"],
)
def test_percentiles_are_of_those_that_got_a_first_byte(
    engine: Engine, waits: list[int], p50: int, p95: int
) -> None:
    for wait in [*reversed(waits), None]:
        settled(engine, first_byte_ms=wait)
    [main] = read_health(engine, NOON)
    assert (main.first_byte_p50_ms, main.first_byte_p95_ms) == (p50, p95)


def test_nothing_happened_lately(engine: Engine) -> None:
    settled(engine, at=NOON - 1)
    assert read_health(engine, NOON) == []


@only_sqlite
def test_health_reads_recent_exchanges_only(engine: Engine) -> None:
    settled(engine)
    watched = Explained(engine)
    read_health(watched, NOON)
    assert watched.plans == [["SEARCH ledger USING INDEX ledger_at (at>?)"]] * 2
