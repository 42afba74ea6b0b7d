"""The node in the database: that it lives, what it runs, and what dead nodes have left."""

import logging
from functools import partial

from addon.recall.commits import Commit
from shared.clock import Clock
from shared.errors import StoreError
from shared.store.engine import Engine, Statement, Transaction
from shared.store.ledger import DEAD_AFTER_MS, exchange_name
from shared.store.nodes import (
    UNKNOWN,
    Process,
    beat,
    describe,
    forget_nodes,
    lost_exchanges,
    settle_lost,
)

__all__ = ("Presence",)

_log = logging.getLogger("thinkback.books")

_BEAT_SECONDS = DEAD_AFTER_MS / 4000
_SILENT_SECONDS = DEAD_AFTER_MS / 2000


class Presence:
    """One node, known to all others by what it writes every few seconds."""

    def __init__(
        self,
        engine: Engine,
        clock: Clock,
        *,
        node: str,
        version: str,
        process: Process = UNKNOWN,
    ) -> None:
        """Makes the node known, by the first `join` if that can't be written now; blocks."""
        self.node = node
        self._engine = engine
        self._clock = clock
        self._version = version
        self._process = process
        self._started_at = engine.now_ms()
        self._beaten_at = self._shown_at = clock.monotonic()
        """When it last tried to show that the node lives, and when it last did."""

        self._described: Statement | None = None
        self._running: set[str] = set()
        self._ending: list[tuple[str, Commit]] = []
        """What runs no longer, but is not in the ledger yet."""

        self.is_known = False
        """Whether the node is in the database, without which nothing that it holds counts."""

        try:
            engine.transact(self._beat, alone=())
            self.is_known = True
        except StoreError as error:
            _log.error("The node is not in the database yet. %s", error)

    def join(self, transaction: Transaction) -> None:
        """Make the node known with what it writes first, or first after it slept: what a node
        holds that others take for dead does not count.
        """
        silent = self._clock.monotonic() - self._shown_at
        if silent >= _SILENT_SECONDS or not self.is_known:
            self._beat(transaction)

    def describe(self, configuration: str, secret: str) -> None:
        """Let others know the fingerprints of the node's settings and secret, unless they do."""
        described = describe(self.node, configuration=configuration, secret=secret)
        if described != self._described:
            self._described = described
            self._engine.write_later([described])

    def runs(self, exchange: str) -> None:
        """The exchange is this node's, and runs."""
        self._running.add(exchange)

    def ends(self, exchange: str, commit: Commit | None) -> None:
        """The exchange is settled, or will be by this commit."""
        if commit is None:
            self._running.discard(exchange)
        else:
            self._ending.append((exchange, commit))

    def each_second(self) -> None:
        """Show that the node lives, and settle what dead ones left open."""
        now = self._clock.monotonic()
        if now - self._beaten_at < _BEAT_SECONDS:
            return
        self._beaten_at = now
        try:
            # First: a node that slept must not take itself for dead.
            self._engine.transact(self._beat, alone=(), wait=False)
            self._shown_at = now
            self._settle_lost()
        except StoreError:
            # Another node settles what is lost, or this one in a few seconds.
            self._engine.write_later([self._beat_statement()])

    def _settle_lost(self) -> None:
        self._running.difference_update(one for one, commit in self._ending if commit.over)
        self._ending = [(one, commit) for one, commit in self._ending if not commit.over]
        now = self._engine.now_ms()
        lost = lost_exchanges(self._engine, node=self.node, running=self._running, now_ms=now)
        if not lost:
            return
        self._engine.transact(
            partial(settle_lost, exchanges=lost, node=self.node, now_ms=now),
            alone=("tending", *map(exchange_name, lost)),
            wait=False,
        )

    def _beat(self, transaction: Transaction) -> None:
        transaction.run(*self._beat_statement())
        transaction.run(*forget_nodes(self._engine.now_ms()))

    def _beat_statement(self) -> Statement:
        now = self._engine.now_ms()
        return beat(self.node, self._version, self._started_at, now, self._process)
