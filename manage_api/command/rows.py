"""Rows that the commands print: a table for people, or a JSON object a line."""

from datetime import UTC, datetime
from typing import Any

import click
import msgspec

from manage_api.domains.limits import limits_words
from shared.model import Limits

__all__ = ("as_json", "show", "show_all")

as_json = click.option("--json", "as_json", is_flag=True, help="Print one JSON object per line.")


def show(row: dict[str, Any], as_json: bool) -> None:
    """Print one row, with the secrets that are shown this once."""
    if as_json:
        click.echo(msgspec.json.encode(row))
        return
    for name, value in row.items():
        click.echo(f"{name.replace('_', ' '):<22}{_text(name, value)}")


def show_all(rows: list[dict[str, Any]], as_json: bool) -> None:
    if as_json:
        for row in rows:
            click.echo(msgspec.json.encode(row))
        return
    if not rows:
        return
    cells = [[_text(name, value) for name, value in row.items()] for row in rows]
    texts = [list(rows[0]), *cells]
    widths = [max(map(len, column)) for column in zip(*texts, strict=True)]
    for text in texts:
        line = "  ".join(map(str.ljust, text, widths))
        click.echo(line.rstrip())


def _text(name: str, value: Any) -> str:
    """Return a field of a row as people read it."""
    match value:
        case None:
            return "-"
        case True:
            return "yes"
        case False:
            return "no"
        case Limits():
            return "; ".join(limits_words(value)) or "none"
        case tuple():
            return ", ".join(value) or "all"
        case int() if name.endswith("_at"):
            return f"{datetime.fromtimestamp(value // 1000, UTC):%Y-%m-%d %H:%M:%S}"
    return str(value)
