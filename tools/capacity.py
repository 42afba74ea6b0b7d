"""Say what a number of developers needs, and what breaks first: `python -m tools.capacity 1000`.

The costs are those of docs/performance.md, of one core of that machine. The busiest minutes are
simulated: requests come at random, each with an answer of its own length, and what runs at once
is counted second by second. `--write` puts the tables into docs/scaling.md.
"""

import argparse
import math
import random
from collections.abc import Iterator, Sequence
from functools import cache
from itertools import accumulate
from pathlib import Path

import msgspec

__all__ = ("COSTS", "DAY", "Costs", "Day", "Limit", "Peak", "limits", "main", "simulate", "written")

PAGE = Path(__file__).parents[1] / "docs" / "scaling.md"
BEGIN = "<!-- capacity: written by python -m tools.capacity --write -->"
END = "<!-- end of capacity -->"
SIZES = (10, 1_000, 100_000)


class Day(msgspec.Struct, frozen=True, kw_only=True):
    """How a developer with a coding agent works."""

    requests: int = 320
    """A day: an agent asks again after each of its tools."""

    hours: float = 8
    peak: float = 3
    """How much busier the busiest hour is than the mean one."""

    answer_seconds: float = 20
    """The mean; half of the answers are shorter than half of it."""

    deltas_per_second: float = 25
    """Of one answer; providers send less often than tokens come."""

    history_mb: float = 0.25
    """A request's body: the conversation so far."""

    new_kb: float = 60
    """What of it comes for the first time."""


class Costs(msgspec.Struct, frozen=True, kw_only=True):
    """What things cost on one core and in the database."""

    request_ms: float = 2.6
    delta_ms: float = 0.104
    history_ms_per_mb: float = 16
    rows: int = 20
    """Written for a request: opening 2, turn 7, day, spending 6, ledger, conversation, audit."""

    recall_kb: float = 4
    ledger_kb: float = 2
    audit_kb: float = 6
    """With the last message of each request; all messages take some 8 KB more."""

    worker_mb: int = 110
    """A data plane that has seen long conversations."""

    connections: int = 4
    """A process' to PostgreSQL; a node has a sidecar beside its workers."""

    busy: float = 0.6
    """How much of a core may be used at the peak: beyond it, deltas wait for each other."""


class Peak(msgspec.Struct, frozen=True, kw_only=True):
    """The busiest minutes; what is counted each second at its 99th percentile."""

    requests: float
    streams: float
    deltas: float
    rows: float
    cores: float


class Limit(msgspec.Struct, frozen=True, kw_only=True):
    """Something that is used up."""

    name: str
    used: float
    """Its part that is needed: from 1 on it breaks."""

    remedy: str


DAY, COSTS = Day(), Costs()

SPREAD = 1.18
"""Of the logarithm of an answer's length: the median is then half of the mean."""

MOST_REQUESTS, MINUTES = 300_000, 10
"""Simulated; of more developers a shorter time is."""


@cache
def simulate(developers: int, day: Day = DAY, costs: Costs = COSTS, seed: int = 1) -> Peak:
    """The busiest minutes of that many developers."""
    chance = random.Random(seed)
    rate = developers * day.requests / (day.hours * 3600) * day.peak
    warm = int(day.answer_seconds * 6)  # until as many answers end as begin
    seconds = warm + int(min(MINUTES * 60, max(60, MOST_REQUESTS / rate)))
    began = [0] * seconds
    change = [0] * (seconds + 1)
    at = chance.expovariate(rate)
    while at < seconds:
        began[int(at)] += 1
        lasts = chance.lognormvariate(math.log(day.answer_seconds / 2), SPREAD)
        change[int(at)] += 1
        change[min(seconds, int(at + lasts) + 1)] -= 1
        at += chance.expovariate(rate)
    return _peak(began[warm:], list(accumulate(change))[warm:seconds], day, costs)


def _peak(began: Sequence[int], running: Sequence[int], day: Day, costs: Costs) -> Peak:
    request_ms = costs.request_ms + day.history_mb * costs.history_ms_per_mb
    delta_ms = day.deltas_per_second * costs.delta_ms
    cores = [
        (new * request_ms + streams * delta_ms) / 1000
        for new, streams in zip(began, running, strict=True)
    ]
    requests, streams = _p99(began), _p99(running)
    return Peak(
        requests=requests,
        streams=streams,
        deltas=streams * day.deltas_per_second,
        rows=requests * costs.rows,
        cores=_p99(cores),
    )


def _p99(values: Sequence[float]) -> float:
    return sorted(values)[math.ceil(len(values) * 0.99) - 1]


def workers(peak: Peak, costs: Costs = COSTS) -> int:
    """How many data planes carry it."""
    return max(1, math.ceil(peak.cores / costs.busy))


ROWS_PER_SECOND = {"SQLite": 7_800, "PostgreSQL": 11_000}
"""What one worker wrote to SQLite while it answered 393 requests/s, and many connections to one
PostgreSQL, on the machine of docs/performance.md.
"""

RECALL_MIB, RECALL_DAYS = 20_480, 30
"""The most that `[recall] max_mib` is by default, and its `max_age_days`."""

AUDIT_MIB, AUDIT_DAYS = 1_024, 90
LEDGER_DAYS = 365

MAX_CONNECTIONS = 100
"""PostgreSQL's default (https://www.postgresql.org/docs/15/runtime-config-connection.html)."""

CORES, WORKERS_PER_NODE, LEDGER_GB = 16, 4, 500
"""A large machine; a node of the cluster; a table whose old rows can still be deleted."""


def limits(developers: int, day: Day = DAY, costs: Costs = COSTS) -> list[Limit]:
    """What is used up by that many developers, first what breaks first."""
    peak = simulate(developers, day, costs)
    requests = developers * day.requests
    number = workers(peak, costs)
    processes = number + math.ceil(number / WORKERS_PER_NODE)
    found = (
        Limit(
            name="one core",
            used=peak.cores / costs.busy,
            remedy="`[server] workers`",
        ),
        Limit(
            name=f"one machine of {CORES} cores",
            used=number / (CORES - 1),
            remedy="more nodes over one PostgreSQL",
        ),
        Limit(
            name="SQLite's one writer",
            used=peak.rows / ROWS_PER_SECOND["SQLite"],
            remedy="PostgreSQL",
        ),
        Limit(
            name="one PostgreSQL of 4 cores",
            used=peak.rows / ROWS_PER_SECOND["PostgreSQL"],
            remedy="more cores and disks for it; rooms of users with a database each",
        ),
        Limit(
            name=f"`[recall] max_mib` = {RECALL_MIB:,}, for {RECALL_DAYS} days",
            used=requests * costs.recall_kb * RECALL_DAYS / (RECALL_MIB * 1024),
            remedy="a larger `max_mib`, or fewer days",
        ),
        Limit(
            name=f"`[audit] max_mib` = {AUDIT_MIB:,}, for {AUDIT_DAYS} days",
            used=requests * costs.audit_kb * AUDIT_DAYS / (AUDIT_MIB * 1024),
            remedy="a larger `max_mib`, or fewer days",
        ),
        Limit(
            name=f"{LEDGER_GB} GB of ledger, for {LEDGER_DAYS} days",
            used=requests * costs.ledger_kb * LEDGER_DAYS / LEDGER_GB / 1e6,
            remedy="fewer days; partitions by month",
        ),
        Limit(
            name=f"PostgreSQL's {MAX_CONNECTIONS} connections",
            used=processes * costs.connections / MAX_CONNECTIONS,
            remedy="pgbouncer",
        ),
    )
    return sorted(found, key=lambda one: -one.used)


def table(developers: Sequence[int], day: Day = DAY, costs: Costs = COSTS) -> str:
    """What they need, a column for each number of developers, in Markdown."""
    head = ["developers", *(f"{number:,}" for number in developers)]
    columns = [_needs(number, day, costs) for number in developers]
    rows = [[name, *(column[name] for column in columns)] for name in columns[0]]
    return _markdown([head, *rows])


def _needs(developers: int, day: Day, costs: Costs) -> dict[str, str]:
    peak = simulate(developers, day, costs)
    requests = developers * day.requests
    number = workers(peak, costs)
    return {
        "requests a day": f"{requests:,}",
        "requests/s, mean and peak": f"{_short(requests / day.hours / 3600)}, {peak.requests:,}",
        "answers at once, peak": f"{peak.streams:,}",
        "deltas/s, peak": f"{peak.deltas:,.0f}",
        "cores of the data planes, peak": _short(peak.cores),
        "workers": f"{number:,}",
        "memory of the workers": _bytes(number * costs.worker_mb * 1e6),
        "rows written/s, peak": f"{peak.rows:,.0f}",
        "from clients a day": _bytes(requests * day.history_mb * 1e6),
        "remembered turns a day": _bytes(requests * costs.recall_kb * 1e3),
        "ledger a day": _bytes(requests * costs.ledger_kb * 1e3),
        "audit a day": _bytes(requests * costs.audit_kb * 1e3),
        "breaks first": _first(limits(developers, day, costs)[0]),
    }


def _first(limit: Limit) -> str:
    if limit.used < 1:
        return "nothing"
    return limit.name


def breaks(developers: Sequence[int], day: Day = DAY, costs: Costs = COSTS) -> str:
    """How much of each limit they use, in Markdown."""
    columns = [{one.name: one for one in limits(number, day, costs)} for number in developers]
    head = ["used up", *(f"{number:,}" for number in developers), "then"]
    rows = [
        [name, *(_share(column[name].used) for column in columns), limit.remedy]
        for name, limit in columns[-1].items()
    ]
    return _markdown([head, *rows])


def _share(used: float) -> str:
    if used >= 1:
        return f"**{_short(used)} ×**"
    return f"{math.ceil(used * 100)} %"


def _short(value: float) -> str:
    """Two digits that count."""
    if value >= 10:
        return f"{value:,.0f}"
    return f"{value:.2g}"


def _bytes(value: float) -> str:
    for unit, size in (("TB", 1e12), ("GB", 1e9), ("MB", 1e6)):
        if value >= size:
            return f"{_short(value / size)} {unit}"
    return f"{_short(value / 1e3)} KB"


def _markdown(rows: Sequence[Sequence[str]]) -> str:
    rule = ["---", *("---:" for _ in rows[0][1:])]
    return "\n".join(f"| {' | '.join(row)} |" for row in (rows[0], rule, *rows[1:]))


def written(page: str) -> str:
    """The page with the tables of today's figures."""
    before, begin, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not (begin and end):
        raise ValueError(f"{PAGE.name} lacks {BEGIN} or {END}")
    tables = f"{table(SIZES)}\n\n{breaks(SIZES)}"
    return f"{before}{BEGIN}\n\n{tables}\n\n{END}{after}"


def main(arguments: Sequence[str] | None = None) -> None:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m tools.capacity", description=__doc__)
    parser.add_argument("developers", nargs="*", type=int, default=SIZES)
    parser.add_argument("--write", action="store_true", help="put the tables into docs/scaling.md")
    for name, about in _options():
        parser.add_argument(f"--{name.replace('_', '-')}", type=float, metavar="N", help=about)
    asked = parser.parse_args(arguments)
    if asked.write:
        PAGE.write_text(written(PAGE.read_text("utf-8")), "utf-8")
        return
    changed = {name: vars(asked)[name] for name, _ in _options() if vars(asked)[name] is not None}
    day = msgspec.structs.replace(DAY, **changed)
    print(f"{table(asked.developers, day)}\n\n{breaks(asked.developers, day)}")


def _options() -> Iterator[tuple[str, str]]:
    for field in msgspec.structs.fields(Day):
        yield field.name, f"of a developer's day; {field.default} by default"


if __name__ == "__main__":
    main()
