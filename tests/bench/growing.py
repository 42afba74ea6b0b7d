"""How the cost grows: with the length of a history, with the number of streams, with the turns that
are remembered, and with the rows of the ledger.
"""

import os
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from statistics import median

from addon.ledger.meter import Meter
from addon.node import Node
from shared.clock import SystemClock
from shared.store import open_engine
from shared.store.ledger import balance_of
from shared.store.reports import EntryFilter, recent_entries
from tests.bench.books import each, past_entry
from tests.bench.history import make_history
from tests.bench.load import Job, Load
from tests.bench.past import make_past
from tests.bench.relaying import per_delta, percentile, spent
from tests.bench.remembered import TURNS, measure_remembered
from tests.bench.rows import Figures
from tests.bench.tables import Table, figure
from tests.bench.targets import BARE, OURS, Target, running
from tests.bench.upstream import Upstream

__all__ = ("growth",)

HISTORIES = {"125 KB": (40, 40), "2 MB": (650, 20), "20 MB": (6_500, 5)}
"""Turns, and how often they are replayed."""

STREAMS = (1, 4, 16, 64, 256)
ROUNDS = 3
ROWS = (1_000, 10_000, 100_000, 1_000_000)
STARTS = 5


def growth(directory: Path) -> list[Table]:
    """All of it; each table in a folder of its own."""
    tables = []
    for measure in (_histories_table, _streams_table, _remembered_table, _ledger_table):
        place = directory / measure.__name__
        place.mkdir()
        tables.append(measure(place))
    return tables


def _histories_table(directory: Path) -> Table:
    """The CPU of one replay, over TLS, bare and ours."""
    rows = []
    with _stage(directory) as (upstream, load, bare, ours):
        for name, (turns, replays) in HISTORIES.items():
            file = directory / f"{turns}.json"
            megabytes = make_history(ours, file, turns=turns)
            job = Job(kind="kept", each=replays, history=str(file))
            one, other = (spent(load, it, job)[0] / replays * 1e3 for it in (bare, ours))
            restored = upstream.told().restored
            found = (one, other, other / one, other / megabytes)
            rows.append((name, f"{restored:,} of {turns:,}", *map(figure, found)))
    head = ("", "turns restored", "bare ms", "ours ms", "ratio", "ours ms per MB")
    return Table("CPU of a replayed history by its length", head, rows)


def _streams_table(directory: Path) -> Table:
    """The CPU of a delta and how long it takes, over TLS, bare and ours."""
    rows = []
    with _stage(directory) as (_, load, bare, ours):
        for streams in STREAMS:
            found = [list(_paced(load, (bare, ours), streams)) for _ in range(ROUNDS)]
            one, other = ([figures[at] for figures in found] for at in (0, 1))
            cells = (_middle(target, key) for key in ("CPU", "p99") for target in (one, other))
            rows.append((f"{streams}", *map(figure, cells)))
    head = ("streams × 50/s", "bare µs", "ours µs", "bare p99 ms", "ours p99 ms")
    return Table("CPU per delta and its delay by the number of streams", head, rows)


def _paced(load: Load, targets: tuple[Target, ...], streams: int) -> Iterator[Figures]:
    for target in targets:
        cpu, sample = per_delta(load, target, streams)
        yield {"CPU": cpu * 1e6, "p99": percentile(sample.delays, 99) * 1e3}


def _middle(found: list[Figures], key: str) -> float:
    return median(figures[key] for figures in found)


@contextmanager
def _stage(directory: Path) -> Iterator[tuple[Upstream, Load, Target, Target]]:
    """Upstream, clients, bare mitmproxy and the gateway."""
    with (
        Upstream(directory) as upstream,
        Load() as load,
        running([BARE, OURS], directory, upstream, tls=True) as (bare, ours),
    ):
        yield upstream, load, bare, ours


def _remembered_table(directory: Path) -> Table:
    found = measure_remembered(directory)
    rows = [(what, *map(figure, values)) for what, values in found.items()]
    return Table("Remembered turns", ("", *(f"{turns:,}" for turns in TURNS)), rows)


def _ledger_table(directory: Path) -> Table:
    """What the data plane does with the ledger; ten times the largest is computed."""
    found = []
    for rows in ROWS:
        place = directory / f"{rows}"
        place.mkdir()
        found.append(_ledger(place, rows))
    head = ("", *(f"{rows:,}" for rows in ROWS), f"{ROWS[-1] * 10:,} (computed)")
    lines = []
    for what in found[0]:
        values = [figures[what] for figures in found]
        lines.append((what, *map(figure, [*values, _further(values)])))
    return Table("The ledger by its rows", head, lines)


def _further(values: list[float]) -> float:
    """What the next power of ten comes to: ten times the last step of what grew tenfold, the last
    step again of what grew with the depth of a tree.
    """
    before, last = values[-2:]
    step = max(0.0, last - before)
    return last + (step * 10 if last > 5 * before else step)


def _ledger(directory: Path, rows: int) -> Figures:
    file = directory / "adapter.db"
    make_past(file, exchanges=rows, asked=0)
    size = os.path.getsize(file) / 2**20
    environment = {
        "CONFIG_PATH": str(directory / "config.toml"),
        "DATABASE_URL": f"sqlite:{file}",
    }
    (directory / "config.toml").write_text("")
    with closing(open_engine(environment["DATABASE_URL"])) as engine:
        clock = SystemClock()
        meter, now = Meter(engine, clock, node="bench", version="1"), clock.now_ms()
        return {
            "MiB": size,
            "start of the data plane, ms": each(lambda _: _start(environment), STARTS) / 1e3,
            "a settlement, µs": each(lambda n: meter.settle(past_entry(rows + n), None, None)),
            "a balance, µs": each(lambda n: balance_of(engine, f"user:{n % 200}", "month", now)),
            "the latest 50 requests, µs": each(
                lambda _: recent_entries(engine, EntryFilter(), limit=50), 100
            ),
        }


def _start(environment: dict[str, str]) -> None:
    Node(environment).engine.close()
