"""Tables of what was measured, for a terminal and for a page."""

import math
from collections.abc import Sequence

import msgspec

__all__ = ("Table", "figure", "placed")


class Table(msgspec.Struct, frozen=True):
    """One table; of its columns all but the first hold figures."""

    title: str
    head: tuple[str, ...]
    rows: Sequence[tuple[str, ...]]

    def text(self) -> str:
        """With columns as wide as they need to be."""
        lines = [self.head, *self.rows]
        widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
        padded = (
            line[0].ljust(widths[0])
            + "".join(
                f"  {cell:>{width}}" for cell, width in zip(line[1:], widths[1:], strict=True)
            )
            for line in lines
        )
        return "\n".join([f"\n{self.title}", *(line.rstrip() for line in padded)])

    def markdown(self) -> str:
        lines = [self.head, ("---", *["---:"] * (len(self.head) - 1)), *self.rows]
        return "\n".join([f"{self.title}:", "", *(f"| {' | '.join(line)} |" for line in lines)])


def figure(value: float) -> str:
    """With three digits that count."""
    if math.isnan(value):
        return "–"
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.3g}"


def placed(page: str, name: str, text: str) -> str:
    """The page with the text between the two marks of this name."""
    begin, end = f"<!-- {name}: written by make bench-full -->", f"<!-- end of {name} -->"
    before, _, rest = page.partition(begin)
    _, ended, after = rest.partition(end)
    if not ended:
        raise ValueError(f"the page lacks {begin} or {end}")
    return f"{before}{begin}\n\n{text}\n\n{end}{after}"
