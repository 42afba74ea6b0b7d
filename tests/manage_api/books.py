"""What the data plane writes, for tests of the routes that read it."""

import zlib
from typing import Any
from uuid import uuid4

import msgspec

from shared.store.audit import AuditRecord, add_record
from shared.store.engine import Engine, Statement, Work, apply_change
from shared.store.ledger import Entry, Opening, open_exchange, settle
from tests.manage_api.world import ManualClock, Person

__all__ = ("Books",)


class Books:
    """The ledger and the audit, in which a data plane writes."""

    def __init__(self, store: Engine, clock: ManualClock) -> None:
        self._store = store
        self._clock = clock

    def entry(self, person: Person | None = None, **members: Any) -> Entry:
        """What the ledger would get of an exchange now; of a caller with an upstream's key
        without a person.
        """
        usual = {
            "exchange": str(uuid4()),
            "at": self._clock.now_ms(),
            "user_id": person.user.id if person else None,
            "username": person.user.username if person else "",
            "model": "m",
            "upstream": "main",
            "upstream_key": "wxyz",
            "upstream_model": "m",
            "status": 200,
            "prompt_tokens": 100,
            "completion_tokens": 20,
            "cost_micros": 50,
        }
        return Entry(**usual | members)

    def settle(self, person: Person | None = None, **members: Any) -> Entry:
        """An exchange that ended."""
        entry = self.entry(person, **members)
        self._run(*settle(entry))
        return entry

    def open(
        self, person: Person | None = None, *, tokens: int = 0, cost: int = 0, **members: Any
    ) -> Entry:
        """An exchange that runs, with what is reserved for it on a living node."""
        entry = self.entry(person, **members)
        opening = Opening(node="n", entry=entry, reserved_tokens=tokens, reserved_cost_micros=cost)
        living = (
            "INSERT INTO nodes (node, version, started_at, seen_at) VALUES ('n', '1', :now, :now) "
            "ON CONFLICT DO NOTHING"
        )
        self._run((living, {"now": self._clock.now_ms()}), open_exchange(opening))
        return entry

    def record(self, person: Person, text: str, conversation: Any = None, **members: Any) -> None:
        """What somebody asked."""
        usual = {
            "exchange": str(uuid4()),
            "at": self._clock.now_ms(),
            "model": "m",
            "upstream": "main",
            "status": 200,
        }
        packed = None if conversation is None else zlib.compress(msgspec.json.encode(conversation))
        who = {"user_id": person.user.id, "username": person.user.username}
        self._run(add_record(AuditRecord(**usual | who | members, text=text, conversation=packed)))

    def _run(self, *statements: Statement | Work[object]) -> None:
        self._store.transact(lambda work: apply_change(work, statements), alone=())
