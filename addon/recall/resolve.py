"""Which remembered turn is each assistant message of a replayed conversation? Pure; asks a
`Lookup`.

An id of ours says which turn a message is, and nothing else is asked then. For the others
the rules run from certain to careful, and each must leave no doubt: one turn fits, or all
that fit thought the same.

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
"""Characters by which a stopped turn is known at its place; models begin alike."""

_ALIKE = 0.6
"""Share of words that an altered text must keep to be taken for the turn in a gap."""


SURE = ("id", "neighbour", "chain")
"""Rules that find a turn when it is first replayed, or never."""


class Lookup(Protocol):
    """What resolving asks of the memory."""

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
        """The normal texts of the records, which many places are compared with."""

        self._named: defaultdict[str, set[int]] = defaultdict(set)
        """Turns whose ids the client kept, and where those stand."""

        self._doubts: dict[int, list[Record]] = {}
        """The turns that fit a place, one or more."""

    def by_id(self) -> None:
        self._read([ours.token for place in self._places for ours in place.minted.values()])
        for place in self._places:
            place.rule, place.record, place.why = "", None, ""
            named = {ours.token for ours in place.minted.values()}
            for token in named:
                self._named[token].add(place.at)
            if len(named) > 1:
                place.why = "the message joins the calls of several turns"
            elif named and (record := self._records.get(named.pop())):
                place.rule, place.record = "id", record
            elif place.minted:
                place.why = (
                    "the turn is no longer remembered, or was made by another provider family"
                )
            elif place.message.calls:
                place.why = "the tool-call ids are not the gateway's"
            else:
                place.why = "no remembered turn has this text here"

    def by_keys(
        self,
        rule: str,
        keys_of_place: Callable[[Place], Iterable[Sequence[bytes]]],
        enough: _Judgement = lambda record, place: True,
    ) -> None:
        """Try for each open place its lists of keys: a turn is meant when all keys of a
        list lead to it alone.
        """
        wanted = {order: list(keys_of_place(self._places[order])) for order in self._open()}
        found = self._lookup.tokens(
            key for lists in wanted.values() for keys in lists for key in keys
        )
        self._read([token for tokens in found.values() for token in tokens])
        meant: dict[int, Record] = {}
        for order, lists in wanted.items():
            judged = (self._judge(order, [found[key] for key in keys], enough) for keys in lists)
            if record := next(filter(None, judged), None):
                meant[order] = record
        contested = self._contested(meant)
        for order, record in meant.items():
            if record.token not in contested:
                self._take(order, rule, record)

    def by_chain(self) -> None:
        for order in reversed(list(self._open())):
            place, before, record = (
                self._places[order],
                self._neighbour(order - 1),
                self._parent(order + 1),
            )
            if record is None or not self._may_be(record, place):
                continue
            between = before is not None and record.parent == before.token
            if self._same(record, place) or (between and self._alike(record, place)):
                self._take(order, "chain", record)

    def by_neighbour(self) -> None:
        for order, fitting in sorted(self._doubts.items()):
            before = self._neighbour(order - 1)
            if self._places[order].record is not None or before is None or not before.token:
                continue
            found = _unanimous(
                [record for record in fitting if record.parent in (before.token, None)]
            )
            if found is not None and found.parent == before.token:
                self._take(order, "neighbour", found)

    def anchor_keys(self, place: Place) -> Iterable[Sequence[bytes]]:
        if place.after and not place.message.calls:
            yield [self._keys.after_id(mark, place.anchor) for mark in place.marks]
        yield [self._keys.after_words(mark, place.anchor) for mark in place.marks]

    def stop_keys(self, place: Place) -> Iterable[Sequence[bytes]]:
        if not place.message.calls and len(place.text) >= _CUT_TEXT:
            yield [self._keys.place(place.anchor)]

    def result_keys(self, place: Place) -> Iterable[Sequence[bytes]]:
        if keys := self._keys.of_results(place, self._messages):
            yield keys

    def text_keys(self, place: Place) -> Iterable[Sequence[bytes]]:
        if not place.message.calls and not place.after and len(place.text) >= LONG_TEXT:
            yield [self._keys.text(place.text)]

    def _open(self) -> Iterator[int]:
        """Places without a turn; one with an id of ours is not open to likeness: it can
        only be the turn it names.
        """
        return (
            order
            for order, place in enumerate(self._places)
            if place.record is None and not place.minted
        )

    def _judge(self, order: int, tokens: list[list[str]], enough: _Judgement) -> Record | None:
        """The turn that all of the lists hold, when that leaves no doubt."""
        place = self._places[order]
        common = set[str].intersection(*map(set, tokens))
        known = [
            self._records[token]
            for token in tokens[0]
            if token in common and token in self._records
        ]
        fitting = [
            record
            for record in known
            if self._begins(record, place) and self._may_be(record, place)
        ]
        if any(len(one) >= MAX_CANDIDATES for one in tokens):
            place.why = f"{MAX_CANDIDATES} or more remembered turns stand at places like this"
            return None
        if fitting:
            self._doubts[order] = fitting
        if len(fitting) > 1:
            place.why = f"{len(fitting)} remembered turns fit, with different reasoning"
        record = _unanimous(fitting)
        return record if record is not None and enough(record, place) else None

    def _contested(self, meant: dict[int, Record]) -> set[str]:
        """Turns that several messages look like; the parts of a split turn stand together."""
        claims: dict[str, list[int]] = {}
        for order, record in meant.items():
            if record.token:
                claims.setdefault(record.token, []).append(self._places[order].at)
        return {token for token, at in claims.items() if at[-1] - at[0] >= len(at)}

    def _may_be(self, record: Record, place: Place) -> bool:
        named = self._named.get(record.token)
        if named and named.isdisjoint((place.at - 1, place.at, place.at + 1)):
            return False  # it is another message; the parts of a split turn stand together
        # A client that keeps our ids has none for calls only when it stopped the stream
        # before it saw them.
        return not (place.message.calls and record.complete and self._named)

    def _begins(self, record: Record, place: Place) -> bool:
        """Whether the turn's text begins with the place's; many clients drop the text of a
        turn with calls.
        """
        return self._text(record).startswith(place.text)

    def _same(self, record: Record, place: Place) -> bool:
        """Whether the turn has this text and these calls, as far as they are remembered."""
        names = tuple(call.name for call in place.message.calls)
        return record.names == names and self._text(record) == place.text

    def _alike(self, record: Record, place: Place) -> bool:
        """Whether an altered message can be the turn that its neighbours say it is."""
        if record.names or place.message.calls:
            return bool(place.message.calls) and {call.name for call in place.message.calls} <= set(
                record.names
            )
        mine, theirs = set(place.text.split()), set(self._text(record).split())
        return len(mine & theirs) >= _ALIKE * max(len(mine), len(theirs), 1)

    def _text(self, record: Record) -> str:
        if record.token not in self._texts:
            self._texts[record.token] = normal_text(record.text)
        return self._texts[record.token]

    def _take(self, order: int, rule: str, record: Record) -> None:
        self._places[order].rule, self._places[order].record = rule, record

    def _parent(self, order: int) -> Record | None:
        """The turn before the one that was found there."""
        child = self._neighbour(order)
        if child is None or not child.parent:
            return None
        self._read([child.parent])
        return self._records.get(child.parent)

    def _neighbour(self, order: int) -> Record | None:
        return self._places[order].record if 0 <= order < len(self._places) else None

    def _read(self, tokens: Iterable[str]) -> None:
        if absent := [token for token in tokens if token not in self._records]:
            self._records |= self._lookup.turns(self._namespace, absent)


def _unanimous(records: list[Record]) -> Record | None:
    """The one record, or what several have in common that hold the same reasoning: nothing
    tells which one it is.
    """
    if len({(record.reasoning, record.field, record.thoughts) for record in records}) != 1:
        return None
    return (
        records[0]
        if len(records) == 1
        else msgspec.structs.replace(records[0], token="", parent=None)
    )


def _stood_there(record: Record, place: Place) -> bool:
    """Whether the same id of ours stood before the turn, or before the user's words."""
    return record.after == place.after or record.since == place.asked.since


def _was_cut(record: Record, place: Place) -> bool:
    """Whether what was seen of the turn is enough to know it: a whole one may have come
    faster than it was shown.
    """
    return not record.complete or len(place.text) >= LONG_TEXT
