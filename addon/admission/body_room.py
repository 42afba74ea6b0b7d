"""Room for requests that are still coming: bytes that nobody has let in yet, in all and of
each who sends them.

When there is none left, the largest request goes: whoever comes with little is served while
others fill the room.
"""

from collections import Counter
from collections.abc import Callable
from typing import Literal

__all__ = ("BodyRoom", "Held")


class Held:
    """What one request holds of the room."""

    def __init__(self, owner: str, let_go: Callable[[], None]) -> None:
        self.owner = owner
        self.size = 0
        """Bytes."""

        self.lost: Literal["", "share", "room"] = ""
        """Why it had to go, with all that it had: its owner's share was used up, or the room
        of all.
        """

        self.let_go = let_go
        """Frees what was kept of the request."""


class BodyRoom:
    """Counts the bytes; sizes are given by the caller, as they may be changed."""

    def __init__(self) -> None:
        self._held: dict[Held, None] = {}
        self._by_owner: Counter[str] = Counter()
        self.total = 0
        """Bytes that are held."""

    def hold(self, held: Held, size: int, *, most: int, most_of_owner: int) -> bool:
        """Let a request hold so many bytes; False when its owner has too many then, or it is
        the one that has to go.
        """
        if held.lost:
            return False
        self._count(held, size)
        if self._by_owner[held.owner] > most_of_owner:
            self._take_from(held, "share")
        while self.total > most:
            self._take_from(max(self._held, key=_size), "room")
        return not held.lost

    def leave(self, held: Held) -> None:
        """The request was let in, or has ended; a second time does nothing."""
        if held in self._held:
            self._count(held, 0)

    def _take_from(self, held: Held, why: Literal["share", "room"]) -> None:
        held.lost = why
        self._count(held, 0)
        held.let_go()

    def _count(self, held: Held, size: int) -> None:
        added, held.size = size - held.size, size
        self.total += added
        self._by_owner[held.owner] += added
        if not self._by_owner[held.owner]:
            del self._by_owner[held.owner]
        if size:
            self._held[held] = None
        else:
            self._held.pop(held, None)


def _size(held: Held) -> int:
    return held.size
