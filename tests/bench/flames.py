"""`python -m tests.bench.flames PAGE.svg`: where the time of the data plane goes, as flame graphs of
a delta, a small request and a long history.

A gateway runs in this process, and a timer of its CPU time has its stack noted. What C does is in
the Python function that called it.
"""

import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from html import escape
from pathlib import Path
from types import FrameType

import msgspec

from tests.bench.answers import DELTAS
from tests.bench.history import make_history
from tests.bench.load import Job, Load
from tests.bench.relaying import at
from tests.bench.stage import file_of, with_gateway
from tests.bench.targets import OURS, Target
from tests.bench.upstream import Upstream

__all__ = ("Flames", "svg")

SAMPLE_SECONDS = 0.001
"""Of CPU time; the kernel makes four milliseconds of it."""

LEAST = 0.004
"""Part of a graph that a frame must have to be drawn: less has no room for a letter."""

WIDTH, ROW, MARGIN = 1200, 17, 10
COLOURS = {
    "addon": "#f4a259",
    "shared": "#f4a259",
    "mitmproxy": "#8cb4d8",
    "asyncio": "#c9c9c9",
    "other": "#a8d5a2",
}
LEGEND = {
    "addon": "Thinkback",
    "mitmproxy": "mitmproxy",
    "asyncio": "asyncio",
    "other": "other libraries",
}

CALLBACK = "asyncio/events.py Handle._run"
"""What the loop calls, it calls through this."""

SLICE = "addon/formats/wire/pace.py _Worker.run"
"""Long work has a stack of its own."""

type Stack = tuple[str, ...]
"""`addon/edge/stream.py Stream.feed`, the outermost first."""


class Flames(msgspec.Struct, frozen=True):
    """One graph."""

    title: str
    microseconds: float
    """Of CPU that one takes."""

    stacks: Counter[Stack]


class _Sampler:
    """Notes what the main thread does."""

    def __init__(self) -> None:
        self.stacks: Counter[Stack] = Counter()
        signal.signal(signal.SIGPROF, self._note)

    def run(self, load: Load, job: Job, title: str, ones: int) -> Flames:
        """The graph of a job in which there are so many of what the title says."""
        self.stacks = Counter()
        before = time.process_time()
        signal.setitimer(signal.ITIMER_PROF, SAMPLE_SECONDS, SAMPLE_SECONDS)
        load.run(job)
        signal.setitimer(signal.ITIMER_PROF, 0)
        return Flames(title, (time.process_time() - before) / ones * 1e6, self.stacks)

    def _note(self, number: int, frame: FrameType | None) -> None:
        stack = []
        while frame is not None:
            code = frame.f_code
            stack.append(f"{file_of(code.co_filename)} {code.co_qualname}")
            frame = frame.f_back
        if shown := _shown(tuple(reversed(stack))):
            self.stacks[shown] += 1


def _shown(stack: Stack) -> Stack:
    """Without what starts the loop; nothing of a loop that waits, or wakes for the timer."""
    if stack and stack[0] == SLICE:
        return stack
    _, found, inner = ("\n".join(stack) + "\n").partition(f"{CALLBACK}\n")
    if not found or inner.endswith("_read_from_self\n"):
        return ()
    return tuple(inner.splitlines())


def measure() -> list[Flames]:
    """The graphs, of a gateway with a TLS upstream."""
    with tempfile.TemporaryDirectory() as folder, Load() as load:
        directory = Path(folder)
        with Upstream(directory) as upstream:
            sampler = _Sampler()

            def play(port: int, key: str) -> list[Flames]:
                return list(
                    _graphs(sampler, load, Target(name=OURS, port=port, key=key), directory)
                )

            return with_gateway(directory, upstream.base_url(tls=True), upstream.authority, play)


def _graphs(sampler: _Sampler, load: Load, target: Target, directory: Path) -> Iterator[Flames]:
    streams, requests, replays = 64, (16, 100), 20
    load.run(at(target, Job(kind="kept", each=100)))
    paced = at(target, Job(kind="kept", mode="paced", connections=streams))
    title = f"a delta, {streams} streams × 50/s"
    yield sampler.run(load, paced, title, streams * DELTAS)
    small = at(target, Job(kind="kept", connections=requests[0], each=requests[1]))
    title = f"a small request, {requests[0]} connections"
    yield sampler.run(load, small, title, requests[0] * requests[1])
    file = directory / "history.json"
    make_history(target, file)
    long = at(target, Job(kind="kept", each=replays, history=str(file)))
    yield sampler.run(load, long, "a replayed history of 2 MB and 1,300 messages", replays)


# -- drawing ---------------------------------------------------------------------------------------


class _Frame:
    """A function at one place of the stacks, with what it calls."""

    def __init__(self) -> None:
        self.samples = 0
        self.called: dict[str, _Frame] = {}

    def add(self, stack: Stack, samples: int) -> None:
        self.samples += samples
        if stack:
            self.called.setdefault(stack[0], _Frame()).add(stack[1:], samples)

    def depth(self, least: float) -> int:
        deeper = [each.depth(least) for each in self.called.values() if each.samples >= least]
        return 1 + max(deeper, default=0)


def svg(graphs: list[Flames]) -> str:
    """The graphs below each other, the outermost function on top of each."""
    drawn, top = [*_legend()], 3.0 * ROW
    for graph in graphs:
        root = _Frame()
        for stack, samples in graph.stacks.items():
            root.add(stack, samples)
        drawn += _draw(graph, root, top)
        top += (root.depth(root.samples * LEAST) + 2) * ROW
    size = f'width="{WIDTH}" height="{top:g}" viewBox="0 0 {WIDTH} {top:g}"'
    style = "<style>text{font:11px sans-serif;fill:#222}rect{stroke:#fff;stroke-width:.5}</style>"
    head = f'<svg xmlns="http://www.w3.org/2000/svg" {size}>{style}'
    background = f'<rect width="{WIDTH}" height="{top:g}" fill="#fff"/>'
    return "\n".join([head, background, *drawn, "</svg>", ""])


def _legend() -> Iterator[str]:
    for number, (kind, name) in enumerate(LEGEND.items()):
        left = MARGIN + number * 150
        yield f'<rect x="{left}" y="8" width="14" height="14" fill="{COLOURS[kind]}"/>'
        yield f'<text x="{left + 20}" y="19">{name}</text>'


def _draw(graph: Flames, root: _Frame, top: float) -> Iterator[str]:
    title = f"{graph.title}: {graph.microseconds:,.0f} µs of CPU"
    yield f'<text x="{MARGIN}" y="{top - 4:g}" font-weight="bold">{escape(title)}</text>'
    scale = (WIDTH - 2 * MARGIN) / max(1, root.samples)
    unit = graph.microseconds / max(1, root.samples)
    yield from _rows(root, MARGIN, top, scale, unit, root.samples * LEAST)


def _rows(
    frame: _Frame, left: float, top: float, scale: float, unit: float, least: float
) -> Iterator[str]:
    for name, called in sorted(frame.called.items(), key=lambda each: -each[1].samples):
        if called.samples >= least:
            width = called.samples * scale
            yield _box(name, left, top, width, called.samples * unit)
            yield from _rows(called, left, top + ROW, scale, unit, least)
            left += width


def _box(name: str, left: float, top: float, width: float, microseconds: float) -> str:
    kind = name.partition("/")[0]
    colour = COLOURS.get(kind, COLOURS["other"])
    short = name.partition(" ")[2].replace("<locals>.", "")[: int(width / 6.8)]
    return (
        f"<g><title>{escape(name)}: {microseconds:,.1f} µs</title>"
        f'<rect x="{left:.1f}" y="{top:g}" width="{width:.1f}" height="{ROW - 1}" fill="{colour}"/>'
        f'<text x="{left + 3:.1f}" y="{top + 12:g}">{escape(short)}</text></g>'
    )


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(svg(measure()), "utf-8")
