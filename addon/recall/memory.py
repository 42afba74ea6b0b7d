"""Remembered turns: a bounded in-process front and the table behind it.

The front is authoritative for what this process has just seen, so a follow-up request never
waits for the database; the table makes turns survive a restart and serves other nodes.
"""

from collections import OrderedDict
from collections.abc import Collection, Iterable, Mapping, Sequence
from functools import partial
from itertools import batched, islice

import msgspec

from addon.formats.wire.pace import between_breaths, lots_of
from addon.recall.commits import Commit, Commits
from addon.recall.front import Front, Held
from addon.recall.record import Record, Thought, decode, encode
from shared.clock import Clock
from shared.store import recall as table
from shared.store.engine import Engine
from shared.store.lookup import Found, Wanted, look_up

__all__ = ("LOT", "MAX_CANDIDATES", "Recall", "Record", "Thought")

LOT = 200
"""Turns or keys that are looked up at a time, which takes up to two milliseconds among a million
turns: others go on between two lots.
"""

MAX_CANDIDATES = 64
"""Turns read for one key; more of them can't be told apart anyway."""

_ALL = 100_000
"""All that a request looks up, which is one round trip; its thread is not ours."""

_OVERLAP_MS = 10_000
"""How much later than its time a change may be committed."""

_DAY_MS = 86_400_000
_HELD_DROPS = 10_000
"""Dropped keys that are held in memory: the table still has them until it is written to."""

_HELD_SENT = 20_000
"""Turns not found whose treatment is held in memory; the table has that of all."""


class Recall:
    """Keeps and finds turns, on the event loop's thread."""

    def __init__(
        self, engine: Engine, clock: Clock, *, memory_bytes: int, shared: bool = False
    ) -> None:
        """`shared`: other processes remember turns in the same table."""
        self._engine = engine
        self._clock = clock
        self._front = Front(memory_bytes)
        self._shared = shared or engine.remote
        self.is_far = engine.remote
        """Whether the table is across a network."""

        self._dropped: OrderedDict[tuple[bytes, str], None] = OrderedDict()
        """The latest dropped keys, with the turn's token."""

        self._sent: OrderedDict[bytes, tuple[str, int]] = OrderedDict()
        self._commits = Commits(engine, clock)
        self._followed_at = engine.now_ms() - _OVERLAP_MS
        """Since when it is not known what others have changed, by the database's clock."""

        self._lot = _ALL if engine.remote else LOT
        self.look_up = partial(look_up, engine)
        """What the table has of something."""

        # What others are to see before the answer ends overtakes what may wait.
        self._queue = engine.write_first if self._shared else engine.write_later

    def bound(self, memory_bytes: int) -> None:
        """Hold no more than this in memory from now on."""
        self._front.most_bytes = memory_bytes

    def keep(
        self, namespace: bytes, record: Record, keys: Sequence[bytes], *, durable: bool
    ) -> Commit | None:
        """Remember a turn or a later state of it; `durable` commits it, and returns what its
        end has to wait for when another write is under way. Where others may be asked for the
        turn any state of it is written.
        """
        unique_keys = tuple(dict.fromkeys(keys))
        self._front.hold(record.token, Held(namespace, record, unique_keys, self._clock.now_ms()))
        if not (durable or self._shared):
            return None
        commit = self._write(namespace, record, keys)
        if self._shared:
            self._front.follow(record.token, commit)
        return commit if durable else None

    def turns(self, namespace: bytes, tokens: Iterable[str]) -> dict[str, Record]:
        """The known turns among these in the namespace."""
        turns: dict[str, Held] = {}
        absent: list[str] = []
        for token in lots_of(dict.fromkeys(tokens)):
            held = self._front.turns.get(token)
            if held is None:
                absent.append(token)
            elif held.namespace == namespace:
                self._front.turns.move_to_end(token)
                turns[token] = held
        for lot in between_breaths(batched(absent, self._lot)):
            wanted = Wanted(turns={namespace: lot})
            turns |= self.take(namespace, look_up(self._engine, wanted))
        self._touch(turns.values())
        return {token: held.record for token, held in turns.items()}

    def absent(self, tokens: Iterable[str]) -> list[str]:
        """Those of the turns that memory does not hold: the table may."""
        held = self._front.turns
        return [token for token in lots_of(dict.fromkeys(tokens)) if token not in held]

    def made_in(self, namespaces: Collection[bytes], tokens: Collection[str]) -> set[str]:
        """Those of the turns that stand in one of the namespaces."""
        held = {token for token in tokens if token in self._front.turns}
        absent = [token for token in tokens if token not in held]
        made = {token for token in held if self._front.turns[token].namespace in namespaces}
        for lot in between_breaths(batched(absent, self._lot)):
            found = look_up(self._engine, Wanted(turns=dict.fromkeys(namespaces, lot)))
            made = made.union(*found.turns.values())
        return made

    def take(self, namespace: bytes, found: Found) -> dict[str, Held]:
        """Hold the turns of the namespace that were looked up, for those who ask next, unless a
        later state is held already.
        """
        turns = _held(namespace, found)
        for token, held in turns.items():
            if token not in self._front.turns:
                self._front.hold(token, held)
        return turns

    def tokens(self, keys: Iterable[bytes]) -> dict[bytes, list[str]]:
        """The tokens of the turns with each key, in this process and in the table, up to
        MAX_CANDIDATES.
        """
        tokens: dict[bytes, list[str]] = {}
        for lot in between_breaths(batched(dict.fromkeys(keys), self._lot)):
            tokens |= look_up(self._engine, Wanted(keys=lot, most=MAX_CANDIDATES)).tokens
        return self.with_held(tokens)

    def with_held(self, tokens: dict[bytes, list[str]]) -> dict[bytes, list[str]]:
        """What the table has under keys, as this process knows it."""
        for key, found in tokens.items():
            # A list that was cut short stays as long as it is.
            if len(found) < MAX_CANDIDATES and self._dropped:
                tokens[key] = [token for token in found if (key, token) not in self._dropped]
        self._front.note_commits()
        for key in tokens.keys() & self._front.tokens.keys():
            held = islice(self._front.tokens[key], MAX_CANDIDATES)
            tokens[key] = list(dict.fromkeys([*held, *tokens[key]]))[:MAX_CANDIDATES]
        return tokens

    def add_keys(self, token: str, keys: Collection[bytes]) -> None:
        """Let a known turn be found under more keys."""
        held = self._front.turns.get(token)
        if held is not None and not self._shared:
            self._front.set_keys(token, [*held.keys, *keys])
        for key in keys:
            self._dropped.pop((key, token), None)
        self._queue(table.add_keys(token, dict.fromkeys(keys)))

    def drop_keys(self, token: str, keys: Iterable[bytes]) -> None:
        """Let a turn no longer be found under these keys."""
        dropped = frozenset(keys)
        held = self._front.turns.get(token)
        if held is not None:
            self._front.set_keys(token, [key for key in held.keys if key not in dropped])
        self._dropped |= dict.fromkeys((key, token) for key in dropped)
        while len(self._dropped) > _HELD_DROPS:
            self._dropped.popitem(last=False)
        self._queue(table.drop_keys(token, dropped))

    def disown(self, records: Iterable[Record], *, wholly: bool) -> None:
        """Never give the state of these turns back, which their upstream has refused; forget
        their reasoning if it has refused it `wholly`.
        """
        now = self._engine.now_ms()
        for record in records:
            disowned = msgspec.structs.replace(record, disowned=True)
            if wholly:
                disowned = msgspec.structs.replace(disowned, reasoning=None, thoughts=())
            held = self._front.turns.get(record.token)
            if held is not None:
                self._front.hold(record.token, msgspec.structs.replace(held, record=disowned))
            body, _ = encode(disowned)
            self._engine.write_later([table.change_turn(token=record.token, body=body, now=now)])

    def sent(self, keys: Collection[bytes]) -> dict[bytes, tuple[str, int]]:
        """What was sent before for turns that were not found, and when (epoch ms)."""
        asked = [key for key in keys if self._shared or key not in self._sent]
        found: dict[bytes, tuple[str, int]] = {}
        for lot in between_breaths(batched(asked, self._lot)):
            found |= look_up(self._engine, Wanted(sent=lot)).sent
        return self.latest_sent(keys, found)

    def latest_sent(
        self, keys: Iterable[bytes], found: Mapping[bytes, tuple[str, int]]
    ) -> dict[bytes, tuple[str, int]]:
        """What the table has of these, or this process if that is later: it may be on its way."""
        latest = dict(found)
        for key in keys:
            held = self._sent.get(key)
            if held is not None and (key not in found or held[1] >= found[key][1]):
                latest[key] = held
        return latest

    def keep_sent(self, values: dict[bytes, str]) -> None:
        """Note what this request sends for turns not found."""
        now = self._clock.now_ms()
        self._sent |= {key: (sent, now) for key, sent in values.items()}
        while len(self._sent) > _HELD_SENT:
            self._sent.popitem(last=False)
        if values:
            self._queue([table.keep_sent(key, sent, now) for key, sent in values.items()])

    def follow(self) -> None:
        """Let go of turns that other processes have changed, where there are others; cheap enough
        for every second.
        """
        if not self._shared:
            return
        self._front.note_commits()
        since, self._followed_at = self._followed_at, self._engine.now_ms() - _OVERLAP_MS
        for token in table.changed_since(self._engine, since):
            self._front.drop(token)

    def forget_old(self, *, max_age_days: int, max_bytes: int) -> None:
        """Queue the deletion of a lot of those turns that are too old or too many, if any are:
        repeat it.
        """
        since = self._clock.now_ms() - max_age_days * _DAY_MS
        if table.has_old(self._engine, unused_since=since, max_bytes=max_bytes):
            self._engine.write_later(
                table.forget_old(unused_since=since, max_bytes=max_bytes), alone=("tending",)
            )

    def _touch(self, turns: Iterable[Held]) -> None:
        """Note in the table once a day that turns are in use, if only in memory."""
        now = self._clock.now_ms()
        since = now - _DAY_MS
        idle = [held for held in turns if held.used_at < since]
        for held in idle:
            held.used_at = now
        if idle:
            tokens = [held.record.token for held in idle]
            self._engine.write_later(table.touch_turns(tokens, now))

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


def _held(namespace: bytes, found: Found) -> dict[str, Held]:
    rows = found.turns.get(namespace, {})
    return {
        token: Held(namespace, decode(token, body), (), used_at)
        for token, (body, used_at) in between_breaths(rows.items())
    }
