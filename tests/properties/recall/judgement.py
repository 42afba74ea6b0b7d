"""Reads each request that goes upstream, and says what is wrong with it."""

import json
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from typing import Literal

import msgspec

from tests.properties.recall.oracle import Oracle, Place, digests_of, owners_of, places_of
from tests.properties.recall.truth import MARK, Conversation, Held, Issued, runs_of
from tests.properties.recall.upstreams import Sent, Upstream
from tests.support.turns import Json

__all__ = ("Judge", "Request", "Violation")

type Kind = Literal[
    "crossed", "crossed user", "family", "account", "not exact", "not empty", "twice", "shape", "wrong account",
    "not identical", "refused",
]  # fmt: skip
_STATES = ("sig", "blo")
"""What the marks of state begin with that only one account can use."""


class Violation(msgspec.Struct, frozen=True):
    """A promise that a request breaks."""

    kind: Kind
    rule: str
    """The rule that would have found the turn, if that is what is missing."""

    words: str


class Request(msgspec.Struct, eq=False, kw_only=True):
    """One request on its way."""

    talk: Conversation
    family: str
    upstream: Upstream
    account: str
    accounts: Sequence[str]
    """All accounts of the upstream."""

    outgoing: Json
    places: list[Place] = []


class Judge:
    """Judges by what the oracle knows; `claims` counts what had to be restored, by its rule."""

    def __init__(self, oracle: Oracle, wire: str) -> None:
        self.oracle = oracle
        self._wire = wire
        self.claims: Counter[str] = Counter()
        self._went: defaultdict[tuple[str, str, bytes], set[tuple[int, int]]] = defaultdict(set)
        """What went out for a whole history: which message carried which turn's reasoning."""

        self.owner: dict[str, Issued] = {}
        """The turns by the gateway's ids."""

    def judge(self, request: Request) -> list[Violation]:
        """What is wrong with the request."""
        request.places = places_of(request.talk, self.owner, joined=self._wire == "responses")
        held, sent = runs_of(request.talk.history), request.upstream.runs(request.outgoing)
        if len(held) != len(sent):
            return [Violation("shape", "", f"{len(held)} runs of turns became {len(sent)}")]
        found = [*self._account(request)]
        for run, got in zip(held, sent, strict=True):
            for group, one in _groups(run, got):
                found += self._judge_group(request, group, one, got)
        return [*found, *_repeated(request, sent)]

    def learn(self, request: Request) -> None:
        """The upstream has taken the request: what was missing binds, what was there is known."""
        held, sent = runs_of(request.talk.history), request.upstream.runs(request.outgoing)
        if len(held) != len(sent):
            return
        places = {id(place.held): place for place in request.places}
        whole = digests_of(request.talk)[-1]
        went = self._went[request.talk.user, request.family, whole]
        for run, got in zip(held, sent, strict=True):
            for group, one in _groups(run, got):
                carried = {
                    self.oracle.marks[mark].number for mark in one.marks if self._knows(mark)
                }
                for message in group:
                    self._learn(request, places[id(message)], one)
                    went |= {(places[id(message)].order, number) for number in carried}

    def last_owner(self, talk: Conversation) -> Issued | None:
        """The turn of the last surviving id in the conversation."""
        found = (
            one for held in reversed(talk.helds) for one in owners_of(talk, held, self.owner)[::-1]
        )
        return next(found, None)

    def _knows(self, mark: str) -> bool:
        return mark in self.oracle.marks

    def _learn(self, request: Request, place: Place, sent: Sent) -> None:
        for turn in place.held.issued:
            if not turn.pieces or set(turn.pieces) & set(sent.pieces):
                if place is request.places[-1]:
                    self.oracle.replayed.add(turn.number)
            else:
                self.oracle.missed.add((request.talk.user, request.family, place.key))

    def _judge_group(
        self, request: Request, group: list[Held], sent: Sent, run: list[Sent]
    ) -> Iterator[Violation]:
        places = [place for place in request.places if any(place.held is one for one in group)]
        yield from self._crossed(request, places, sent)
        for place in places:
            rule = self.oracle.claim(request.talk, place, request.family, request.account)
            if not rule or not place.held.issued[0].pieces:
                continue
            self.claims[rule] += 1
            turn = place.held.issued[0]
            pieces = sent.pieces
            if place.held.part:  # the other part may carry it
                pieces = [piece for one in run for piece in one.pieces]
            if not _stand_in(_wanted(request, turn, place.held), pieces):
                kind: Kind = "not exact" if turn.turn.reasoning else "not empty"
                yield Violation(kind, rule, _miss(turn, place, sent))

    def _crossed(self, request: Request, places: list[Place], sent: Sent) -> Iterator[Violation]:
        mine = {turn.number for place in places for turn in place.held.issued}
        mine |= {number for place in places for number in place.owners}
        for place in places:
            mine |= self.oracle.stood_there(request.talk, place)
            # What a chat client itself sends stays; copies of other callers can't be opened.
            if self._wire != "chat" or not _shown(place.held):
                mine |= self.oracle.twins(place, request.talk.user, request.family)
        own = {mark for place in places for mark in _shown(place.held)}
        # Whoever goes on from what went out before can't be told from who sent it.
        for before in digests_of(request.talk):
            went = self._went.get((request.talk.user, request.family, before), ())
            mine |= {number for order, number in went if any(one.order == order for one in places)}
        for mark in dict.fromkeys(sent.marks):
            if mark in own:
                continue
            turn = self.oracle.marks[mark]
            if turn.user != request.talk.user:
                yield Violation("crossed user", "", f"turn {turn.number} of {turn.user}")
            elif turn.number not in mine:
                told = [_said(place) for place in places]
                yield Violation("crossed", "", f"turn {_told(turn)} stands under {told}")
            elif turn.family != request.family:
                yield Violation("family", "", f"turn {turn.number} of {turn.family}")
            elif turn.bound and turn.account != request.account and _is_state(mark, turn, sent):
                yield Violation("account", "", f"turn {turn.number} of {turn.account}")

    def _account(self, request: Request) -> Iterator[Violation]:
        """The account of the latest turn that has state is the one that is asked."""
        for place in reversed(request.places):
            turns = place.held.issued
            if self.oracle.twins(place, request.talk.user, request.family):
                return
            if not any(turn.bound for turn in turns):
                continue
            if len(turns) != 1 or turns[0].account not in request.accounts:
                return
            [turn] = turns
            # A chat client's own copy doesn't say whose state it holds.
            sealed = self._wire != "chat"
            rule = self.oracle.claim(
                request.talk, place, request.family, turn.account, copies=sealed
            )
            if rule and request.account != turn.account:
                yield Violation("wrong account", rule, f"turn {turn.number} is {turn.account}'s")
            return


def _groups(run: list[Held], got: list[Sent]) -> Iterator[tuple[list[Held], Sent]]:
    """The messages with what was sent of each, or of all where they became one."""
    if len(run) == len(got):
        yield from (([held], sent) for held, sent in zip(run, got, strict=True))
        return
    pieces = [piece for sent in got for piece in sent.pieces]
    yield run, Sent(pieces, [mark for sent in got for mark in sent.marks])


def _repeated(request: Request, sent: list[list[Sent]]) -> Iterator[Violation]:
    """State that stands twice where both parts of a turn become one."""
    if request.upstream.api == "chat":
        return
    counts = Counter(piece for run in sent for one in run for piece in one.pieces)
    whole = Counter(
        turn.number for place in request.places if not place.held.part for turn in place.held.issued
    )
    moved = any(place.held.borrowed for place in request.places)
    if moved or max(whole.values(), default=0) > 1:
        return
    for piece, count in counts.items():
        if count > 1:
            yield Violation("twice", "", f"{piece} stands {count} times")


def _wanted(request: Request, turn: Issued, held: Held) -> list[str]:
    """The pieces of the turn's reasoning that have a place in what is left of it."""
    if not request.upstream.by_call:
        return list(turn.pieces)
    calls = held.calls
    if request.talk.habits.ids == "swapped":
        calls = calls[::-1]  # a signature goes where the id of its call went
    return [turn.pieces[call.number] for call in calls if turn.pieces[call.number]]


def _stand_in(wanted: Sequence[str], pieces: Sequence[str]) -> bool:
    """Whether all stand there in this order."""
    rest = iter(pieces)
    return all(piece in rest for piece in wanted)


def _shown(held: Held) -> set[str]:
    """The marks that the client itself sends in plain sight."""
    own = [*held.copies, *(call.annex for call in held.calls)]
    return set(MARK.findall(json.dumps(own))) if held.copies else set()


def _is_state(mark: str, turn: Issued, sent: Sent) -> bool:
    return mark[:3] in _STATES or bool(set(turn.pieces) & set(sent.pieces))


def _said(place: Place) -> str:
    names = [call.name + call.arguments for call in place.held.calls]
    numbers = [turn.number for turn in place.held.issued]
    return f"{numbers}: {place.words!r} -> {place.held.text!r} {names}"


def _told(turn: Issued) -> str:
    names = [call.name + call.arguments for call in turn.turn.calls]
    return f"{turn.number} of {turn.user}, {turn.words!r} -> {turn.turn.text!r} {names}"


def _miss(turn: Issued, place: Place, sent: Sent) -> str:
    return f"turn {turn.number} ({_said(place)}): {list(turn.pieces)} became {sent.pieces}"
