"""Looks up all remembered turns that may be meant at the places of a conversation. Pure; reads
a `Lookup`.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from itertools import chain
from typing import Protocol

import msgspec

from addon.formats.neutral.turn import Message
from addon.formats.wire.pace import between_breaths, breathe
from addon.recall.carried import contradicts
from addon.recall.evidence import Candidate, Results, weigh
from addon.recall.identity import normal_text
from addon.recall.memory import MAX_CANDIDATES, Record
from addon.recall.turn_keys import Keys, Lead, Place

__all__ = ("Found", "Lookup", "Search", "keys_of")


class Lookup(Protocol):
    """The part of the memory that resolving reads."""

    def turns(self, namespace: bytes, tokens: Iterable[str]) -> dict[str, Record]: ...

    def tokens(self, keys: Iterable[bytes]) -> dict[bytes, list[str]]: ...

    def sent(self, keys: Collection[bytes]) -> dict[bytes, tuple[str, int]]: ...


class Found(msgspec.Struct, frozen=True):
    """What was found for one place."""

    candidates: list[Candidate] = []
    is_crowded: bool = False
    """So many turns are remembered that nothing is known of them; there are no candidates then."""

    is_common: bool = False
    """So many turns have the text that only those after the same words, or after the same id, are
    among the candidates.
    """


class Search:
    """Reads turns of one namespace, each once."""

    def __init__(self, namespace: bytes, messages: Sequence[Message], lookup: Lookup) -> None:
        self._namespace = namespace
        self._keys = Keys(namespace)
        self._messages = messages
        self._lookup = lookup
        self._records: dict[str, Record] = {}
        self._texts: dict[str, str] = {}
        """The normal texts of the records, since many places are compared with each."""

    def read(self, tokens: Iterable[str]) -> None:
        """Have these turns ready."""
        absent = [token for token in tokens if token not in self._records]
        if absent:
            self._records |= self._lookup.turns(self._namespace, absent)

    def turn(self, token: str) -> Record | None:
        """A turn that was read."""
        return self._records.get(token)

    def text(self, record: Record) -> str:
        """The turn's normal text."""
        if record.token not in self._texts:
            self._texts[record.token] = normal_text(record.text)
        return self._texts[record.token]

    def given(self, places: Mapping[int, Place]) -> dict[int, Record]:
        """The turns whose calls came to the client with the ids of the place's, by its order."""
        all_keys = {at: self._keys.given_in(place.message) for at, place in places.items()}
        keys = {at: ways for at, ways in all_keys.items() if ways}
        if not keys:
            return {}
        tokens = self._lookup.tokens(chain(*keys.values()))
        common = {at: _common([tokens[key] for key in ways]) for at, ways in keys.items()}
        self.read(chain(*common.values()))
        found: dict[int, Record] = {}
        for at, names in common.items():
            ids = tuple(call.id for call in places[at].message.calls)
            turns = [turn for turn in map(self.turn, names) if turn is not None]
            whole = [turn for turn in turns if turn.ids == ids] or turns
            if len(whole) == 1:
                found[at] = whole[0]
        return found

    def look(self, places: Mapping[int, Place]) -> dict[int, Found]:
        """What is found for each place, by its order."""
        leads = {at: self._keys.leads(place, self._messages) for at, place in places.items()}
        tokens = self._lookup.tokens(key for ways in leads.values() for key in keys_of(ways))
        # A crowd is not even read: it tells nothing.
        crowds = {key for key, found in tokens.items() if len(found) >= MAX_CANDIDATES}
        self.read(dict.fromkeys(chain(*(tokens[key] for key in tokens.keys() - crowds))))
        found: dict[int, Found] = {}
        for at, place in between_breaths(places.items()):
            if place.message.calls:
                found[at] = self._weigh_calls(place, leads[at], tokens, crowds)
            else:
                found[at] = self._weigh_text(place, leads[at][0], tokens, crowds)
        return found

    def _weigh_text(
        self, place: Place, lead: Lead, tokens: dict[bytes, list[str]], crowds: set[bytes]
    ) -> Found:
        after = dict.fromkeys(chain(*(tokens[key] for key in lead.after)))
        words = dict.fromkeys(chain(*(tokens[key] for key in lead.words)))
        anywhere = dict.fromkeys(tokens[lead.anywhere])
        is_common = lead.anywhere in crowds
        if is_common:
            anywhere = {}
        if not crowds.isdisjoint(lead.words):
            # Those after the same id are known all the same.
            is_common, words, anywhere = True, {}, {}
        if not crowds.isdisjoint(lead.after) or (is_common and not after and not words):
            return Found(is_crowded=True)
        results = dict.fromkeys({**after, **words, **anywhere}, Results.UNKNOWN)
        return Found(self._weigh(place, results, words), is_common=is_common)

    def _weigh_calls(
        self,
        place: Place,
        leads: list[Lead],
        tokens: dict[bytes, list[str]],
        crowds: set[bytes],
    ) -> Found:
        breathe()
        if not crowds.isdisjoint(keys_of(leads)):
            return Found(is_crowded=True)
        words = _common([chain(*(tokens[key] for key in lead.words)) for lead in leads])
        unknown = _common([tokens[lead.anywhere] for lead in leads])
        equal = _common([tokens.get(lead.result, []) for lead in leads])
        results = dict.fromkeys(words, Results.OTHER)
        if not leads[0].result:
            results = dict.fromkeys(words, Results.UNKNOWN)
        results |= dict.fromkeys(unknown, Results.UNKNOWN) | dict.fromkeys(equal, Results.EQUAL)
        return Found(self._weigh(place, results, words))

    def _weigh(
        self, place: Place, results: dict[str, Results], words: Collection[str]
    ) -> list[Candidate]:
        candidates: list[Candidate] = []
        for token, known in results.items():
            record = self._records.get(token)
            if record is None or contradicts(place.message, record):
                continue
            if not record.words and known is Results.OTHER:
                # Of turns of earlier versions it was not noted that their results are unknown.
                known = Results.UNKNOWN
            found = weigh(
                record, place, text=self.text(record), has_words=token in words, results=known
            )
            if found is not None:
                candidates.append(found)
        return candidates


def keys_of(leads: list[Lead]) -> Iterator[bytes]:
    """All of their keys."""
    for lead in leads:
        yield from lead.after
        yield from lead.words
        yield lead.anywhere
        if lead.result:
            yield lead.result


def _common(lists: Sequence[Iterable[str]]) -> dict[str, None]:
    """What is in all of the lists, in the order of the first."""
    first, *others = map(dict.fromkeys, lists)
    if not others:
        return first
    return {token: None for token in first if all(token in other for other in others)}
