"""Old rows of the ledger, the audit and the stored answers are let go of, by one node for all."""

from functools import partial

import msgspec

from shared.clock import Clock
from shared.config.schema import Snapshot
from shared.store.answers import answer_bytes, drop_old_answers
from shared.store.audit import drop_old_records, record_bytes
from shared.store.engine import Engine, Transaction
from shared.store.key_rests import forget_rested
from shared.store.ledger import drop_old, drop_old_conversations
from shared.store.limits import forget_full, forget_lost_tickets
from shared.store.tending import claim

__all__ = ("Retention",)

_EVERY_SECONDS = 600
"""How often a node looks whether it is its turn: adding up all sizes reads whole indexes."""

_TASK = "old rows"
_MIB = 1024 * 1024
_DAY_MS = 86_400_000


class _Limits(msgspec.Struct, frozen=True):
    """What may stay: since when (epoch ms), and how many bytes of it."""

    entries_since: int
    records_since: int
    record_bytes: int
    answers_since: int
    answer_bytes: int


class Retention:
    """Lets a lot of old rows go each second, as long as there are any: no other write waits for
    long. Its own work is done on the writer thread.
    """

    def __init__(self, engine: Engine, clock: Clock, *, node: str) -> None:
        self._engine = engine
        self._clock = clock
        self._node = node
        self._queued_at = clock.monotonic()
        self._goes_on = False
        """Whether the last lot was not the last one."""

        self._record_bytes = self._answer_bytes = 0
        """What there is of each: added up once, and less by each lot."""

    def each_second(self, settings: Snapshot) -> None:
        """Have a lot let go, if some are left or it is time to look."""
        now = self._clock.monotonic()
        if not self._goes_on and now - self._queued_at < _EVERY_SECONDS:
            return
        self._queued_at = now
        begins, self._goes_on = not self._goes_on, False
        work = partial(self._let_go, self._limits(settings), begins)
        self._engine.write_later([work], alone=("tending",))

    def _limits(self, settings: Snapshot) -> _Limits:
        now, audit, answers = self._engine.now_ms(), settings.audit, settings.responses
        return _Limits(
            entries_since=now - settings.ledger.max_age_days * _DAY_MS,
            records_since=now - audit.max_age_days * _DAY_MS,
            record_bytes=audit.max_mib * _MIB,
            answers_since=now - answers.max_age_days * _DAY_MS,
            answer_bytes=answers.max_mib * _MIB,
        )

    def _let_go(self, limits: _Limits, begins: bool, transaction: Transaction) -> None:
        every_ms, now = _EVERY_SECONDS * 1000, self._engine.now_ms()
        if not claim(transaction, _TASK, self._node, every_ms=every_ms, now_ms=now):
            return
        if begins:
            self._record_bytes = record_bytes(transaction)
            self._answer_bytes = answer_bytes(transaction)
        for statement in (forget_rested(now), forget_full(now), forget_lost_tickets(now)):
            transaction.run(*statement)
        entries = transaction.run(*drop_old(limits.entries_since))
        conversations = transaction.run(*drop_old_conversations())
        records = drop_old_records(
            transaction,
            before_ms=limits.records_since,
            excess=self._record_bytes - limits.record_bytes,
        )
        answers = drop_old_answers(
            transaction,
            before_ms=limits.answers_since,
            excess=self._answer_bytes - limits.answer_bytes,
        )
        self._record_bytes -= records
        self._answer_bytes -= answers
        self._goes_on = bool(entries or conversations or records or answers)
