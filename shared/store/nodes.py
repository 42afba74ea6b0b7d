"""Running data planes, and what becomes of exchanges whose node is gone: the verbs over the table
`nodes`.

A node shows that it lives by `beat`, by the database's clock; `settle_lost` writes the ledger's
rows of exchanges whose node died.
"""

from collections.abc import Container, Sequence
from typing import NamedTuple

import msgspec
from msgspec.structs import replace

from shared.store.engine import Engine, Statement, Transaction, apply_change
from shared.store.ledger import DEAD_AFTER_MS, LOST, Entry, settle

__all__ = (
    "UNKNOWN",
    "LivingNode",
    "Process",
    "beat",
    "describe",
    "forget_nodes",
    "living",
    "living_nodes",
    "lost_exchanges",
    "settle_lost",
)

_SHOWN_MS = 86_400_000
"""Dead nodes are listed for a day."""

_MOST = 200
"""Exchanges that are settled in one transaction, which no other write gets past."""


class Process(NamedTuple):
    """Which process a node is."""

    host: str = ""
    """The name of its machine."""

    pid: int = 0
    worker: str = ""
    """Its name among those that share a port, like `worker 2`; empty for one alone."""


UNKNOWN = Process()


def beat(
    node: str, version: str, started_at: int, now_ms: int, process: Process = UNKNOWN
) -> Statement:
    """Note that a node lives, and which process it is."""
    sql = """
        INSERT INTO nodes (node, version, started_at, seen_at, host, pid, worker) VALUES (:node,
            :version, :started_at, :now, :host, :pid, :worker)
        ON CONFLICT (node) DO UPDATE SET seen_at = excluded.seen_at
    """
    params = {"node": node, "version": version, "started_at": started_at, "now": now_ms}
    return sql, params | process._asdict()


def living(engine: Engine) -> list[tuple[Process, int]]:
    """The processes of nodes that live, in the order of their names, each with when it started."""
    rows = engine.read(
        """
        SELECT host, pid, worker, started_at FROM nodes WHERE seen_at > :since
        ORDER BY host, length(worker), worker, started_at
        """,
        {"since": engine.now_ms() - DEAD_AFTER_MS},
    )
    return [(Process(host, pid, worker), started) for host, pid, worker, started in rows]


class LivingNode(msgspec.Struct, frozen=True):
    """A node that lives, and what it has said of itself; empty where it has not."""

    node: str
    host: str
    configuration: str
    secret: str
    started_at: int


def describe(node: str, *, configuration: str, secret: str) -> Statement:
    """Note the fingerprints of a known node's settings and secret."""
    sql = "UPDATE nodes SET configuration = :configuration, secret = :secret WHERE node = :node"
    return sql, {"configuration": configuration, "secret": secret, "node": node}


def living_nodes(engine: Engine, now_ms: int) -> list[LivingNode]:
    """The nodes that live, the oldest first."""
    sql = """
        SELECT node, host, configuration, secret, started_at FROM nodes
        WHERE seen_at > :alive ORDER BY started_at, node
    """
    return [LivingNode(*row) for row in engine.read(sql, {"alive": now_ms - DEAD_AFTER_MS})]


def forget_nodes(now_ms: int) -> Statement:
    """Let go of nodes that have been dead for a day."""
    return "DELETE FROM nodes WHERE seen_at < :before", {"before": now_ms - _SHOWN_MS}


def lost_exchanges(engine: Engine, *, node: str, running: Container[str], now_ms: int) -> list[str]:
    """The exchanges that dead nodes left open and those that this one no longer runs, the oldest
    200 at most.
    """
    rows = engine.read(
        f"""
        SELECT o.exchange, o.node FROM open_exchanges o LEFT JOIN nodes n ON n.node = o.node
        WHERE {_LEFT} ORDER BY o.at, o.exchange
        """,  # noqa: S608 - a constant
        {"node": node, "dead": now_ms - DEAD_AFTER_MS},
    )
    lost = [exchange for exchange, of in rows if of != node or exchange not in running]
    return lost[:_MOST]


def settle_lost(
    transaction: Transaction, exchanges: Sequence[str], *, node: str, now_ms: int
) -> None:
    """Settle these as far as they are still open and lost; to be alone with each of them."""
    sql = f"""
        SELECT o.entry, COALESCE(n.seen_at, o.at) FROM open_exchanges o LEFT
            JOIN nodes n ON n.node = o.node
        WHERE o.exchange = :exchange AND {_LEFT}
    """  # noqa: S608 - a constant
    for exchange in exchanges:
        params = {"exchange": exchange, "node": node, "dead": now_ms - DEAD_AFTER_MS}
        for text, seen_at in transaction.run(sql, params):
            apply_change(transaction, settle(_lost(text, seen_at)))


def _lost(text: str, seen_at: int) -> Entry:
    """What is known of an exchange whose node was last seen then."""
    entry = msgspec.json.decode(text, type=Entry)
    lasted = max(0, seen_at - entry.at)
    return replace(entry, status=0, error_class=LOST, estimated=True, duration_ms=lasted)


_LEFT = "(COALESCE(n.seen_at, 0) <= :dead OR o.node = :node)"
