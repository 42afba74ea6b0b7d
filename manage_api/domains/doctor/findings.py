"""What the doctor finds."""

from collections.abc import Iterable
from typing import Literal

import msgspec

__all__ = ("Finding", "Verdict", "fault", "ok", "warning", "worst")

Verdict = Literal["ok", "warning", "fault"]
_VERDICTS: tuple[Verdict, ...] = ("ok", "warning", "fault")


class Finding(msgspec.Struct, frozen=True):
    """The result of one check."""

    check: str
    """Its name, which is the same in every run."""

    verdict: Verdict
    """`fault`: something does not work; `warning`: it may be meant so."""

    seen: str
    """What was seen, as a sentence."""

    remedy: str = ""
    """What to do; empty when there is nothing to do."""


def ok(check: str, seen: str) -> Finding:
    return Finding(check, "ok", seen)


def warning(check: str, seen: str, remedy: str) -> Finding:
    return Finding(check, "warning", seen, remedy)


def fault(check: str, seen: str, remedy: str) -> Finding:
    return Finding(check, "fault", seen, remedy)


def worst(findings: Iterable[Finding]) -> Verdict:
    """Return the gravest verdict; `ok` when there is none."""
    return max((each.verdict for each in findings), key=_VERDICTS.index, default="ok")
