"""A cluster under load, whose data planes are killed and told to leave; and what is wrong after."""

import threading
import time
from collections import Counter
from collections.abc import Iterator
from random import Random
from signal import SIGKILL, SIGTERM, Signals
from typing import NamedTuple

import msgspec

from shared.store.engine import Engine
from tests.cluster.load import Load
from tests.cluster.topology import Topology
from tests.cluster.upstream import Upstream
from tests.harden.figure import Figure
from tests.support.counting import Count
from tests.support.gateway import eventually

__all__ = ("FULL", "SHORT", "Scale", "run")

LOST_SECONDS = 60
"""After so long a node that lives has settled what dead ones left open."""

SETTLED_SECONDS = 10
"""A queue of writes takes less."""


class Scale(msgspec.Struct, frozen=True, kw_only=True):
    """How long, and what happens meanwhile; in seconds."""

    seconds: float
    kill_every: float
    leave_every: float
    clients: int
    until_settled: bool
    """Whether to wait until what killed nodes left open counts as lost."""


SHORT = Scale(seconds=5, kill_every=2, leave_every=3, clients=3, until_settled=False)
FULL = Scale(seconds=300, kill_every=20, leave_every=30, clients=8, until_settled=True)


class _End(NamedTuple):
    """A signal to a data plane, which got it between two times."""

    before: float
    after: float
    how: Signals


def run(topology: Topology, upstream: Upstream, scale: Scale) -> Iterator[Figure]:
    """Run it, and measure."""
    keys = [topology.new_user(f"user-{who}") for who in range(scale.clients)]
    load = Load(topology.base_url, keys)
    with load.running():
        ended = _end_again_and_again(topology, scale)
    kills = [one for one in ended if one.how == SIGKILL]
    counted = Counter(one.how.name for one in ended)
    told = f"{counted['SIGKILL']} kills, {counted['SIGTERM']} stops, {len(load.whole):,} answers"
    yield from _served(load, upstream, kills, told)
    yield from _booked(topology.books(), load, upstream, told, settled=scale.until_settled)


def _end_again_and_again(topology: Topology, scale: Scale) -> list[_End]:
    """End one data plane after the other."""
    rng, over, ended, began = Random(1), threading.Event(), [], time.monotonic()
    for second, how in _schedule(scale):
        over.wait(max(0, began + second - time.monotonic()))
        one, before = rng.choice(topology.data_planes()), time.monotonic()
        topology.end(one, how)
        ended.append(_End(before, time.monotonic(), how))
    over.wait(min(scale.kill_every, scale.leave_every))
    return ended


def _schedule(scale: Scale) -> list[tuple[float, Signals]]:
    ends = [(scale.kill_every, SIGKILL), (scale.leave_every, SIGTERM)]
    return sorted(
        (every * number, how)
        for every, how in ends
        for number in range(1, int(scale.seconds / every) + 1)
    )


def _served(load: Load, upstream: Upstream, kills: list[_End], told: str) -> Iterator[Figure]:
    unexplained = [
        why
        for began, over, why in load.cut
        if not any(began <= kill.after and kill.before <= over for kill in kills)
    ]
    rejected = [*load.rejected, *map(repr, upstream.rejections)]
    yield Figure(
        "turns",
        told,
        f"{len(rejected)} rejected {rejected[:1] or ''}",
        "0",
        bool(load.whole) and not rejected,
    )
    yield Figure(
        "port",
        told,
        f"{len(load.refused)} refused, {len(unexplained)} of {len(load.cut)} cut by no kill "
        f"{[*load.refused, *unexplained][:1] or ''}",
        "0 and 0",
        not load.refused and not unexplained,
    )


def _booked(
    books: Engine, load: Load, upstream: Upstream, told: str, *, settled: bool
) -> Iterator[Figure]:
    seconds = LOST_SECONDS if settled else SETTLED_SECONDS
    eventually(lambda: not _missing(books, load, upstream, settled=settled), seconds)
    rows = _rows(books)
    missing = _missing(books, load, upstream, settled=settled)
    twice = [model for model, found in rows.items() if len(found) > 1]
    other = [model for model in load.whole if rows.get(model, []) != upstream.books[model]]
    yield Figure(
        "rows",
        told,
        f"{len(missing)} lost, {len(twice)} doubled, {len(other)} with other tokens than the "
        f"upstream's books {sorted({*missing, *twice, *other})[:3] or ''}",
        "0, 0, 0",
        not (missing or twice or other),
    )
    sums = _sums(books)
    yield Figure("sums", told, f"{sums}", "equal", len(set(sums)) == 1)


def _missing(books: Engine, load: Load, upstream: Upstream, *, settled: bool) -> list[str]:
    """The models of which the upstream has an answer in its books and ours have nothing; an answer
    that was cut may be open still, until it counts as lost.
    """
    known = {*_rows(books)}
    if not settled:
        known |= {*_open(books)} - {*load.whole}
    return sorted({*upstream.books} - known)


def _rows(books: Engine) -> dict[str, list[Count]]:
    rows = books.read("SELECT model, prompt_tokens, completion_tokens FROM ledger")
    found: dict[str, list[Count]] = {}
    for model, prompt, completion in rows:
        found.setdefault(model, []).append(Count(prompt, completion))
    return found


def _open(books: Engine) -> list[str]:
    return [
        msgspec.json.decode(entry)["model"]
        for (entry,) in books.read("SELECT entry FROM open_exchanges")
    ]


def _sums(books: Engine) -> tuple[int, int, int]:
    """The tokens of the ledger's rows, of its days, and of what users have spent."""
    [(of_rows,)] = books.read("SELECT SUM(prompt_tokens + completion_tokens) FROM ledger")
    [(of_days,)] = books.read("SELECT SUM(prompt_tokens + completion_tokens) FROM usage_daily")
    [(spent,)] = books.read(
        "SELECT SUM(tokens) FROM spending WHERE period = 'lifetime' AND subject LIKE 'user:%'"
    )
    return of_rows, of_days, spent
