"""The table: what is promised of the gateway beside bare mitmproxy, and what came out."""

import math
from statistics import median
from typing import Literal

import msgspec

__all__ = ("ROWS", "Figures", "Row", "Verdict", "judge", "middle", "multiples")

type Figures = dict[str, float]
"""By the key of a row."""

type Verdict = Literal["holds", "aim missed", "MISSED", "not measured"]


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """One promise."""

    key: str
    title: str
    unit: str
    must: float
    """The worst multiple of bare mitmproxy's figure; a count where the row is `counted`."""

    aim: float
    grows: bool = False
    """Whether more is better."""

    counted: bool = False
    against: str = ""
    """The key of bare mitmproxy's figure, where that is another row's."""

    @property
    def beside(self) -> str:
        return self.against or self.key

    def verdict(self, value: float) -> Verdict:
        """What a multiple, or a count, comes to."""
        if math.isnan(value):
            return "not measured"
        if self._reaches(value, self.aim):
            return "holds"
        return "aim missed" if self._reaches(value, self.must) else "MISSED"

    def _reaches(self, value: float, bound: float) -> bool:
        return value >= bound if self.grows else value <= bound

    def bound(self, value: float) -> str:
        return f"{'≥' if self.grows else '≤'} {value:g}"


def _row(key: str, title: str, unit: str, must: float, aim: float) -> Row:
    return Row(key=key, title=title, unit=unit, must=must, aim=aim)


ROWS = (
    _row("delta, paced", "CPU per delta, 64 streams × 50/s", "µs", 0.8, 0.4),
    _row("delta, poured", "CPU per delta, as fast as they come", "µs", 0.8, 0.4),
    _row("request, 1 kept", "CPU per small request, 1 connection", "µs", 1.2, 0.8),
    _row("request, 16 kept", "CPU per small request, 16 connections", "µs", 1.2, 0.8),
    _row("request, fresh", "CPU per small request, a new connection each", "µs", 1.2, 0.8),
    Row(
        key="requests/s",
        title="requests/s, 16 connections",
        unit="/s",
        must=0.9,
        aim=1.2,
        grows=True,
    ),
    _row("40/s, CPU", "40 requests/s, a connection each: CPU per request", "µs", 1.3, 1),
    _row("40/s, p99", "40 requests/s, a connection each: p99", "ms", 1.2, 1),
    _row("first delta", "first delta p50, 64 paced streams", "ms", 0.8, 0.6),
    _row("delay", "delay per delta p99, 64 × 50/s", "ms", 0.8, 0.4),
    _row("history", "a 2 MB history of 1,300 messages: CPU", "ms", 2.5, 1.5),
    _row("delay beside", "others' delay per delta p99, two such each second", "ms", 2, 1.2),
    _row("memory idle", "memory of all processes, idle", "MiB", 2.5, 1.8),
    Row(
        key="memory after",
        title="memory of all processes after histories, to bare's idle",
        unit="MiB",
        must=2.5,
        aim=1.8,
        against="memory idle",
    ),
    Row(
        key="handshakes",
        title="upstream connections for 100 requests on 100 new ones",
        unit="",
        must=5,
        aim=2,
        counted=True,
    ),
)


def judge(row: Row, bare: list[float], ours: list[float]) -> tuple[float, Verdict]:
    """The median of the rounds' multiples, or of their counts, and what it comes to."""
    value = middle(ours) if row.counted else middle(multiples(bare, ours))
    return value, row.verdict(value)


def multiples(bare: list[float], ours: list[float]) -> list[float]:
    """Of each round; of the first one where bare mitmproxy's figure was taken once."""
    bare = bare * len(ours) if len(bare) == 1 else bare
    return [other / one for one, other in zip(bare, ours, strict=True)]


def middle(values: list[float]) -> float:
    """The median; NaN where a round could not be measured."""
    if not values or any(map(math.isnan, values)):
        return math.nan
    return median(values)
