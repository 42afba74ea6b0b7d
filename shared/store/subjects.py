"""What users and keys have in common: names, models, limits, and pages with their usage."""

import unicodedata
from string import ascii_lowercase, ascii_uppercase
from typing import Any

import msgspec
from msgspec.structs import asdict

from shared.model import Limits
from shared.periods import day_of, window_of
from shared.store.engine import Params, Row

__all__ = (
    "NAME_MAX_CHARS",
    "folded",
    "limit_params",
    "limits_from",
    "models_from",
    "name_fault",
    "page_params",
)

NAME_MAX_CHARS = 64
_LOWER = str.maketrans(ascii_uppercase, ascii_lowercase)
_HIDDEN = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})
"""Unicode categories that don't show: controls, direction overrides, surrogates, line
separators.
"""

_JOINERS = "\u200c\u200d"
"""Invisible too, but Persian, Indic scripts and emoji are spelt with them."""


def name_fault(name: str, what: str) -> str:
    """Explain why a name of `what` (`A username`) is invalid; empty when it is valid."""
    if not 1 <= len(name) <= NAME_MAX_CHARS:
        return f"{what} must have 1 to {NAME_MAX_CHARS} characters."
    if name != name.strip():
        return f"{what} can't begin or end with a space."
    if any(unicodedata.category(char) in _HIDDEN and char not in _JOINERS for char in name):
        return f"{what} can't contain control characters."
    return ""


def folded(name: str) -> str:
    """Return the name as SQL's `lower` has it in both databases, which knows ASCII letters only."""
    return name.translate(_LOWER)


models_from = msgspec.json.Decoder(tuple[str, ...]).decode
"""Reads the model names in a column `models`."""


def limits_from(row: Row) -> Limits:
    """Read limits from quota_tokens, quota_cost_micros, period, rpm, tpm, concurrency."""
    return Limits(
        quota_tokens=row[0],
        quota_cost_micros=row[1],
        period=row[2],
        rpm=row[3],
        tpm=row[4],
        concurrency=row[5],
    )


def limit_params(models: tuple[str, ...], limits: Limits) -> dict[str, Any]:
    """Return the parameters for `models` and the columns of limits."""
    return {"models": msgspec.json.encode(models).decode(), **asdict(limits)}


def page_params(*, now_ms: int, text: str, after: int, limit: int) -> Params:
    """Return the parameters of a page.

    `text` becomes a LIKE pattern that finds it anywhere in what SQL's `lower` gives, with `\\` as
    escape character.
    """
    literal = text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
    windows = {"day": day_of(now_ms), "month": window_of("month", now_ms)}
    return windows | {"text": f"%{folded(literal)}%", "after": after, "limit": limit}
