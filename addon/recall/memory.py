"""Remembered turns: a bounded in-process front and the table behind it.

The front is authoritative for what this process has just seen, so a follow-up request never
waits for the database; the table makes turns survive a restart and serves other nodes.
"""

from collections import OrderedDict
from collections.abc import Collection, Iterable, Sequence
from itertools import batched, islice
from sys import getsizeof

import msgspec

from addon.formats.wire.pace import between_breaths
from addon.recall.commits import Commit, Commits
from addon.recall.record import Record, Thought, decode, encode
from shared.clock import Clock
from shared.store import recall as table
from shared.store.engine import Engine, Statement
from shared.store.lookup import Found, Wanted, look_up

__all__ = ("LOT", "MAX_CANDIDATES", "Recall", "Record", "Thought")

LOT = 200
"""Turns or keys that are looked up at a time, which takes up to two milliseconds among a million
turns: others go on between two lots.
"""

MAX_CANDIDATES = 64
"""Turns read for one key; more of them can't be told apart anyway."""

_DAY_MS = 86_400_000
_RECORD_BYTES = 800
_KEY_BYTES = 270
"""What a record and each of its keys cost in memory beside the texts, roughly."""

_HELD_DROPS = 10_000
"""Dropped keys that are held in memory: the table still has them until it is written to."""

_HELD_SENT = 20_000
"""Turns not found whose treatment is held in memory; the table has that of all."""


class _Held(msgspec.Struct):
    """A turn in memory."""

    namespace: bytes
    record: Record
    keys: tuple[bytes, ...]
    used_at: int
    """When the table last noted its use."""


class Recall:
    """Keeps and finds turns, on the event loop's thread."""

    def __init__(self, engine: Engine, clock: Clock, *, memory_bytes: int) -> None:
        self._engine = engine
        self._clock = clock
        self._memory_bytes = memory_bytes
        self._held_bytes = 0
        self._held: OrderedDict[str, _Held] = OrderedDict()
        """The turns by token, the longest unused first."""

        self._tokens: dict[bytes, dict[str, None]] = {}
        """The tokens of the held turns by key, in the order of a set."""

        self._dropped: OrderedDict[tuple[bytes, str], None] = OrderedDict()
        """The latest dropped keys, with the turn's token."""

        self._sent: OrderedDict[bytes, tuple[str, int]] = OrderedDict()
        self._commits = Commits(engine, clock)

    def bound(self, memory_bytes: int) -> None:
        """Hold no more than this in memory from now on."""
        self._memory_bytes = memory_bytes

    def keep(
        self, namespace: bytes, record: Record, keys: Sequence[bytes], *, durable: bool
    ) -> Commit | None:
        """Remember a turn or a later state of it; `durable` commits it, and returns what its
        end has to wait for when another write is under way.
        """
        unique_keys = tuple(dict.fromkeys(keys))
        self._hold(record.token, _Held(namespace, record, unique_keys, self._clock.now_ms()))
        if not durable:
            return None
        return self._write(namespace, record, keys)

    def turns(self, namespace: bytes, tokens: Iterable[str]) -> dict[str, Record]:
        """The known turns among these in the namespace."""
        turns: dict[str, _Held] = {}
        absent: list[str] = []
        for token in dict.fromkeys(tokens):
            held = self._held.get(token)
            if held is None:
                absent.append(token)
            elif held.namespace == namespace:
                self._held.move_to_end(token)
                turns[token] = held
        for lot in between_breaths(batched(absent, LOT)):
            wanted = Wanted(turns={namespace: lot})
            turns |= self.take(namespace, look_up(self._engine, wanted))
        self._touch(turns.values())
        return {token: held.record for token, held in turns.items()}

    def absent(self, tokens: Iterable[str]) -> list[str]:
        """Those of the turns that memory does not hold: the table may."""
        return [token for token in dict.fromkeys(tokens) if token not in self._held]

    def made_in(self, namespaces: Collection[bytes], tokens: Collection[str]) -> set[str]:
        """Those of the turns that stand in one of the namespaces."""
        held = {token for token in tokens if token in self._held}
        absent = [token for token in tokens if token not in held]
        made = {token for token in held if self._held[token].namespace in namespaces}
        for lot in between_breaths(batched(absent, LOT)):
            found = look_up(self._engine, Wanted(turns=dict.fromkeys(namespaces, lot)))
            made = made.union(*found.turns.values())
        return made

    def take(self, namespace: bytes, found: Found) -> dict[str, _Held]:
        """Hold the turns of the namespace that were looked up, for those who ask next, unless a
        later state is held already.
        """
        turns = _held(namespace, found)
        for token, held in turns.items():
            if token not in self._held:
                self._hold(token, held)
        return turns

    def tokens(self, keys: Iterable[bytes]) -> dict[bytes, list[str]]:
        """The tokens of the turns with each key, in this process and in the table, up to
        MAX_CANDIDATES.
        """
        tokens: dict[bytes, list[str]] = {}
        for lot in between_breaths(batched(dict.fromkeys(keys), LOT)):
            tokens |= look_up(self._engine, Wanted(keys=lot, most=MAX_CANDIDATES)).tokens
        for key, found in tokens.items():
            # A list that was cut short stays as long as it is.
            if len(found) < MAX_CANDIDATES and self._dropped:
                tokens[key] = [token for token in found if (key, token) not in self._dropped]
        for key in tokens.keys() & self._tokens.keys():
            held = islice(self._tokens[key], MAX_CANDIDATES)
            tokens[key] = list(dict.fromkeys([*held, *tokens[key]]))[:MAX_CANDIDATES]
        return tokens

    def add_keys(self, token: str, keys: Collection[bytes]) -> None:
        """Let a known turn be found under more keys."""
        held = self._held.get(token)
        if held is not None:
            self._set_keys(held, [*held.keys, *keys])
        for key in keys:
            self._dropped.pop((key, token), None)
        self._queue(table.add_keys(token, dict.fromkeys(keys)))

    def drop_keys(self, token: str, keys: Iterable[bytes]) -> None:
        """Let a turn no longer be found under these keys."""
        dropped = frozenset(keys)
        held = self._held.get(token)
        if held is not None:
            self._set_keys(held, [key for key in held.keys if key not in dropped])
        self._dropped |= dict.fromkeys((key, token) for key in dropped)
        while len(self._dropped) > _HELD_DROPS:
            self._dropped.popitem(last=False)
        self._queue(table.drop_keys(token, dropped))

    def disown(self, namespace: bytes, tokens: Collection[str], *, wholly: bool) -> None:
        """Never give the state of these turns back, which their upstream has refused; forget
        their reasoning if it has refused it `wholly`.
        """
        for token, record in self.turns(namespace, tokens).items():
            disowned = msgspec.structs.replace(record, disowned=True)
            if wholly:
                disowned = msgspec.structs.replace(disowned, reasoning=None, thoughts=())
            held = self._held.get(token)
            if held is not None:
                self._hold(token, msgspec.structs.replace(held, record=disowned))
            body, _ = encode(disowned)
            self._engine.write_later([table.change_turn(token=token, body=body)])

    def sent(self, keys: Collection[bytes]) -> dict[bytes, tuple[str, int]]:
        """What was sent before for turns that were not found, and when (epoch ms)."""
        held = {key: self._sent[key] for key in keys if key in self._sent}
        found: dict[bytes, tuple[str, int]] = {}
        for lot in between_breaths(batched((key for key in keys if key not in held), LOT)):
            found |= look_up(self._engine, Wanted(sent=lot)).sent
        return found | held

    def keep_sent(self, values: dict[bytes, str]) -> None:
        """Note what this request sends for turns not found."""
        now = self._clock.now_ms()
        self._sent |= {key: (sent, now) for key, sent in values.items()}
        while len(self._sent) > _HELD_SENT:
            self._sent.popitem(last=False)
        self._queue([table.keep_sent(key, sent, now) for key, sent in values.items()])

    def forget_old(self, *, max_age_days: int, max_bytes: int) -> None:
        """Queue the deletion of a lot of those turns that are too old or too many, if any are:
        repeat it.
        """
        since = self._clock.now_ms() - max_age_days * _DAY_MS
        if table.has_old(self._engine, unused_since=since, max_bytes=max_bytes):
            self._engine.write_later(
                table.forget_old(unused_since=since, max_bytes=max_bytes), alone=("tending",)
            )

    def _touch(self, turns: Iterable[_Held]) -> None:
        """Note in the table once a day that turns are in use, if only in memory."""
        now = self._clock.now_ms()
        since = now - _DAY_MS
        idle = [held for held in turns if held.used_at < since]
        for held in idle:
            held.used_at = now
        if idle:
            tokens = [held.record.token for held in idle]
            self._engine.write_later(table.touch_turns(tokens, now))

    def _set_keys(self, held: _Held, keys: Iterable[bytes]) -> None:
        unique_keys = tuple(dict.fromkeys(keys))
        self._hold(held.record.token, msgspec.structs.replace(held, keys=unique_keys))

    def _queue(self, statements: list[Statement]) -> None:
        if statements:
            self._engine.write_later(statements)

    def _write(self, namespace: bytes, record: Record, keys: Sequence[bytes]) -> Commit | None:
        body, length = encode(record)
        statement = table.keep_turn(
            token=record.token,
            namespace=namespace,
            complete=record.complete,
            length=length,
            body=body,
            now=self._clock.now_ms(),
        )
        statements = [statement, *table.add_keys(record.token, keys)]
        return self._commits.write(statements)

    def _hold(self, token: str, held: _Held) -> None:
        self._drop(token)
        self._held[token] = held
        self._held_bytes += _size(held)
        for key in held.keys:
            self._tokens.setdefault(key, {})[token] = None
        while self._held_bytes > self._memory_bytes and len(self._held) > 1:
            self._drop(next(iter(self._held)))

    def _drop(self, token: str) -> None:
        held = self._held.pop(token, None)
        if held is None:
            return
        self._held_bytes -= _size(held)
        for key in held.keys:
            tokens = self._tokens[key]
            del tokens[token]
            if not tokens:
                del self._tokens[key]


def _held(namespace: bytes, found: Found) -> dict[str, _Held]:
    rows = found.turns.get(namespace, {})
    return {
        token: _Held(namespace, decode(token, body), (), used_at)
        for token, (body, used_at) in between_breaths(rows.items())
    }


def _size(held: _Held) -> int:
    texts = getsizeof(held.record.text) + getsizeof(held.record.reasoning)
    texts += sum(
        len(thought.reasoning.opaque) + len(thought.reasoning.text)
        for thought in held.record.thoughts
    )
    return texts + _RECORD_BYTES + len(held.keys) * _KEY_BYTES
