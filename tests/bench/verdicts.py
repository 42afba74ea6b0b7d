"""What was measured of relaying, as tables: the promises and their verdicts, the others beside
bare mitmproxy, and what one core carries.
"""

from tests.bench.relaying import Found
from tests.bench.rows import ROWS, Row, Verdict, judge, middle, multiples
from tests.bench.tables import Table, figure
from tests.bench.targets import BARE, OURS

__all__ = ("carried_table", "others_table", "verdict_table", "verdicts")

TOKENS_PER_SECOND = 50
"""Of a model that is read as it writes."""


def verdicts(found: Found) -> list[tuple[Row, float, Verdict]]:
    """Each row with our multiple of bare mitmproxy's figure, or our count."""
    return [(row, *judge(row, found[BARE][row.beside], found[OURS][row.key])) for row in ROWS]


def verdict_table(title: str, found: Found) -> Table:
    head = (title, "bare", "ours", "ratio", "must", "aim", "verdict")
    rows = [
        (
            f"{row.title} ({row.unit})" if row.unit else row.title,
            figure(middle(found[BARE][row.beside])),
            figure(middle(found[OURS][row.key])),
            "" if row.counted else figure(value),
            row.bound(row.must),
            row.bound(row.aim),
            verdict,
        )
        for row, value, verdict in verdicts(found)
    ]
    return Table(f"Thinkback beside bare mitmproxy, {title}", head, rows)


def others_table(title: str, found: Found) -> Table:
    """All targets as multiples of bare mitmproxy; counts as they are."""
    names = [name for name in found if name != BARE]
    rows = [(row.title, *(_multiple(row, found, name) for name in names)) for row in ROWS]
    return Table(f"Multiples of bare mitmproxy, {title}", ("", *names), rows)


def _multiple(row: Row, found: Found, name: str) -> str:
    theirs = found[name][row.key]
    if row.counted:
        return figure(middle(theirs))
    bare = found[BARE][row.beside]
    return figure(middle(multiples(bare, theirs))) if any(theirs) else "–"


def carried_table(title: str, found: Found, megabytes: float) -> Table:
    """What one core carries of each kind of work, from the CPU time that it takes."""
    rows = [
        (
            name,
            figure(1e6 / middle(figures["delta, paced"]) / TOKENS_PER_SECOND),
            figure(1e6 / middle(figures["request, 16 kept"])),
            figure(1e6 / middle(figures["request, fresh"])),
            figure(1e3 / middle(figures["history"]) * megabytes),
        )
        for name, figures in found.items()
        if name in (BARE, OURS)
    ]
    head = ("", "people", "requests/s", "requests/s, new connections", "MB/s of histories")
    return Table(f"What one core carries, {title}", head, rows)
