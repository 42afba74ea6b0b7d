"""Rows of figures with their goals, as an aligned table and as JSON."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Row:
    """Figures that each have to be at most their bound. Those without a bound only inform."""

    name: str
    values: tuple[float, ...]
    bounds: tuple[float, ...] = ()
    contract: bool = False
    note: str = ""

    @property
    def is_met(self) -> bool:
        return all(value <= bound for value, bound in zip(self.values, self.bounds, strict=False))

    def verdict(self, explained: Mapping[str, str]) -> str:
        if not self.bounds:
            return "-"
        if self.is_met:
            return "at goal"
        if self.name in explained:
            return f"explained: {explained[self.name]}"
        if self.contract:
            return "MISSES"
        return "short of it"

    def breaks(self, explained: Mapping[str, str]) -> bool:
        """Whether the row is a contract that misses its goal for no accepted reason."""
        return self.contract and not self.is_met and self.name not in explained


def as_text(rows: Sequence[Row], explained: Mapping[str, str]) -> str:
    """Return one line a row, columns aligned, contracts with a star."""
    lines = [("row (* contract)", "measured", "goal", "verdict", "note")]
    for row in rows:
        mark = " *" if row.contract else ""
        verdict = row.verdict(explained)
        lines.append((row.name + mark, joined(row.values), goal(row), verdict, row.note))
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    widths[-1] = 0
    return "\n".join("  ".join(map(str.ljust, line, widths)).rstrip() for line in lines)


def goal(row: Row) -> str:
    if not row.bounds:
        return "-"
    return f"<= {joined(row.bounds)}"


def joined(values: Iterable[float]) -> str:
    return " / ".join(f"{value:g}" for value in values)


def shortened(places: Sequence[str], most: int = 3) -> str:
    """Return the first places, and how many more there are."""
    text = ", ".join(places[:most])
    if len(places) > most:
        text += f", {len(places) - most} more"
    return text


def as_json(rows: Sequence[Row], explained: Mapping[str, str]) -> str:
    """Return a list of objects with the table's columns, figures as numbers."""
    objects = [
        {
            "row": row.name,
            "measured": row.values,
            "goal": row.bounds,
            "contract": row.contract,
            "verdict": row.verdict(explained),
            "note": row.note,
        }
        for row in rows
    ]
    return json.dumps(objects, indent=2)
