"""Which remembered turn is each assistant message of a replayed conversation? Pure; asks a `Lookup`.

An id of ours says which turn a message is, and nothing else is asked then. For the others the rules run from certain to
careful, and each must leave no doubt: one turn fits, or all that fit thought the same.

id         one of the message's tool-call ids is ours
anchor     text or calls, and what stood before the turn: the last id of ours, else the user's words
stop       the turn at this place began with this text
result     the same calls had the same results, in a client that replaces ids
text       a long text that only one remembered turn has, where no id says what stood before
neighbour  several turns fit, and the turn before or after tells which
chain      the turn after followed exactly this one, or a gap between two turns is filled by exactly one turn like this
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cached_property
from typing import Protocol

import msgspec

from addon.formats.turn import Message, ToolCall, Turn
from addon.reasoning.identity import MintedId, canonical_arguments, digest, normal_text, query_of, read_minted
from addon.reasoning.recall import MAX_CANDIDATES, Record

__all__ = ("Anchor", "Asked", "Lookup", "Place", "call_keys", "keys_of", "places_of", "resolve", "result_keys")

_LONG_TEXT = 64
"""Characters from which a text alone identifies a turn."""

_CUT_TEXT = 32
"""Characters by which a stopped turn is known at its place; models begin alike."""

_ALIKE = 0.6
"""Share of words that an altered text must keep to be taken for the turn in a gap."""


class Lookup(Protocol):
    """What resolving asks of the memory."""

    def turns(self, namespace: bytes, tokens: Iterable[str]) -> dict[str, Record]: ...

    def tokens(self, keys: Iterable[bytes]) -> dict[bytes, list[str]]: ...


class Anchor(msgspec.Struct, frozen=True):
    """Where a turn stands in its conversation."""

    after: str
    """The turn of the last tool-call id of ours before it, or empty."""

    since: str
    """The same for the user's words before it."""

    words: bytes
    """Digest of those words."""


class Asked(msgspec.Struct, dict=True):
    """A user message, which many turns may follow."""

    message: Message | None = None
    since: str = ""

    @cached_property
    def words(self) -> bytes:
        return digest(query_of(self.message.text) if self.message else "")


class Place(msgspec.Struct, dict=True):
    """One assistant message and what became of looking its turn up."""

    at: int
    """Index of the message."""

    message: Message
    minted: dict[str, MintedId]
    """Those of its tool-call ids that are ours."""

    after: str
    """The turn of the last id of ours before it, or empty."""

    asked: Asked
    """The user's words before it."""

    rule: str = ""
    """How its turn was found; empty while it is not."""

    record: Record | None = None
    why: str = ""
    """Why its turn was not found."""

    @cached_property
    def anchor(self) -> Anchor:
        return Anchor(self.after, self.asked.since, self.asked.words)

    @cached_property
    def text(self) -> str:
        return normal_text(self.message.text)

    @cached_property
    def marks(self) -> list[bytes]:
        """Of its calls, in their order."""
        return [_call_mark(call) for call in self.message.calls]


class _Namespaced:
    """Digests of what a turn can be found by, within one namespace."""

    def __init__(self, namespace: bytes) -> None:
        self._namespace = namespace

    def after_id(self, mark: bytes, anchor: Anchor) -> bytes:
        return digest(self._namespace, "after-id", anchor.after, mark)

    def after_words(self, mark: bytes, anchor: Anchor) -> bytes:
        return digest(self._namespace, "after-words", anchor.since, anchor.words, mark)

    def said(self, mark: bytes, anchor: Anchor) -> list[bytes]:
        """Keys of something said at a place; the last is of the user's words alone, in case compaction takes the ids."""
        found = [self.after_id(mark, anchor)] if anchor.after else []
        found += [self.after_words(mark, anchor)] if anchor.since else []
        return [*found, self.after_words(mark, msgspec.structs.replace(anchor, since=""))]

    def place(self, anchor: Anchor) -> bytes:
        """Key of a place, whatever was said there."""
        return digest(self._namespace, "place", anchor.after, anchor.since, anchor.words)

    def text(self, text: str) -> bytes:
        return digest(self._namespace, "text", text)

    def result(self, mark: bytes, result: str) -> bytes:
        return digest(self._namespace, "result", mark, normal_text(result))


def keys_of(namespace: bytes, turn: Turn, anchor: Anchor) -> list[bytes]:
    """All keys under which a finished or stopped turn must be findable."""
    keys = _Namespaced(namespace)
    text = normal_text(turn.text)
    found = [keys.place(anchor)]
    if text or not turn.calls:
        found += keys.said(_text_mark(text), anchor)
    for call in turn.calls:
        found += keys.said(_call_mark(call), anchor)
    if len(text) >= _LONG_TEXT:
        found.append(keys.text(text))
    return found


def call_keys(namespace: bytes, place: Place) -> list[bytes]:
    """Keys under which the place's calls were remembered."""
    keys = _Namespaced(namespace)
    return [key for mark in place.marks for key in keys.said(mark, place.anchor)]


def result_keys(namespace: bytes, messages: Sequence[Message], place: Place) -> list[bytes]:
    """Keys of the place's calls with their results; empty as long as a result is missing."""
    results = _results_after(messages, place.at)
    if not place.message.calls or any(call.id not in results for call in place.message.calls):
        return []
    keys = _Namespaced(namespace)
    calls = zip(place.marks, place.message.calls, strict=True)
    return [keys.result(mark, results[call.id]) for mark, call in calls]


def places_of(messages: Sequence[Message], key: bytes) -> tuple[list[Place], Place]:
    """The assistant messages with what surrounds them, and the place of the answer to come."""
    places: list[Place] = []
    after, asked = "", Asked()
    for at, message in enumerate(messages):
        if message.role == "user":
            asked = Asked(message, after)
        elif message.role == "assistant":
            minted = {call.id: ours for call in message.calls if (ours := read_minted(call.id, key))}
            places.append(Place(at, message, minted, after, asked))
            after = [after, *(ours.token for ours in minted.values())][-1]
    return places, Place(len(messages), Message("assistant"), {}, after, asked)


def resolve(namespace: bytes, messages: Sequence[Message], places: list[Place], lookup: Lookup) -> None:
    """Fill `rule` and `record`, or `why`, of each place anew."""
    resolver = _Resolver(namespace, messages, places, lookup)
    resolver.by_id()
    resolver.by_keys("anchor", resolver.anchor_keys, _stood_there)
    resolver.by_neighbour()
    resolver.by_keys("stop", resolver.stop_keys, _was_cut)
    resolver.by_keys("result", resolver.result_keys)
    resolver.by_keys("text", resolver.text_keys)
    resolver.by_chain()


type _Judgement = Callable[[Record, Place], bool]


class _Resolver:
    def __init__(self, namespace: bytes, messages: Sequence[Message], places: list[Place], lookup: Lookup) -> None:
        self._namespace = namespace
        self._keys = _Namespaced(namespace)
        self._messages = messages
        self._places = places
        self._lookup = lookup
        self._records: dict[str, Record] = {}
        self._keeps_ids = False
        """Whether the client has kept any id of ours."""

        self._taken: dict[str, int] = {}
        """Turns that are surely one message, and its index."""

        self._doubts: dict[int, list[Record]] = {}
        """The turns that fit a place."""

    def by_id(self) -> None:
        self._read([ours.token for place in self._places for ours in place.minted.values()])
        for place in self._places:
            place.rule, place.record, place.why = "", None, ""
            self._keeps_ids = self._keeps_ids or bool(place.minted)
            named = {ours.token for ours in place.minted.values()}
            if len(named) > 1:
                place.why = "the message joins the calls of several turns"
            elif named and (record := self._records.get(named.pop())):
                place.rule, place.record = "id", record
                self._taken[record.token] = place.at
            elif place.minted:
                place.why = "the turn is no longer remembered, or was made by another provider family"
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
        """Try for each open place its lists of keys: a turn is meant when all keys of a list lead to it alone."""
        wanted = {order: list(keys_of_place(self._places[order])) for order in self._open()}
        found = self._lookup.tokens(key for lists in wanted.values() for keys in lists for key in keys)
        self._read([token for tokens in found.values() for token in tokens])
        claims: dict[str, list[int]] = {}
        for order in reversed(wanted):  # what comes after a turn is the surest sign of it
            if self._precedes(order):
                continue
            any(self._settle(order, rule, [found[key] for key in keys], enough) for keys in wanted[order])
            if record := self._places[order].record:
                claims.setdefault(record.token, []).append(order)
        for orders in claims.values():
            self._withdraw(orders)

    def by_neighbour(self) -> None:
        for order, fitting in sorted(self._doubts.items()):
            place, before, after = self._places[order], self._neighbour(order - 1), self._neighbour(order + 1)
            if place.record is not None or before is None:
                continue
            next_to = [record for record in fitting if record.parent in (before.token, None)]
            if after is not None and after.parent is not None:
                next_to = [record for record in next_to if record.token == after.parent]
            if (found := _unanimous(next_to)) and found.parent == before.token:
                place.rule, place.record = "neighbour", found

    def by_chain(self) -> None:
        for order in reversed(list(self._open())):
            if self._precedes(order):
                continue
            place, before, between = self._places[order], self._neighbour(order - 1), self._parent(order + 1)
            if before and between and between.parent == before.token and _alike(between, place):
                place.rule, place.record = "chain", between

    def anchor_keys(self, place: Place) -> Iterable[Sequence[bytes]]:
        anchor = place.anchor
        if not place.marks:
            mark = _text_mark(place.text)
            lists = [[self._keys.after_id(mark, anchor)]] if place.after else []
            return [*lists, [self._keys.after_words(mark, anchor)]]
        # The same call comes again and again on the way to one answer: what stood last before it tells which one it is.
        key_of = self._keys.after_words if place.after == place.asked.since else self._keys.after_id
        return [[key_of(mark, anchor) for mark in place.marks]]

    def stop_keys(self, place: Place) -> Iterable[Sequence[bytes]]:
        if not place.message.calls and len(place.text) >= _CUT_TEXT:
            yield [self._keys.place(place.anchor)]

    def result_keys(self, place: Place) -> Iterable[Sequence[bytes]]:
        if keys := result_keys(self._namespace, self._messages, place):
            yield keys

    def text_keys(self, place: Place) -> Iterable[Sequence[bytes]]:
        if not place.message.calls and not place.after and len(place.text) >= _LONG_TEXT:
            yield [self._keys.text(place.text)]

    def _open(self) -> Iterator[int]:
        """Places without a turn; one with an id of ours is not open to likeness: it can only be the turn it names."""
        return (order for order, place in enumerate(self._places) if place.record is None and not place.minted)

    def _settle(self, order: int, rule: str, tokens: list[list[str]], enough: _Judgement) -> bool:
        """Take the turn that all of the lists hold, when that leaves no doubt."""
        place = self._places[order]
        common = set[str].intersection(*map(set, tokens))
        known = [self._records[token] for token in tokens[0] if token in common and token in self._records]
        fitting = [record for record in known if self._fits(record, place)]
        if any(len(one) >= MAX_CANDIDATES for one in tokens):
            place.why = f"{MAX_CANDIDATES} or more remembered turns stand at places like this"
            return False
        self._doubts[order] = fitting or self._doubts.get(order, [])
        if (record := _unanimous(fitting)) and enough(record, place):
            place.rule, place.record = rule, record
        elif len(fitting) > 1:
            place.why = f"{len(fitting)} remembered turns fit, with different reasoning"
        return place.record is not None

    def _withdraw(self, orders: list[int]) -> None:
        """A turn is one message: of more that look like it, the neighbours tell which it is."""
        places = [self._places[order] for order in orders]
        spread = places[0].at - places[-1].at >= len(places)
        if spread and len(orders) > min(len(self._doubts[order]) for order in orders):
            for place in places:
                place.rule, place.record, place.why = "", None, f"{len(places)} messages are like one turn"

    def _fits(self, record: Record, place: Place) -> bool:
        if abs(self._taken.get(record.token, place.at) - place.at) > 1:
            return False  # it is another message; clients that split a turn leave its parts together
        if place.marks and record.complete and self._keeps_ids:
            return False  # this client keeps our ids, unless the stream was stopped before it saw them
        return _begins(record, place)

    def _precedes(self, order: int) -> bool:
        """Take the turn that the next one followed when it was made, if the message is just that."""
        record, place = self._parent(order + 1), self._places[order]
        if record is not None and _same(record, place):
            place.rule, place.record = "chain", record
            self._taken[record.token] = place.at
        return place.record is not None

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
    """The one record, or any of several that hold the same reasoning."""
    if len({(record.reasoning, record.field) for record in records}) != 1:
        return None
    return records[0]


def _text_mark(text: str) -> bytes:
    return digest("text", text)


def _stood_there(record: Record, place: Place) -> bool:
    """Whether the same id of ours stood before the turn, or before the user's words."""
    return record.after == place.after or record.since == place.asked.since


def _call_mark(call: ToolCall) -> bytes:
    return digest("call", call.name, canonical_arguments(call.arguments))


def _begins(record: Record, place: Place) -> bool:
    """Whether the turn's text begins with the place's; many clients drop the text of a turn with calls."""
    return normal_text(record.text).startswith(place.text)


def _was_cut(record: Record, place: Place) -> bool:
    """Whether enough of the turn was seen to know it; a whole one may have come faster than it was shown."""
    return len(place.text) >= (_LONG_TEXT if record.complete else _CUT_TEXT)


def _results_after(messages: Sequence[Message], at: int) -> dict[str, str]:
    """Results by call id that follow the assistant message directly."""
    found: dict[str, str] = {}
    for message in messages[at + 1 :]:
        if message.role != "tool":
            break
        found[message.result_of] = message.text
    return found


def _same(record: Record, place: Place) -> bool:
    """Whether the turn has this text and these calls, as far as they are remembered."""
    names = tuple(call.name for call in place.message.calls)
    return record.names == names and normal_text(record.text) == place.text


def _alike(record: Record, place: Place) -> bool:
    """Whether an altered message can be the turn that its neighbours say it is."""
    if record.names or place.message.calls:
        return bool(place.message.calls) and {call.name for call in place.message.calls} <= set(record.names)
    mine, theirs = set(place.text.split()), set(normal_text(record.text).split())
    return len(mine & theirs) >= _ALIKE * max(len(mine), len(theirs), 1)
