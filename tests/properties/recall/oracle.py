"""What must go upstream for a replayed conversation, and what must never.

Written from what the documentation says of the rules, over all that was ever said.
"""

import hashlib
import json
import unicodedata
from collections import Counter
from collections.abc import Sequence
from functools import cache
from typing import Any

import msgspec

from tests.properties.recall.clients import id_of
from tests.properties.recall.truth import Conversation, Held, Issued, Words, runs_of
from tests.properties.recall.upstreams import Upstream

__all__ = (
    "LONG",
    "Likes",
    "Oracle",
    "Place",
    "digests_of",
    "last_words",
    "owners_of",
    "places_of",
    "questions_of",
)

LONG = 64
"""Characters from which a text alone identifies a turn."""

_RARE = 16
"""Characters from which words of the user or a tool's result are not generic ones."""


class Place(msgspec.Struct, eq=False):
    """An assistant message in a request."""

    held: Held
    order: int
    """Its number in the history."""

    words: str
    """The user's own words before it."""

    before: bytes
    """Digest of what was said before these words."""

    owners: set[int]
    """Numbers of the turns that surviving ids in it name."""

    after: Issued | None
    """The turn of the last surviving id before it."""

    any_ids: bool
    """Whether any message of the request has ids of the gateway's."""

    single: bool
    """Whether its turn stands nowhere else."""

    alone: bool
    """Whether it is told apart from its neighbours."""

    @property
    def key(self) -> tuple[Any, ...]:
        """Its content and the words before it."""
        return (self.words, normal(self.held.text), calls_of(self.held))


class Likes(msgspec.Struct, frozen=True):
    """The turns of a request: what was said before each, and what each says."""

    user: str
    family: str
    since: int
    """How many turns there were."""

    alike: set[tuple[bytes, str, tuple[tuple[str, str], ...]]]


class Oracle:
    """Knows every turn that one story's models have given."""

    def __init__(self, upstream: Upstream, wire: str) -> None:
        self._upstream = upstream
        self._wire = wire
        self.issued: list[Issued] = []
        self.marks: dict[str, Issued] = {}
        self.missed: set[tuple[Any, ...]] = set()
        """Contents that went out without their reasoning: that binds later requests."""

        self.replayed: set[int] = set()
        """Turns that went out with their reasoning as the last of a request."""

    def add(self, issued: Issued, marks: Sequence[str]) -> None:
        self.issued.append(issued)
        self.marks |= dict.fromkeys(marks, issued)

    def claim(
        self, talk: Conversation, place: Place, family: str, account: str, *, copies: bool = True
    ) -> str:
        """Why the turn's reasoning must go out with this message; empty when it need not.

        `copies`: the client's own ones count.
        """
        turn, held = self._turn_of(talk, place, family, account), place.held
        if turn is None:
            return ""
        if place.owners:
            return "id" if place.owners == {turn.number} and turn.complete else ""
        if copies and self._carries(talk, held, turn):
            return "copy" if place.alone or held.part else ""
        missed = (turn.user, family, place.key) in self.missed
        if missed or held.part or not (turn.complete and place.alone):
            return ""
        return self._by_content(talk, place, turn)

    def _turn_of(
        self, talk: Conversation, place: Place, family: str, account: str
    ) -> Issued | None:
        """The only turn that the message was made of, if this account can send its reasoning."""
        held = place.held
        if len(held.issued) != 1 or not (place.single or held.part):
            return None
        [turn] = held.issued
        if (turn.user, turn.family) != (talk.user, family):
            return None
        if turn.bound and turn.account != account:
            return None
        # Which calls are left of a turn is not known without ids.
        whole = place.owners or len(held.calls) == len(turn.turn.calls)
        return turn if whole or not self._upstream.by_call else None

    def twins(self, place: Place, user: str, family: str) -> set[int]:
        """Turns of this user's that nothing tells from a message that was made for somebody
        else: the same was said after the same words, or enough of it anywhere.
        """
        enough = bool(place.held.calls) or len(normal(place.held.text)) >= LONG
        if all((one.user, one.family) == (user, family) for one in place.held.issued):
            return set()
        return {
            one.number
            for one in self.issued
            if (one.user, one.family) == (user, family)
            and (enough or one.words == place.words)
            and (_may_be_meant(one, place.held) or _is_part(one, place.held))
        }

    def stood_there(self, talk: Conversation, place: Place) -> set[int]:
        """The turns that were made at the very place to which an altered history brings another
        one.
        """
        here = (place.words, place.before)
        if any((one.words, one.before) == here for one in place.held.issued):
            return set()
        return {
            one.number
            for one in self.issued
            if one.user == talk.user
            and (one.words, one.before) == here
            and _same_content(one, talk, place.held)
        }

    def likes(self, talk: Conversation, family: str, places: list[Place]) -> Likes:
        """What a turn would be like that could stand in the same request, to the letter."""
        repeated = talk.habits.ids == "repeated"
        said = [b"", *digests_of(talk)]
        if repeated:
            # No more than the question is remembered with a turn, and what is chosen for calls
            # may rest on the turn beside them.
            said = questions_of(talk)
        alike = {
            (said[place.order], *_content(place.held))
            for place in places
            if not place.held.calls or repeated
        }
        return Likes(talk.user, family, len(self.issued), alike)

    def has_twin(self, likes: Likes) -> bool:
        """Whether a turn was made since that another conversation would replay in this request."""
        return any(
            (digest, normal(one.turn.text), _calls(one)) in likes.alike
            for one in self.issued[likes.since :]
            if (one.user, one.family) == (likes.user, likes.family)
            for digest in (one.asked, one.question)
        )

    def _carries(self, talk: Conversation, held: Held, turn: Issued) -> bool:
        """Whether the client itself sends all of it; a blank copy is none."""
        if not held.copies or not turn.pieces or not (turn.turn.reasoning or "").strip():
            return False
        if self._wire != "chat":
            return True
        if self._upstream.api != "chat" or talk.habits.copies == "trimmed":
            return False
        annexes = [call.annex for call in held.calls]
        message = {"role": "assistant", "content": held.text, "tool_calls": annexes}
        [[sent]] = self._upstream.runs({"messages": [message | held.copies[0]]})
        return sent.pieces == list(turn.pieces)

    def _by_content(self, talk: Conversation, place: Place, turn: Issued) -> str:
        alike = [one for one in self._others(turn) if _same_content(one, talk, place.held)]
        begun = [one for one in self._others(turn) if _may_be_meant(one, place.held)]
        if not place.held.calls and place.after is not None and place.after is turn.after:
            return "anchor id" if _only(turn, alike, place) else ""
        if place.held.calls and (place.any_ids or talk.habits.keeps_ids):
            return ""
        if _same_words(talk, place, turn) and place.before == turn.before:
            # What is left of a shortened conversation looks like a beginning, too.
            there = [
                one
                for one in alike
                if one.words == turn.words and (not place.before or one.before == turn.before)
            ]
            return "anchor words" if len(there) == 1 else ""
        if len(begun) == 1 and self._is_known(place.after, turn):
            return self._by_itself(talk, place, turn)
        return ""

    def _is_known(self, after: Issued | None, turn: Issued) -> bool:
        """Whether the id before a place, if there is one, can tell its conversation."""
        return after is None or (after.user, after.family) == (turn.user, turn.family)

    def _by_itself(self, talk: Conversation, place: Place, turn: Issued) -> str:
        """The rule that finds a turn wherever it stands, if there is no other like it."""
        text, calls = normal(place.held.text), place.held.calls
        if calls:
            ids = {id_of(talk, place.held, at) for at in range(len(calls))}
            results = sum(len(call.result) for call in calls)
            told = len(ids) == len(calls) and results >= _RARE
            return "result" if told and turn.number in self.replayed else ""
        if len(text) >= LONG:
            return "text"
        weight = len(text) + min(len(place.words), LONG // 2)
        return "words" if _same_words(talk, place, turn) and weight >= LONG else ""

    def _others(self, turn: Issued) -> list[Issued]:
        """All turns that could be meant, itself included."""
        return [one for one in self.issued if (one.user, one.family) == (turn.user, turn.family)]


@cache
def normal(text: str) -> str:
    text = unicodedata.normalize("NFC", text)
    return text.replace("\r\n", "\n").replace("\r", "\n").strip()


def _content(held: Held) -> tuple[str, tuple[tuple[str, str], ...]]:
    return normal(held.text), calls_of(held)


def calls_of(held: Held) -> tuple[tuple[str, str], ...]:
    return tuple((call.name, _canonical(call.arguments)) for call in held.calls)


def _same_content(issued: Issued, talk: Conversation, held: Held) -> bool:
    """Whether a turn says all that the message says, and nothing else."""
    if _calls(issued) != calls_of(held):
        return False
    dropped = bool(held.calls) and talk.habits.drops_text
    return dropped or normal(issued.turn.text) == normal(held.text)


def _may_be_meant(issued: Issued, held: Held) -> bool:
    """Whether a message with this content may be what is left of a turn."""
    if held.calls:
        return _calls(issued) == calls_of(held)
    return normal(issued.turn.text).startswith(normal(held.text))


def _only(turn: Issued, alike: list[Issued], place: Place) -> bool:
    """Whether of the turns alike one alone stood behind the id that stands before the place."""
    there = [one for one in alike if one.after is turn.after]
    return there == [turn] or [one for one in there if one.words == place.words] == [turn]


def _calls(issued: Issued) -> tuple[tuple[str, str], ...]:
    return tuple((one.name, _canonical(one.arguments)) for one in issued.turn.calls)


def _same_words(talk: Conversation, place: Place, turn: Issued) -> bool:
    """Whether the words are known again: those that had grown only if enough is said."""
    said = len(place.words) + len(normal(place.held.text))
    said += sum(len(call.arguments) for call in place.held.calls)
    grown = talk.habits.words == "grown"
    return place.words == turn.words and (not grown or said >= LONG // 2)


def _is_part(issued: Issued, held: Held) -> bool:
    """Whether the message may be one part of the turn, split in two."""
    if held.part == "calls":
        return _calls(issued) == calls_of(held)
    return held.part == "text" and normal(issued.turn.text).startswith(normal(held.text))


@cache
def _canonical(arguments: str) -> str:
    return json.dumps(json.loads(arguments), sort_keys=True)


def places_of(talk: Conversation, owner: dict[str, Issued], *, joined: bool) -> list[Place]:
    """The assistant messages of the request as the conversation is now; `joined`: the format
    has no border between two in a row.
    """
    places: list[Place] = []
    words, before, after = "", b"", None
    said = [b"", *digests_of(talk, ids=False)]
    kept = [owners_of(talk, held, owner) for held in talk.helds]
    any_ids = any(kept)
    counts = Counter(
        number
        for held, owners in zip(talk.helds, kept, strict=True)
        for number in {one.number for one in (*held.issued, *owners)}
    )
    joins = {id(held) for run in runs_of(talk.history) for held in run if len(run) > 1 and joined}
    for order, entry in enumerate(talk.history):
        if isinstance(entry, Words):
            words, before = entry.text, said[order]
            continue
        owners = owners_of(talk, entry, owner)
        numbers = {one.number for one in owners}
        single = all(counts[turn.number] == 1 for turn in entry.issued)
        alone = id(entry) not in joins
        places.append(Place(entry, order, words, before, numbers, after, any_ids, single, alone))
        if owners:
            after = owners[-1]
    return places


def digests_of(talk: Conversation, *, ids: bool = True, results: bool = True) -> list[bytes]:
    """Digests of the history up to each of its entries, without what clients put around them;
    with the `ids` that they send and the `results` of calls, or without.
    """
    state, found = hashlib.sha256(), []
    for entry in talk.history:
        said: Any = entry.text
        if isinstance(entry, Held):
            came = [one.result for one in entry.calls if results]
            names = [id_of(talk, entry, at) for at in range(len(entry.calls)) if ids]
            said = (normal(entry.text), calls_of(entry), came, names)
        state.update(repr(said).encode())
        found.append(state.digest())
    return found


def questions_of(talk: Conversation) -> list[bytes]:
    """Digests of the history up to the latest words before each entry, or up to itself."""
    said, found, latest = digests_of(talk, ids=False, results=False), [], b""
    for entry, digest in zip(talk.history, said, strict=True):
        if isinstance(entry, Words):
            latest = digest
        found.append(latest)
    return found


def last_words(talk: Conversation) -> tuple[str, bytes]:
    """The user's last words, and a digest of what was said before them."""
    said = [b"", *digests_of(talk, ids=False)]
    found = [(one.text, said[at]) for at, one in enumerate(talk.history) if isinstance(one, Words)]
    return [("", b""), *found][-1]


def owners_of(talk: Conversation, held: Held, owner: dict[str, Issued]) -> list[Issued]:
    """The turns that the surviving ids of a message name."""
    ids = [id_of(talk, held, at) for at in range(len(held.calls))]
    return [owner[one] for one in ids if one in owner]
