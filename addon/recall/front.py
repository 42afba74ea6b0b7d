"""Turns in memory: those that were used last, within a bound. Pure."""

from collections import OrderedDict
from collections.abc import Iterable
from sys import getsizeof

import msgspec

from addon.recall.commits import Commit
from addon.recall.record import Record

__all__ = ("Front", "Held")

_RECORD_BYTES = 800
_KEY_BYTES = 270
"""What a record and each of its keys cost in memory beside the texts, roughly."""


class Held(msgspec.Struct):
    """A turn in memory."""

    namespace: bytes
    record: Record
    keys: tuple[bytes, ...]
    """Those that it is found by here."""

    used_at: int
    """When the table last noted its use."""


class Front:
    """Holds turns, and finds them by token and key."""

    def __init__(self, most_bytes: int) -> None:
        self.most_bytes = most_bytes
        self._bytes = 0
        self.turns: OrderedDict[str, Held] = OrderedDict()
        """The turns by token, the longest unused first; for others to read."""

        self.tokens: dict[bytes, dict[str, None]] = {}
        """The tokens of the turns by key, in the order of a set; for others to read."""

        self._uncommitted: dict[str, Commit] = {}
        """Of turns on their way into a table that others change, too."""

    def hold(self, token: str, held: Held) -> None:
        """Hold a turn, in the place of what was held of it, and let go of others if it is much."""
        self.drop(token)
        self.turns[token] = held
        self._bytes += _size(held)
        for key in held.keys:
            self.tokens.setdefault(key, {})[token] = None
        while self._bytes > self.most_bytes and len(self.turns) > 1:
            self.drop(next(iter(self.turns)))

    def drop(self, token: str) -> None:
        """Hold the turn no longer, if it was held."""
        held = self.turns.pop(token, None)
        if held is None:
            return
        self._bytes -= _size(held)
        for key in held.keys:
            tokens = self.tokens[key]
            del tokens[token]
            if not tokens:
                del self.tokens[key]

    def set_keys(self, token: str, keys: Iterable[bytes]) -> None:
        """Have a held turn found by these keys alone."""
        held = self.turns[token]
        self.hold(token, msgspec.structs.replace(held, keys=tuple(dict.fromkeys(keys))))

    def follow(self, token: str, commit: Commit | None) -> None:
        """Have a turn found by its keys until the table has it: then others may drop them there.
        None: it has.
        """
        if commit is not None:
            self._uncommitted[token] = commit
            return
        self._uncommitted.pop(token, None)
        if token in self.turns:
            self.set_keys(token, ())

    def note_commits(self) -> None:
        """Look which of these the table has by now."""
        for token in [one for one, commit in self._uncommitted.items() if commit.committed]:
            self.follow(token, None)


def _size(held: Held) -> int:
    texts = getsizeof(held.record.text) + getsizeof(held.record.reasoning)
    texts += sum(
        len(thought.reasoning.opaque) + len(thought.reasoning.text)
        for thought in held.record.thoughts
    )
    return texts + _RECORD_BYTES + len(held.keys) * _KEY_BYTES
