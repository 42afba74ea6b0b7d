"""Prices and ratios are at hand when an answer ends, and as they were a few seconds ago."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from addon.exchange.awaited_store import awaited
from addon.formats.wire.pace import worked
from addon.ledger.rates import Rates, price_wanted
from addon.routing.candidates import Candidate
from shared.pricing import Price
from shared.store.lookup import Wanted
from shared.store.prices import add_price
from shared.store.ratios import Learned, Ratio, learn_ratio
from tests.addon.desk import upstream
from tests.addon.recall.chat import StoppedClock
from tests.support.database import open_database
from tests.support.remote import RemoteEngine

CANDIDATE = Candidate(upstream("up"), "a key", "m")


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[RemoteEngine]:
    found = RemoteEngine(open_database(tmp_path / "adapter.db"))
    yield found
    found.close()


@pytest.fixture
def rates(engine: RemoteEngine) -> Rates:
    engine.serves = True
    return Rates(awaited(engine), StoppedClock())


def set_rates(engine: RemoteEngine, micros: int, tokens: int) -> None:
    beside = engine.beside
    add_price(
        beside, upstream="up", model="m", from_day=20_000_000 + micros, price=Price(micros, micros)
    )
    beside.write_later([learn_ratio("m", Learned().and_then(Ratio(8 * tokens, tokens, 4, 1)))])
    beside.flush()


async def test_what_may_be_needed_later_is_looked_up_before(
    engine: RemoteEngine, rates: Rates
) -> None:
    set_rates(engine, 5, 2)
    at = rates._clock.now_ms()
    await worked(lambda: rates.have([CANDIDATE], at), rates._clock.monotonic)
    assert rates.price(price_wanted(CANDIDATE, at)) == Price(5, 5)
    assert rates.ratio("m") == Ratio(16, 2, 4, 1)
    found = await worked(
        lambda: rates.look_up(Wanted(price=price_wanted(CANDIDATE, at), ratio="m")),
        rates._clock.monotonic,
    )
    assert (found.price, found.ratio) == (Price(5, 5), Ratio(16, 2, 4, 1))
    assert len(engine.fetched) == 2


async def test_what_others_change_is_known_within_seconds(
    engine: RemoteEngine, rates: Rates
) -> None:
    clock = rates._clock
    at = clock.now_ms()
    await worked(lambda: rates.have([CANDIDATE], at), clock.monotonic)
    set_rates(engine, 7, 2)
    clock.ms += 5_000
    await worked(rates.each_second, clock.monotonic)
    assert rates.price(price_wanted(CANDIDATE, at)) == Price(7, 7)
    assert rates.ratio("m") == Ratio(16, 2, 4, 1)
