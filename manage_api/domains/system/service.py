"""Reports the state of the installation, and copies its database."""

import os
import platform
import secrets
from contextlib import closing
from importlib.metadata import version
from typing import BinaryIO

import msgspec

from manage_api.domains.system.backup import back_up
from manage_api.domains.system.nodes import differing
from manage_api.domains.system.risks import risks
from manage_api.domains.system.schedule import backup_fault
from manage_api.domains.system.schemas import (
    DatabaseView,
    HealthReport,
    NodeView,
    ProblemView,
    RecallView,
    UpstreamState,
    WorkerView,
)
from manage_api.sidecar import Sidecar
from shared.store import data_directory, open_engine
from shared.store.condition import describe, find_damage
from shared.store.engine import Engine
from shared.store.ledger import DEAD_AFTER_MS
from shared.store.nodes import living
from shared.store.recall import turns_kept
from shared.store.room import room_for_turns
from shared.store.upstream_models import listings

__all__ = ("check_integrity", "copy_database", "report", "workers_here")

_MIB = 1024 * 1024


def report(sidecar: Sidecar, integrity: str | None) -> HealthReport:
    """Collect the report; `integrity` was checked before, as that takes long, or is None."""
    sidecar.configuration.refresh()
    database = describe(sidecar.store, sidecar.snapshot.database_url)
    fault = backup_fault(sidecar.snapshot, sidecar.clock.now_ms())
    return HealthReport(
        versions={
            **{name: version(name) for name in ("thinkback", "mitmproxy", "litestar")},
            database.engine: database.version,
            "python": platform.python_version(),
        },
        uptime_seconds=int(sidecar.clock.monotonic() - sidecar.started),
        database=DatabaseView(
            bytes=database.bytes, wal_bytes=database.log_bytes, integrity=integrity
        ),
        recall=_recall(sidecar),
        nodes=_nodes(sidecar.store, sidecar.clock.now_ms()),
        upstreams=_upstreams(sidecar),
        problems=msgspec.convert(
            sidecar.configuration.problems, list[ProblemView], from_attributes=True
        ),
        risks=list(filter(None, (*differing(sidecar.store), *risks(sidecar.snapshot), fault))),
        last_settled_at=_last_settled(sidecar.store),
    )


def workers_here(sidecar: Sidecar) -> list[WorkerView]:
    """The processes on this machine that share a port; one that was killed is not among them."""
    return [
        WorkerView(process.worker, process.pid, started)
        for process, started in living(sidecar.store)
        if process.worker and process.host == os.uname().nodename and _runs(process.pid)
    ]


def check_integrity(database_url: str) -> str:
    """Return `ok` or what is damaged; blocks, as that may mean to read a whole file."""
    with closing(open_engine(database_url)) as engine:
        return find_damage(engine)


def copy_database(database_url: str) -> BinaryIO:
    """Open a consistent copy, which is deleted on closing; blocks.

    Raises StoreError if it can't be written.
    """
    target = data_directory(database_url) / f"backup-{secrets.token_hex(8)}.db"
    with closing(open_engine(database_url)) as engine:
        back_up(engine, target)
    try:
        return target.open("rb")
    finally:
        # The open file outlives its name, and nothing is left behind whatever happens.
        target.unlink()


def _runs(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except OSError:
        return False
    return True


def _recall(sidecar: Sidecar) -> RecallView:
    kept = turns_kept(sidecar.store, sidecar.clock.now_ms())
    limits, days_fitting = sidecar.snapshot.recall, None
    max_bytes = limits.max_mib * _MIB or room_for_turns(sidecar.snapshot.database_url)
    if kept.daily_bytes:
        days_fitting = max_bytes // kept.daily_bytes
    return RecallView(
        turns=kept.turns,
        bytes=kept.bytes,
        max_bytes=max_bytes,
        max_age_days=limits.max_age_days,
        oldest_at=kept.oldest_at,
        days_fitting=days_fitting,
    )


def _nodes(store: Engine, now: int) -> list[NodeView]:
    rows = store.read(
        """
        SELECT node, worker, version, started_at, seen_at FROM nodes
        ORDER BY seen_at DESC, node LIMIT 200
        """
    )
    return [
        NodeView(
            node=node,
            worker=worker,
            version=node_version,
            started_at=started,
            seen_at=seen,
            alive=seen > now - DEAD_AFTER_MS,
        )
        for node, worker, node_version, started, seen in rows
    ]


def _upstreams(sidecar: Sidecar) -> list[UpstreamState]:
    return [
        UpstreamState(
            name=listing.upstream,
            works=not listing.fault or listing.has_no_list,
            message=listing.fault,
            models=len(listing.models),
            asked_at=listing.asked_at,
        )
        for listing in listings(sidecar.store, sidecar.snapshot.upstreams).values()
    ]


def _last_settled(store: Engine) -> int | None:
    rows = store.read("SELECT at + duration_ms FROM ledger ORDER BY id DESC LIMIT 1")
    if not rows:
        return None
    return int(rows[0][0])
