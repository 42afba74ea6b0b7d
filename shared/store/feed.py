"""What the newest exchanges tell of upstreams and clients: the details of the ledger, in
bounded time.
"""

from collections import Counter

import msgspec

from shared.store.engine import Engine
from shared.store.ledger import Entry
from shared.store.reports import EntryFilter, Try, TurnNote, read_details, recent_entries

__all__ = ("Attempt", "Recent", "Replays", "read_recent")

_LOOKED_AT = 400
_ATTEMPTS = 40
_LONGEST_CLIENT = 60


class Attempt(msgspec.Struct, frozen=True, kw_only=True):
    """One attempt at an upstream."""

    at: int
    """When its request came, epoch milliseconds."""

    ok: bool
    outcome: str
    """A status, or what went wrong."""


class Replays(msgspec.Struct, frozen=True, kw_only=True):
    """How the turns that one client replayed were recognised."""

    client: str
    """The first word of its `User-Agent`."""

    by_id: int
    """By an id that the gateway made: the client sent it back."""

    otherwise: int
    """By their texts or places."""

    missing: int


class Recent(msgspec.Struct, frozen=True, kw_only=True):
    """What the newest exchanges tell."""

    attempts: dict[str, list[Attempt]]
    """The last ones at each upstream, the newest last."""

    replays: list[Replays]
    """By client, who replayed the most turns first."""


def read_recent(engine: Engine) -> Recent:
    """Look at the newest 400 exchanges."""
    entries, _ = recent_entries(engine, EntryFilter(), limit=_LOOKED_AT)
    attempts: dict[str, list[Attempt]] = {}
    found: dict[str, Counter[str]] = {}
    for _, entry in entries:
        details = read_details(entry)
        for number, one in enumerate(reversed(details.tries)):
            if one.outcome and len(made := attempts.setdefault(one.upstream, [])) < _ATTEMPTS:
                made.append(_attempt(entry, one, last=number == 0))
        ways = found.setdefault(entry.user_agent.partition(" ")[0][:_LONGEST_CLIENT], Counter())
        ways.update(filter(None, map(_way, details.turns)))
    replays = [
        Replays(client=client, **{way: ways[way] for way in _WAYS})
        for client, ways in found.items()
        if ways
    ]
    return Recent(
        attempts={upstream: made[::-1] for upstream, made in attempts.items()},
        replays=sorted(
            replays, key=lambda one: (-one.by_id - one.otherwise - one.missing, one.client)
        ),
    )


_WAYS = ("by_id", "otherwise", "missing")


def _attempt(entry: Entry, one: Try, *, last: bool) -> Attempt:
    """An answer that began well and then broke was no good one."""
    broke = last and entry.error_class not in ("", "client_left")
    answered = one.outcome.isdigit() and 200 <= int(one.outcome) < 300
    return Attempt(
        at=entry.at,
        ok=answered and not broke,
        outcome=entry.error_class if answered and broke else one.outcome,
    )


def _way(note: TurnNote) -> str:
    """Empty for turns of which the rule does not tell whether their ids came back."""
    match note.rule:
        case "id":
            return "by_id"
        case "missing":
            return "missing"
        case "client" | "known-empty":
            return ""
    return "otherwise"
