"""What relaying costs each target: every measure for each target in turn, several rounds."""

import math
import sys
import time
from collections import defaultdict
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from statistics import median

import msgspec
from msgspec.structs import replace

from tests.bench.answers import DELTAS
from tests.bench.history import TURNS, make_history
from tests.bench.load import SPREAD_SECONDS, Job, Load, Sample
from tests.bench.rows import Figures
from tests.bench.targets import OURS, PLAIN_PATH, Target, running
from tests.bench.upstream import PACE, Upstream

__all__ = ("Found", "at", "measure_relaying", "per_delta", "percentile", "spent")

type Found = dict[str, dict[str, list[float]]]
"""By target and row: the figure of each round, NaN where it could not be measured."""

RESTORING = (OURS, PLAIN_PATH)
"""Targets that a history is made for, all of whose turns they restore."""

STREAMS = 64
POURED = (16, 4)
"""Connections, and streams on each one after the other, that come as fast as they go."""

REPLAYS = 20
ARRIVALS_PER_SECOND = 2.0
AT_ONCE_SECONDS = 6.0
"""About as long as the paced streams beside which histories arrive."""

LAST_SECONDS = 60
"""For a round that was begun in time, before its measures are left out."""

GIVEN_BACK_SECONDS = 7.0
"""After histories, until what they took is given back, as far as that is done."""

SETTLED_SECONDS = 0.2
"""After a job, for what a target does when the answer is out."""


class Bench(msgspec.Struct):
    """What the measures work with."""

    upstream: Upstream
    load: Load
    beside: Load
    """Clients that disturb the others."""

    histories: dict[str, str]
    """By target: the file of a conversation that it can restore."""


def measure_relaying(
    directory: Path, names: list[str], *, tls: bool, rounds: int, until: float
) -> Found:
    """The figures of all rounds; none is begun after `until`, on the monotonic clock, and no
    measure much later.
    """
    found: Found = {name: defaultdict(list) for name in names}
    with ExitStack() as stack:
        upstream = stack.enter_context(Upstream(directory))
        targets = stack.enter_context(running(names, directory, upstream, tls=tls))
        load, beside = stack.enter_context(Load()), stack.enter_context(Load())
        for target in targets:
            found[target.name]["memory idle"].append(target.memory_mib())
        bench = Bench(upstream, load, beside, _histories(directory, targets, tls=tls))
        for turn in range(rounds):
            if time.monotonic() > until:
                break
            first = turn % len(targets)
            _measure_round(bench, targets[first:] + targets[:first], found, until + LAST_SECONDS)
    return found


def _histories(directory: Path, targets: list[Target], *, tls: bool) -> dict[str, str]:
    files = {}
    for target in targets:
        if target.name in RESTORING:
            file = directory / f"{target.name}{tls}.json"
            make_history(target, file)
            files[target.name] = str(file)
    return {target.name: files.get(target.name, files[OURS]) for target in targets}


def _measure_round(bench: Bench, targets: list[Target], found: Found, until: float) -> None:
    for measure, rows in MEASURES.items():
        if time.monotonic() > until:
            return
        for target in targets:
            try:
                figures = measure(bench, target)
            except RuntimeError as error:
                sys.stderr.write(f"{target.name}, {', '.join(rows)}: {error}\n")
                figures = dict.fromkeys(rows, math.nan)
            for row, figure in figures.items():
                found[target.name][row].append(figure)


def _kept(connections: int, each: int) -> Callable[[Bench, Target], Figures]:
    def measure(bench: Bench, target: Target) -> Figures:
        job = Job(kind="kept", connections=connections, each=each)
        cpu, sample = spent(bench.load, target, job)
        figures = {f"request, {connections} kept": cpu / len(sample.answers) * 1e6}
        if connections > 1:
            figures["requests/s"] = sample.rate
        return figures

    return measure


def _fresh(bench: Bench, target: Target) -> Figures:
    cpu, sample = spent(bench.load, target, Job(kind="fresh", each=300))
    return {"request, fresh": cpu / len(sample.answers) * 1e6}


def _timed(bench: Bench, target: Target) -> Figures:
    cpu, sample = spent(bench.load, target, Job(kind="timed", each=320, rate=40.0))
    seconds = [answer.seconds for answer in sample.answers]
    return {
        "40/s, CPU": cpu / len(seconds) * 1e6,
        "40/s, p99": percentile(seconds, 99) * 1e3,
    }


def _paced(bench: Bench, target: Target) -> Figures:
    cpu, sample = per_delta(bench.load, target, STREAMS)
    return {
        "delta, paced": cpu * 1e6,
        "first delta": median(answer.first for answer in sample.answers) * 1e3,
        "delay": percentile(sample.delays, 99) * 1e3,
    }


def _poured(bench: Bench, target: Target) -> Figures:
    connections, each = POURED
    job = Job(kind="kept", mode="flood", connections=connections, each=each)
    cpu, _ = spent(bench.load, target, job)
    return {"delta, poured": cpu / (connections * each * DELTAS) * 1e6}


def _history(bench: Bench, target: Target) -> Figures:
    job = Job(kind="kept", each=REPLAYS, history=bench.histories[target.name])
    cpu, _ = spent(bench.load, target, job)
    restored = bench.upstream.told().restored
    if target.name in RESTORING and restored != TURNS:
        raise RuntimeError(f"{restored} of {TURNS} turns were restored")
    time.sleep(GIVEN_BACK_SECONDS)
    return {"history": cpu / REPLAYS * 1e3, "memory after": target.memory_mib()}


def _disturbed(bench: Bench, target: Target) -> Figures:
    arrivals = Job(
        kind="timed",
        each=int(AT_ONCE_SECONDS * ARRIVALS_PER_SECOND),
        rate=ARRIVALS_PER_SECOND,
        history=bench.histories[target.name],
    )
    bench.beside.begin(at(target, arrivals))
    try:
        job = Job(kind="kept", mode="paced", connections=STREAMS)
        return {"delay beside": percentile(bench.load.run(at(target, job)).delays, 99) * 1e3}
    finally:
        bench.beside.end()


def _connections(bench: Bench, target: Target) -> Figures:
    before = bench.upstream.told().connections
    bench.load.run(at(target, Job(kind="fresh", each=100)))
    return {"handshakes": bench.upstream.told().connections - before - 1}


MEASURES: dict[Callable[[Bench, Target], Figures], tuple[str, ...]] = {
    _paced: ("delta, paced", "first delta", "delay"),
    _poured: ("delta, poured",),
    _kept(1, 600): ("request, 1 kept",),
    _kept(16, 60): ("request, 16 kept", "requests/s"),
    _fresh: ("request, fresh",),
    _timed: ("40/s, CPU", "40/s, p99"),
    _history: ("history", "memory after"),
    _disturbed: ("delay beside",),
    _connections: ("handshakes",),
}
"""With the rows that each gives."""


def spent(load: Load, target: Target, job: Job) -> tuple[float, Sample]:
    """The CPU seconds that a job took of the target, and what came of it."""
    before = target.cpu_seconds()
    sample = load.run(at(target, job))
    time.sleep(SETTLED_SECONDS)
    return target.cpu_seconds() - before, sample


def per_delta(load: Load, target: Target, streams: int) -> tuple[float, Sample]:
    """The CPU seconds that each delta takes while so many paced streams run, without what their
    beginnings and ends take, and what came of them.
    """
    load.begin(at(target, Job(kind="kept", mode="paced", connections=streams)))
    time.sleep(SPREAD_SECONDS + SETTLED_SECONDS)
    since, before = time.monotonic(), target.cpu_seconds()
    time.sleep(DELTAS * PACE - SPREAD_SECONDS - 2 * SETTLED_SECONDS)
    cpu, until = target.cpu_seconds() - before, time.monotonic()
    sample = load.end()
    return cpu / max(1, sample.deltas(since, until)), sample


def at(target: Target, job: Job) -> Job:
    """The job done at this target."""
    return replace(job, port=target.port, key=target.key, authority=target.authority)


def percentile(values: list[float], percent: int) -> float:
    return sorted(values)[len(values) * percent // 100]
