"""Finds the remembered turn of each assistant message of a replayed conversation. Pure; reads
a `Lookup`.

A minted id names the turn of its message, and no other rule applies then. For the others the
rules run from certain to careful, and each must leave no doubt: one turn fits, or all that fit
have the same reasoning.

id         one of the message's tool-call ids is ours
anchor     text or calls, and what stood before the turn: the last id of ours, else the user's words
stop       the turn at this place began with this text
result     the same calls had the same results, in a client that replaces ids
text       a long text that only one remembered turn has, where no id says what stood before
chain      the turn after followed this one when it was made, or it fills the gap between two turns
neighbour  several turns fit, and one of them followed the turn before
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Protocol

import msgspec

from addon.formats.neutral.turn import Message
from addon.recall.identity import normal_text
from addon.recall.memory import MAX_CANDIDATES, Record
from addon.recall.turn_keys import LONG_TEXT, Keys, Place

__all__ = ("SURE", "Lookup", "resolve")

_CUT_TEXT = 32
"""Characters that identify a stopped turn at its place; shorter beginnings are much alike."""

_ALIKE = 0.6
"""Share of its words that an altered text must keep to be the turn in a gap."""


SURE = ("id", "neighbour", "chain")
"""Rules that find a turn when it is first replayed, or never."""


class Lookup(Protocol):
    """The part of the memory that resolving reads."""

    def turns(self, namespace: bytes, tokens: Iterable[str]) -> dict[str, Record]: ...

    def tokens(self, keys: Iterable[bytes]) -> dict[bytes, list[str]]: ...


def resolve(
    namespace: bytes, messages: Sequence[Message], places: list[Place], lookup: Lookup
) -> None:
    """Fill `rule` and `record`, or `why`, of each place anew."""
    resolver = _Resolver(namespace, messages, places, lookup)
    resolver.by_id()
    resolver.by_keys("anchor", resolver.anchor_keys, _stood_there)
    resolver.by_keys("stop", resolver.stop_keys, _was_cut)
    resolver.by_keys("result", resolver.result_keys)
    resolver.by_keys("text", resolver.text_keys)
    resolver.by_chain()
    resolver.by_neighbour()


type _Judgement = Callable[[Record, Place], bool]


class _Resolver:
    def __init__(
        self, namespace: bytes, messages: Sequence[Message], places: list[Place], lookup: Lookup
    ) -> None:
        self._namespace = namespace
        self._keys = Keys(namespace)
        self._messages = messages
        self._places = places
        self._lookup = lookup
        self._records: dict[str, Record] = {}
        self._texts: dict[str, str] = {}
        """The normal texts of the records, since many places are compared with each."""

        self._named: defaultdict[str, set[int]] = defaultdict(set)
        """Turns that minted ids name, and the positions of those messages."""

        self._doubts: dict[int, list[Record]] = {}
        """The turns that fit a place, one or more."""

    def by_id(self) -> None:
        self._read([minted.token for place in self._places for minted in place.minted.values()])
        for place in self._places:
            place.rule, place.record, place.why = "", None, ""
            tokens = {minted.token for minted in place.minted.values()}
            for token in tokens:
                self._named[token].add(place.at)
            if len(tokens) > 1:
                place.why = "the message joins the calls of several turns"
                continue
            record = self._records.get(next(iter(tokens), ""))
            if record is not None:
                _take(place, "id", record)
            else:
                place.why = _why_unknown(place)

    def by_keys(
        self,
        rule: str,
        keys_of_place: Callable[[Place], Iterable[Sequence[bytes]]],
        enough: _Judgement = lambda record, place: True,
    ) -> None:
        """Give each open place the turn to which alone all keys of one of its lists lead."""
        wanted = {order: list(keys_of_place(self._places[order])) for order in self._open()}
        tokens = self._lookup.tokens(
            key for lists in wanted.values() for keys in lists for key in keys
        )
        self._read([token for candidates in tokens.values() for token in candidates])
        fits: dict[int, Record] = {}
        for order, lists in wanted.items():
            for keys in lists:
                record = self._judge(order, [tokens[key] for key in keys], enough)
                if record is not None:
                    fits[order] = record
                    break
        contested = self._contested(fits)
        for order, record in fits.items():
            if record.token not in contested:
                _take(self._places[order], rule, record)

    def by_chain(self) -> None:
        for order in reversed(list(self._open())):
            place, before = self._places[order], self._neighbour(order - 1)
            record = self._parent(order + 1)
            if record is None or not self._may_be(record, place):
                continue
            between = before is not None and record.parent == before.token
            if self._same(record, place) or (between and self._alike(record, place)):
                _take(place, "chain", record)

    def by_neighbour(self) -> None:
        for order, fitting in sorted(self._doubts.items()):
            before = self._neighbour(order - 1)
            if self._places[order].record is not None or before is None or not before.token:
                continue
            following = [record for record in fitting if record.parent in (before.token, None)]
            record = _unanimous(following)
            if record is not None and record.parent == before.token:
                _take(self._places[order], "neighbour", record)

    def anchor_keys(self, place: Place) -> Iterable[Sequence[bytes]]:
        if place.after and not place.message.calls:
            yield [self._keys.after_id(mark, place.anchor) for mark in place.marks]
        yield [self._keys.after_words(mark, place.anchor) for mark in place.marks]

    def stop_keys(self, place: Place) -> Iterable[Sequence[bytes]]:
        if not place.message.calls and len(place.text) >= _CUT_TEXT:
            yield [self._keys.place(place.anchor)]

    def result_keys(self, place: Place) -> Iterable[Sequence[bytes]]:
        keys = self._keys.of_results(place, self._messages)
        if keys:
            yield keys

    def text_keys(self, place: Place) -> Iterable[Sequence[bytes]]:
        if not place.message.calls and not place.after and len(place.text) >= LONG_TEXT:
            yield [self._keys.text(place.text)]

    def _open(self) -> Iterator[int]:
        """Places without a turn; a place with a minted id can only be the turn it names."""
        return (
            order
            for order, place in enumerate(self._places)
            if place.record is None and not place.minted
        )

    def _judge(self, order: int, tokens: list[list[str]], enough: _Judgement) -> Record | None:
        """The only turn in all of the lists; None where there is a doubt."""
        place = self._places[order]
        common = set[str].intersection(*map(set, tokens))
        fitting: list[Record] = []
        for token in tokens[0]:
            record = self._records.get(token)
            if record is None or token not in common:
                continue
            if self._begins(record, place) and self._may_be(record, place):
                fitting.append(record)
        if any(len(candidates) >= MAX_CANDIDATES for candidates in tokens):
            place.why = f"{MAX_CANDIDATES} or more remembered turns stand at places like this"
            return None
        if fitting:
            self._doubts[order] = fitting
        if len(fitting) > 1:
            place.why = f"{len(fitting)} remembered turns fit, with different reasoning"
        record = _unanimous(fitting)
        if record is None or not enough(record, place):
            return None
        return record

    def _contested(self, fits: dict[int, Record]) -> set[str]:
        """Turns that several messages fit; the parts of a split turn stand together."""
        claims: dict[str, list[int]] = {}
        for order, record in fits.items():
            if record.token:
                claims.setdefault(record.token, []).append(self._places[order].at)
        return {token for token, at in claims.items() if at[-1] - at[0] >= len(at)}

    def _may_be(self, record: Record, place: Place) -> bool:
        named = self._named.get(record.token)
        if named and named.isdisjoint((place.at - 1, place.at, place.at + 1)):
            return False  # it is another message; the parts of a split turn stand together
        # A client that keeps minted ids lacks them only for calls whose stream it stopped
        # before it saw them.
        return not (place.message.calls and record.complete and self._named)

    def _begins(self, record: Record, place: Place) -> bool:
        """Whether the turn's text begins with the place's, which many clients drop beside calls."""
        return self._text(record).startswith(place.text)

    def _same(self, record: Record, place: Place) -> bool:
        """Whether the turn has the place's text and calls."""
        names = tuple(call.name for call in place.message.calls)
        return record.names == names and self._text(record) == place.text

    def _alike(self, record: Record, place: Place) -> bool:
        """Whether an altered message may be the turn that stands between its neighbours."""
        if record.names or place.message.calls:
            names = {call.name for call in place.message.calls}
            return bool(names) and names <= set(record.names)
        mine, theirs = set(place.text.split()), set(self._text(record).split())
        return len(mine & theirs) >= _ALIKE * max(len(mine), len(theirs), 1)

    def _text(self, record: Record) -> str:
        if record.token not in self._texts:
            self._texts[record.token] = normal_text(record.text)
        return self._texts[record.token]

    def _parent(self, order: int) -> Record | None:
        """The turn before the one at this place."""
        child = self._neighbour(order)
        if child is None or not child.parent:
            return None
        self._read([child.parent])
        return self._records.get(child.parent)

    def _neighbour(self, order: int) -> Record | None:
        if 0 <= order < len(self._places):
            return self._places[order].record
        return None

    def _read(self, tokens: Iterable[str]) -> None:
        absent = [token for token in tokens if token not in self._records]
        if absent:
            self._records |= self._lookup.turns(self._namespace, absent)


def _take(place: Place, rule: str, record: Record) -> None:
    place.rule, place.record = rule, record


def _why_unknown(place: Place) -> str:
    """Why no id leads to the place's turn."""
    if place.minted:
        return "the turn is no longer remembered, or was made by another provider family"
    if place.message.calls:
        return "the tool-call ids are not the gateway's"
    return "no remembered turn has this text here"


def _unanimous(records: list[Record]) -> Record | None:
    """The only record, or the common reasoning of several without a turn's name."""
    if len({(record.reasoning, record.field, record.thoughts) for record in records}) != 1:
        return None
    if len(records) == 1:
        return records[0]
    # Which of the turns it is remains open.
    return msgspec.structs.replace(records[0], token="", parent=None)


def _stood_there(record: Record, place: Place) -> bool:
    """Whether the same minted id stood before the turn, or before the user's words."""
    return record.after == place.after or record.since == place.asked.since


def _was_cut(record: Record, place: Place) -> bool:
    """Whether the beginning of the turn is enough to identify it."""
    # A whole turn may have come faster than the client showed it.
    return not record.complete or len(place.text) >= LONG_TEXT
