"""What requests hold of limits per minute and of requests at once, and failed attempts to sign in:
the verbs over `rates` and `tickets`, which all programs share.

A limit per minute is a bucket that refills evenly. Its row says how long that takes until it is
full, from the time of the row on, both in microseconds; without a row it is full. A ticket is a
request that runs and is not, or not yet, in the books.
"""

from typing import Literal

import msgspec

from shared.model import Limits
from shared.store.engine import Engine, Statement, Transaction
from shared.store.ledger import DEAD_AFTER_MS

__all__ = (
    "Held",
    "Rate",
    "charge",
    "failed_attempts",
    "forget_full",
    "forget_lifted",
    "forget_lost_tickets",
    "hand_back",
    "hand_out",
    "held_in",
    "running_in",
)

_CLOCK_CHANGE = 60_000_000
"""Microseconds: a row that is so far ahead was written before the clock was put back. It holds
nothing, or its subject would be refused until the clock is there again.
"""

type Rate = Literal["requests", "tokens", "attempts"]
"""`attempts`: failed ones to sign in, of an address, an account or both."""


class Held(msgspec.Struct, frozen=True):
    """How long the buckets of a subject take until they are full, in microseconds."""

    requests: int = 0
    tokens: int = 0


def held_in(transaction: Transaction, subject: str, now_ms: int) -> Held:
    """What a subject's requests hold of its limits per minute."""
    rows = transaction.run(_HELD, {"subject": subject})
    return Held(**{rate: _left(debt, at, now_ms * 1000) for rate, debt, at in rows})


def failed_attempts(engine: Engine, subject: str, now_ms: int) -> int:
    """How long it takes until a subject's attempts are forgotten, in microseconds."""
    rows = engine.read(_HELD, {"subject": subject})
    return sum(_left(debt, at, now_ms * 1000) for _, debt, at in rows)


def charge(subject: str, rate: Rate, micros: int, now_ms: int) -> Statement:
    """Take what a bucket needs so many microseconds to get back; below 0: give as much back."""
    sql = f"""
        INSERT INTO rates (subject, rate, debt, at) VALUES (:subject, :rate, :micros, :now)
        ON CONFLICT (subject, rate) DO UPDATE SET
            debt = excluded.debt + CASE
                WHEN rates.debt < 0 OR rates.at > excluded.at + {_CLOCK_CHANGE} THEN 0
                WHEN rates.at >= excluded.at THEN rates.debt
                WHEN rates.debt > excluded.at - rates.at THEN rates.debt - excluded.at + rates.at
                ELSE 0 END,
            at = excluded.at
    """  # noqa: S608 - a constant; the values are bound
    return sql, {"subject": subject, "rate": rate, "micros": micros, "now": now_ms * 1000}


def forget_lifted(transaction: Transaction, subject: str, limits: Limits) -> None:
    """Have a subject hold nothing of limits that it does not have any more."""
    lifted = {"requests": limits.rpm is None, "tokens": limits.tpm is None}
    for rate in (rate for rate, is_lifted in lifted.items() if is_lifted):
        transaction.run(
            "DELETE FROM rates WHERE subject = :subject AND rate = :rate",
            {"subject": subject, "rate": rate},
        )


def forget_full(now_ms: int) -> Statement:
    """Delete the rows of buckets that are full."""
    return "DELETE FROM rates WHERE at + debt <= :now", {"now": now_ms * 1000}


def running_in(transaction: Transaction, subject: str, now_ms: int) -> int:
    """How many requests of a subject run at nodes that live."""
    kind, _, number = subject.partition(":")
    params = {"subject": subject, "number": int(number), "alive": now_ms - DEAD_AFTER_MS}
    [(running,)] = transaction.run(_RUNNING[kind], params)
    return int(running)


def hand_out(ticket: str, subject: str, node: str) -> Statement:
    """Count a request of the subject as one that runs."""
    sql = "INSERT INTO tickets (ticket, subject, node) VALUES (:ticket, :subject, :node)"
    return sql, {"ticket": ticket, "subject": subject, "node": node}


def hand_back(ticket: str) -> Statement:
    """The request has ended, or is in the books."""
    return "DELETE FROM tickets WHERE ticket = :ticket", {"ticket": ticket}


def forget_lost_tickets(now_ms: int) -> Statement:
    """Delete the tickets of dead nodes."""
    sql = """
        DELETE FROM tickets WHERE NOT EXISTS (
            SELECT 1 FROM nodes WHERE nodes.node = tickets.node AND nodes.seen_at > :alive
        )
    """
    return sql, {"alive": now_ms - DEAD_AFTER_MS}


def _left(debt: int, at: int, now: int) -> int:
    """What is left at a time of what a row says."""
    if at > now + _CLOCK_CHANGE:
        return 0
    return max(0, debt - max(0, now - at))


_HELD = "SELECT rate, debt, at FROM rates WHERE subject = :subject"
_TICKETS = """
    SELECT count(*) FROM tickets t JOIN nodes n ON n.node = t.node
    WHERE t.subject = :subject AND n.seen_at > :alive
"""
_RUNNING = {
    kind: f"""
        SELECT ({_TICKETS}) + (
            SELECT count(*) FROM open_exchanges o JOIN nodes n ON n.node = o.node
            WHERE o.{kind}_id = :number AND n.seen_at > :alive
        )
    """  # noqa: S608 - constants; the values are bound
    for kind in ("user", "key")
}
