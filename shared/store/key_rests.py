"""Upstream keys that rest after a failure: the verbs over the table `resting_keys`.

Several data planes share the table; the last write wins.
"""

import msgspec

from shared.security.keys import digest, suffix
from shared.store.engine import Engine, Statement

__all__ = ("Resting", "forget_rested", "rest", "resting", "works_again")


class Resting(msgspec.Struct, frozen=True):
    """Until when (epoch ms) a key rests, and why, as a person reads it."""

    until: int
    why: str


def rest(upstream: str, key: str, until: int, why: str) -> Statement:
    """Record that a key of the upstream rests."""
    sql = """
        INSERT INTO resting_keys (upstream, key_digest, suffix, until, why)
        VALUES (:upstream, :digest, :suffix, :until, :why)
        ON CONFLICT (upstream, key_digest) DO UPDATE SET until = excluded.until, why = excluded.why
    """
    return sql, {
        "upstream": upstream,
        "digest": digest(key),
        "suffix": suffix(key),
        "until": until,
        "why": why,
    }


def works_again(upstream: str, key: str) -> Statement:
    """Record that a key no longer rests."""
    sql = "DELETE FROM resting_keys WHERE upstream = :upstream AND key_digest = :digest"
    return sql, {"upstream": upstream, "digest": digest(key)}


def forget_rested(now: int) -> Statement:
    """Delete rests that have ended by `now` (epoch ms)."""
    return "DELETE FROM resting_keys WHERE until <= :now", {"now": now}


def resting(engine: Engine, now: int) -> dict[tuple[str, str], Resting]:
    """Return the keys that rest at `now` (epoch ms), by upstream name and key digest."""
    sql = "SELECT upstream, key_digest, until, why FROM resting_keys WHERE until > :now"
    return {
        (upstream, key): Resting(until, why)
        for upstream, key, until, why in engine.read(sql, {"now": now})
    }
