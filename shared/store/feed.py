"""Reads the newest exchanges, in bounded time: their numbers, or by upstream and client."""

from collections import Counter

import msgspec

from shared.store.engine import Engine
from shared.store.ledger import Entry
from shared.store.reports import EntryFilter, Try, read_details, recent_entries

__all__ = ("Attempt", "Recent", "Replays", "read_recent", "recent_numbers")

_MAX_ENTRIES = 400
"""Each entry's details are decoded: this many take some milliseconds."""

_MAX_ATTEMPTS = 40
"""As many ticks as the strip of an upstream shows."""

_MAX_CLIENT = 60
"""Characters of a client's name, which the client chooses."""


class Attempt(msgspec.Struct, frozen=True, kw_only=True):
    """One attempt at an upstream."""

    at: int
    """When its request arrived, epoch milliseconds."""

    ok: bool
    outcome: str
    """A status, or what went wrong."""


class Replays(msgspec.Struct, frozen=True, kw_only=True):
    """How one client's replayed turns were recognised."""

    client: str
    """The first word of its `User-Agent`."""

    by_id: int
    """By a tool-call id of the gateway's that the client sent back."""

    otherwise: int
    """By their texts or positions."""

    missing: int


class Recent(msgspec.Struct, frozen=True, kw_only=True):
    """A summary of the newest exchanges."""

    attempts: dict[str, list[Attempt]]
    """The last ones at each upstream, newest last."""

    replays: list[Replays]
    """By client, the one with the most turns first."""


def read_recent(engine: Engine) -> Recent:
    """Summarise the newest 400 exchanges."""
    entries, _ = recent_entries(engine, EntryFilter(), limit=_MAX_ENTRIES)
    attempts: dict[str, list[Attempt]] = {}
    ways_by_client: dict[str, Counter[str]] = {}
    for _, entry in entries:
        details = read_details(entry)
        for number, attempt in enumerate(reversed(details.tries)):
            at_upstream = attempts.setdefault(attempt.upstream, [])
            if attempt.outcome and len(at_upstream) < _MAX_ATTEMPTS:
                at_upstream.append(_attempt(entry, attempt, last=number == 0))
        client = entry.user_agent.partition(" ")[0][:_MAX_CLIENT]
        ways = ways_by_client.setdefault(client, Counter())
        for rule, count in details.counts.items():
            ways[_way(rule)] += count
    replays = [
        Replays(client=client, **{way: ways[way] for way in _WAYS})
        for client, ways in ways_by_client.items()
        if any(ways[way] for way in _WAYS)
    ]
    return Recent(
        attempts={upstream: list(reversed(rows)) for upstream, rows in attempts.items() if rows},
        replays=sorted(
            replays, key=lambda row: (-row.by_id - row.otherwise - row.missing, row.client)
        ),
    )


def recent_numbers(engine: Engine, most: int) -> list[int]:
    """Return the ids in the ledger that are among the highest `most`, in their order."""
    sql = "SELECT id FROM ledger WHERE id > (SELECT MAX(id) FROM ledger) - :most ORDER BY id"
    return [number for (number,) in engine.read(sql, {"most": most})]


_WAYS = ("by_id", "otherwise", "missing")


def _attempt(entry: Entry, attempt: Try, *, last: bool) -> Attempt:
    """Judge an attempt: an answer that began well and then broke off has failed."""
    broke = last and entry.error_class not in ("", "client_left")
    answered = attempt.outcome.isdigit() and 200 <= int(attempt.outcome) < 300
    outcome = attempt.outcome
    if answered and broke:
        outcome = entry.error_class
    return Attempt(at=entry.at, ok=answered and not broke, outcome=outcome)


def _way(rule: str) -> str:
    """Name the way a turn was recognised; empty if that says nothing about its ids."""
    match rule:
        case "id":
            return "by_id"
        case "missing":
            return "missing"
        case "client" | "known-empty":
            return ""
    return "otherwise"
