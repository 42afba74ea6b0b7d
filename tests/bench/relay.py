"""The cost of relaying: requests, latency, streams, memory; each target in turn, several
rounds, medians.
"""

import asyncio
from collections import defaultdict
from pathlib import Path
from statistics import median, quantiles

from tests.bench.load import DELTAS, CannedUpstream, Load, request
from tests.bench.targets import Target, bare_mitmdump, gateway

__all__ = ("measure_relay",)

type Row = tuple[str, str]
"""A measure and its unit."""

type Figures = dict[Row, float]

ROUNDS = 5


async def measure_relay(directory: Path) -> dict[str, Figures]:
    """By target: the medians over all rounds."""
    server = await asyncio.get_running_loop().create_server(CannedUpstream, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    found: dict[str, defaultdict[Row, list[float]]] = {}
    with bare_mitmdump(directory, port) as bare, gateway(directory, port) as ours:
        targets = [Target("direct", port, "sk-good", None), bare, ours]
        for name in (target.name for target in targets):
            found[name] = defaultdict(list)
        for _ in range(ROUNDS):
            for measure in (_plain, _flood, _paced):
                for target in targets:
                    for row, figure in (await measure(target)).items():
                        found[target.name][row].append(figure)
        for target in targets:
            found[target.name]["RSS", "MiB"].append(target.rss_mib())
    server.close()
    await server.wait_closed()
    return {
        name: {row: median(figures) for row, figures in rows.items()}
        for name, rows in found.items()
    }


async def _plain(target: Target) -> Figures:
    load = Load(target.port, request(target.key, mode="plain"))
    await load.run(connections=1, each=20)
    alone = await load.run(connections=1, each=300)
    before = target.cpu_seconds()
    crowd = await load.run(connections=16, each=40)
    spent = target.cpu_seconds() - before
    cuts = quantiles(alone.latencies, n=100)
    return {
        ("requests/s, 1 connection", ""): alone.rate,
        ("requests/s, 16 connections", ""): crowd.rate,
        ("CPU per request", "ms"): spent / len(crowd.latencies) * 1e3,
        ("latency p50, 1 connection", "ms"): cuts[49] * 1e3,
        ("latency p99, 1 connection", "ms"): cuts[98] * 1e3,
    }


async def _flood(target: Target) -> Figures:
    load = Load(target.port, request(target.key, mode="flood"))
    sample = await load.run(connections=16, each=4)
    return {("SSE chunks/s, 16 streams", ""): sample.rate * DELTAS}


async def _paced(target: Target) -> Figures:
    load = Load(target.port, request(target.key, mode="paced"))
    before = target.cpu_seconds()
    await load.run(connections=32, each=1)
    spent = target.cpu_seconds() - before
    return {("CPU per SSE chunk, 32 paced streams", "µs"): spent / (32 * DELTAS) * 1e6}
