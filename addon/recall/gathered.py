"""All that resolving a conversation may ask of the table, asked for in two goes: what the messages
name leads to tokens, and those to turns. A third is made where a message was changed so that its
turn can only be found by the one after it, which has no id itself.

Across a network a go takes as long as a hundred look-ups beside the table.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from itertools import chain, pairwise

from addon.formats.neutral.turn import Message
from addon.recall.carried import copied
from addon.recall.memory import MAX_CANDIDATES, Recall, Record
from addon.recall.prefixes import prefixes
from addon.recall.search import keys_of
from addon.recall.turn_keys import Keys, Place
from shared.store.lookup import Found, Wanted

__all__ = ("Gathered",)


class Gathered:
    """A `Lookup` that has been asked before; what it lacks all the same it asks for then."""

    def __init__(
        self,
        recall: Recall,
        namespace: bytes,
        messages: Sequence[Message],
        places: Sequence[Place],
        conversation: str,
    ) -> None:
        self.namespace = namespace
        self._recall = recall
        self._places = places
        self._named = [ours.token for place in places for ours in place.minted.values()]
        self._choices: Sequence[bytes] = ()
        """What earlier requests chose for places without an id stands under these keys."""

        self._records: dict[str, Record | None] = {}
        self._tokens: dict[bytes, list[str]] = {}
        self._sent: dict[bytes, tuple[str, int] | None] = {}
        self.wanted = self._all_wanted(messages, conversation)
        """The first go."""

    def take(self, found: Found) -> None:
        """Take up what came of the first go, and make the second."""
        self._tokens = self._recall.with_held(found.tokens)
        self._note_sent(self.wanted.sent, found.sent)
        turns = self._recall.take(self.namespace, found)
        absent = [
            token for token in self.wanted.turns.get(self.namespace, ()) if token not in turns
        ]
        self._records |= dict.fromkeys(absent) | {name: one.record for name, one in turns.items()}
        self._read([*self._meant(), *self._chosen(), *self._before_named()])

    def turns(self, namespace: bytes, tokens: Iterable[str]) -> dict[str, Record]:
        wanted = list(tokens)
        if any(token not in self._records for token in wanted):
            self._read([*wanted, *self._before_found()])
        found = ((token, self._records[token]) for token in wanted)
        return {token: record for token, record in found if record is not None}

    def tokens(self, keys: Iterable[bytes]) -> dict[bytes, list[str]]:
        wanted = list(keys)
        if lacking := [key for key in wanted if key not in self._tokens]:
            self._tokens |= self._recall.tokens(lacking)
        return {key: self._tokens[key] for key in wanted}

    def sent(self, keys: Collection[bytes]) -> dict[bytes, tuple[str, int]]:
        if lacking := [key for key in keys if key not in self._sent]:
            self._note_sent(lacking, self._recall.sent(lacking))
        found = ((key, self._sent[key]) for key in keys)
        return {key: sent for key, sent in found if sent is not None}

    def _all_wanted(self, messages: Sequence[Message], conversation: str) -> Wanted:
        keys = Keys(self.namespace)
        unnamed = {place.at: place for place in self._places if not place.minted}
        self._choices = [
            keys.choice(conversation, [*prefix, *copied(messages[at])])
            for at, prefix in prefixes(messages, unnamed)
        ]
        treated = [keys.sent(place) for place in self._places]
        absent = self._recall.absent(self._named)
        self._read(set(self._named).difference(absent))
        return Wanted(
            turns={self.namespace: absent} if absent else {},
            keys=list(dict.fromkeys(_keys_of(unnamed.values(), messages, keys))),
            most=MAX_CANDIDATES,
            sent=list(dict.fromkeys([*treated, *self._choices])),
        )

    def _meant(self) -> Iterator[str]:
        """The turns that may be meant; a crowd tells nothing."""
        return chain(*(found for found in self._tokens.values() if len(found) < MAX_CANDIDATES))

    def _chosen(self) -> Iterator[str]:
        sent = (self._sent[key] for key in self._choices)
        return (found[0] for found in sent if found is not None and found[0])

    def _before_named(self) -> Iterator[str]:
        """The turns before those that ids name, where they have no id themselves."""
        for before, place in pairwise(self._places):
            for ours in place.minted.values():
                record = self._records.get(ours.token)
                if not before.minted and record is not None and record.parent:
                    yield record.parent

    def _before_found(self) -> Iterator[str]:
        """The turns that those which were read followed: one of them is asked for, and others may
        be next.
        """
        return (one.parent for one in self._records.values() if one is not None and one.parent)

    def _read(self, tokens: Iterable[str]) -> None:
        lacking = [token for token in dict.fromkeys(tokens) if token not in self._records]
        if lacking:
            found = self._recall.turns(self.namespace, lacking)
            self._records |= {token: found.get(token) for token in lacking}

    def _note_sent(self, keys: Iterable[bytes], found: Mapping[bytes, tuple[str, int]]) -> None:
        latest = self._recall.latest_sent(keys, found)
        self._sent |= {key: latest.get(key) for key in keys}


def _keys_of(places: Iterable[Place], messages: Sequence[Message], keys: Keys) -> Iterator[bytes]:
    for place in places:
        yield from keys.given_in(place.message)
        yield from keys_of(keys.leads(place, messages))
