"""F17: a database that can't be written stops no caller without a quota, gives nobody with one
anything for free, and loses no usage.
"""

import time
from collections.abc import Iterable
from contextlib import closing
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

from shared.store import open_engine
from shared.store.engine import Engine
from tests.e2e.test_unwritable import FILLER, full_disk, limit, message, post, rows
from tests.harden.figure import Figure, at_scale
from tests.support.counting import CountingProvider
from tests.support.gateway import Gateway, eventually, upstream_environment

__all__ = ("figures",)

ROUNDS = at_scale(1, 5, 50)
REQUESTS = 4
"""In each round, of each of the two callers."""

RECOVERY_SECONDS = 5


def figures() -> Iterable[Figure]:
    refused, served, lost, late = 0, 0, 0, 0.0
    with (
        TemporaryDirectory() as folder,
        CountingProvider() as provider,
        Gateway(Path(folder), upstream_environment(provider.base_url)) as gateway,
        closing(open_engine(f"sqlite:{folder}/adapter.db")) as books,
    ):
        free, limited = gateway.new_user("ada"), gateway.new_user("bob")
        limit(books, "bob")
        started = gateway.data_plane().pid
        for at in range(ROUNDS):
            _fill(books, at)
            with full_disk(gateway):
                served += sum(_status(gateway, free) == 200 for _ in range(REQUESTS))
                refused += sum(_status(gateway, limited) == 503 for _ in range(REQUESTS))
            began = time.monotonic()
            eventually(partial(_are_entered, books, (at + 1) * 2 * REQUESTS), 15)
            late = max(late, time.monotonic() - began)
        lost = 2 * ROUNDS * REQUESTS - rows(books, "ledger") + rows(books, "open_exchanges")
        ended = int(gateway.data_plane().pid != started) + gateway.log.count("Traceback")
    asked = ROUNDS * REQUESTS
    yield Figure(
        "F17",
        f"a full disk {ROUNDS} times, {asked} requests without and {asked} with a quota meanwhile",
        f"{served} served, {refused} refused; {lost:+} rows lost; all entered {late:.1f} s after "
        f"there is room; {ended} restarts and tracebacks",
        f"{asked}, {asked}, 0, ≤ {RECOVERY_SECONDS} s, 0",
        served == refused == asked and not (lost or ended) and late <= RECOVERY_SECONDS,
    )


def _fill(books: Engine, at: int) -> None:
    """What is written next is far behind in the database's log."""
    sql = "INSERT INTO learned (endpoint, value, learned_at) VALUES (:endpoint, :value, 0)"
    row = {"endpoint": f"filler {at}", "value": FILLER}
    books.transact(lambda work: work.run(sql, row))


def _are_entered(books: Engine, count: int) -> bool:
    return rows(books, "ledger") >= count


def _status(gateway: Gateway, key: str) -> int:
    return post(gateway, key, "/v1/chat/completions", messages=message("plain"))[0]
