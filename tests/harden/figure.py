"""A figure: one promise, at what scale it was measured, and what came out."""

import os
from typing import Literal

import msgspec

__all__ = ("Figure", "at_scale")

type Length = Literal["suite", "full", "long"]

_LENGTHS: dict[str, Length] = {"": "suite", "long": "long"}
LENGTH = _LENGTHS.get(os.environ.get("HARDEN", ""), "full")
"""How much is measured: `suite` with all other tests, `full` by `make harden` (HARDEN=1),
`long` by `make harden-long` (HARDEN=long).
"""


class Figure(msgspec.Struct, frozen=True):
    """One line of the report."""

    name: str
    """As the table in docs/security.md calls it, like `F8`."""

    scale: str
    """What was done, how often: `2,000 slow heads and 400 slow bodies`."""

    measured: str
    """With its unit: `31 ms`."""

    bound: str
    """What it must not leave: `≤ 100 ms`."""

    ok: bool

    @property
    def verdict(self) -> str:
        return "holds" if self.ok else "MISSED"

    def line(self) -> str:
        """The figure for a person at a terminal."""
        return f"{self.name:4} {self.scale}: {self.measured} (bound {self.bound}) {self.verdict}"


def at_scale[T](suite: T, full: T, long: T | None = None) -> T:
    """What fits the length of this run; the long run takes the full scale unless it has its own."""
    if LENGTH == "suite":
        return suite
    if LENGTH == "long" and long is not None:
        return long
    return full
