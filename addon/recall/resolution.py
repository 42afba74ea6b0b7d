"""The places of one conversation while their turns are looked for; pure."""

from collections import defaultdict
from collections.abc import Sequence

import msgspec

from addon.formats.neutral.turn import Message
from addon.formats.wire.pace import breathe, lots_of
from addon.recall.evidence import Candidate, Likeness, Position, best, only
from addon.recall.memory import Record
from addon.recall.search import Found, Search
from addon.recall.turn_keys import Place

__all__ = ("Resolution",)


class Resolution:
    """What is known of the places so far; a place's order is its index among them."""

    def __init__(self, messages: Sequence[Message], places: list[Place], search: Search) -> None:
        self.messages = messages
        self.places = places
        self.search = search
        self.claimed: set[int] = set()
        """Places whose turn another message has, or may have, too."""

        self._open: list[int] = []
        self._found: dict[int, Found] = {}
        self._stands: defaultdict[str, set[int]] = defaultdict(set)
        """Turns that were found, or that minted ids name, and the positions of their messages."""

        self._keeps_ids = False
        """Whether the client keeps minted ids."""

    def read_ids(self) -> None:
        """Read the turns that minted ids name, and forget all that was found before."""
        for place in lots_of(self.places):
            if place.is_resolved:
                _forget(place)
            for minted in place.minted.values():
                self._stands[minted.token].add(place.at)
        self.search.read(self._stands)
        self._keeps_ids = bool(self._stands)
        self._open = [order for order, place in enumerate(self.places) if not place.minted]

    def look(self) -> None:
        """Find all turns that may be meant at the open places."""
        found = self.search.look({order: self.places[order] for order in self.open()})
        for order, one in found.items():
            kept = [
                candidate
                for candidate in one.candidates
                if not self._would_have_ids(candidate.record, order)
            ]
            self._found[order] = Found(kept, one.is_crowded, one.is_common)
        for order in found:
            self._found[order].candidates.extend(self._split_from(order))

    def open(self) -> list[int]:
        """Places without a turn; a place with a minted id can only be the turn it names."""
        self._open = [order for order in self._open if self.places[order].record is None]
        return self._open

    def is_crowded(self, order: int) -> bool:
        """Whether so many turns may be meant that they were not read."""
        return self._found.get(order, Found()).is_crowded

    def is_common(self, order: int) -> bool:
        """Whether more turns may be meant than those that were read."""
        return self._found.get(order, Found()).is_common

    def all(self, order: int) -> list[Candidate]:
        """All turns that may be meant at an open place; no other message is known to be one."""
        candidates = self._found.get(order, Found()).candidates
        candidates = [one for one in candidates if not self.is_elsewhere(one.record, order)]
        # Where all the calls of one are shown, those that had more are not meant.
        return [one for one in candidates if one.likeness > Likeness.FEWER] or candidates

    def best(self, order: int) -> list[Candidate]:
        """Those of them that fit the place best; with more than one it is in doubt."""
        breathe()
        return best(self.all(order))

    def take(self, order: int, rule: str, record: Record, token: str = "") -> None:
        """Give the place its turn: `token` names one of several that thought the same."""
        place = self.places[order]
        place.rule, place.record, place.token = rule, record, token or record.token
        if record.token:
            self._stands[record.token].add(place.at)

    def settle(self, rule: str, fits: dict[int, Candidate]) -> None:
        """Give the places their turns, but none that other places fit as well: only the parts of a
        split turn stand together.
        """
        claims = self._claims(fits)
        for order, candidate in fits.items():
            token = candidate.record.token
            at = [at for at, position in claims[token] if position >= candidate.position]
            if token and at[-1] - at[0] >= len(at):
                self.claimed.add(order)
            else:
                self.take(order, rule, candidate.record, candidate.token)

    def _claims(self, fits: dict[int, Candidate]) -> dict[str, list[tuple[int, Position]]]:
        """The messages that each turn fits, and how well."""
        claims: defaultdict[str, list[tuple[int, Position]]] = defaultdict(list)
        for order in self.open():
            candidate = fits.get(order) or only(self.best(order))
            if candidate is not None:
                claims[candidate.record.token].append((self.places[order].at, candidate.position))
        return claims

    def is_elsewhere(self, record: Record, order: int) -> bool:
        """Whether the turn is known to be another message."""
        stands, at = self._stands.get(record.token, set()), self.places[order].at
        return bool(stands) and stands.isdisjoint((at - 1, at, at + 1))

    def is_related(self, record: Record) -> bool:
        """Whether another turn of the same conversation was found."""
        if not record.root:
            return False
        return any(place.record and place.record.root == record.root for place in self.places)

    def may_be_of(self, record: Record, order: int) -> bool:
        """Whether the turn may belong to this conversation: where ids stand before the place, it
        is known which one that is.
        """
        return not self.places[order].after or self.is_related(record)

    def at(self, order: int) -> Record | None:
        """The turn of a place, if there is one."""
        return self.places[order].record if 0 <= order < len(self.places) else None

    def parent(self, order: int) -> Record | None:
        """The turn that the one of this place followed."""
        child = self.at(order)
        if child is None or not child.parent:
            return None
        self.search.read([child.parent])
        return self.search.turn(child.parent)

    def _split_from(self, order: int) -> list[Candidate]:
        """The turns whose calls may stand in the next message, and whose text this one is."""
        place, calls = self.places[order], order + 1
        if place.message.calls or not place.text or calls not in self._found:
            return []
        if self.places[calls].at != place.at + 1:
            return []
        known = {one.token for one in self._found[order].candidates}
        return [
            msgspec.structs.replace(one, likeness=Likeness.WHOLE)
            for one in self._found[calls].candidates
            if one.token not in known and self.search.text(one.record) == place.text
        ]

    def _would_have_ids(self, record: Record, order: int) -> bool:
        """Whether the turn would have come back with its ids: a client that keeps these lacks
        them only for calls whose stream it stopped before it saw them.
        """
        return bool(self.places[order].message.calls) and record.complete and self._keeps_ids


def _forget(place: Place) -> None:
    """Know nothing of a place's turn."""
    place.rule, place.record, place.token, place.why, place.needed = "", None, "", "", ""
    place.choice, place.is_kept, place.is_missed = b"", False, False
