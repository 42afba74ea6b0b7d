"""What speaks for a remembered turn at one place of a replayed conversation; pure."""

from collections.abc import Sequence
from enum import IntEnum

import msgspec

from addon.recall.memory import Record
from addon.recall.turn_keys import CUT_TEXT, LONG_TEXT, Asked, Place

__all__ = (
    "ENOUGH",
    "HALF",
    "Candidate",
    "Likeness",
    "Position",
    "Results",
    "best",
    "only",
    "weigh",
)

ENOUGH = LONG_TEXT
"""Characters of question and answer that identify a turn, whatever stood before."""

HALF = ENOUGH // 2
"""The same where something else speaks for the conversation."""

_MOST_OF_A_QUESTION = 32
"""Characters of a question that count: a long one is often a prompt that is sent again and
again, and then the answer must tell.
"""


_BEGINNING = Asked().brief_context
"""The context of what was said first."""


class Position(IntEnum):
    """What a turn's place has in common with the place, from little to much."""

    ELSEWHERE = 0
    WORDS = 1
    """The user's words before it."""

    ASKED = 2
    """These, and the minted id before them."""

    AFTER = 3
    """The minted id right before the turn."""

    SAME = 4
    """That id and the user's words."""


class Likeness(IntEnum):
    """How much of a turn the message shows."""

    FEWER = 0
    """Not all of its calls."""

    BEGINNING = 1
    """The beginning of its text."""

    PART = 2
    """Its text without its calls, which a client drops when it stops their stream; or its calls
    without its text.
    """

    WHOLE = 3


class Results(IntEnum):
    """What is known of the results that a turn's calls had."""

    OTHER = -1
    UNKNOWN = 0
    EQUAL = 1


class Candidate(msgspec.Struct, frozen=True, kw_only=True):
    """A turn that may be meant at a place."""

    record: Record
    """With the name of the turn, or without one when it may be any of several."""

    token: str
    """Name of the turn, or of one of these."""

    position: Position
    likeness: Likeness
    has_words: bool
    """The user's words are equal: not only a part of them."""

    has_context: bool
    """So is all that was said before them, since the last minted id if there is one."""

    is_first: bool
    """Nothing was said before them: what a client leaves of a conversation looks like that, too."""

    weight: int
    """Characters of the question and the answer that are equal."""

    results: Results = Results.UNKNOWN

    @property
    def is_placed(self) -> bool:
        """Whether it is known to have stood at this place."""
        if self.position >= Position.ASKED:
            return True
        return self.has_context and (self.has_words or self.weight >= HALF)


def weigh(
    record: Record, place: Place, *, text: str, has_words: bool, results: Results
) -> Candidate | None:
    """The evidence for a turn with this normal text; None where it cannot be meant.

    `has_words`: it was found by the user's words.
    """
    likeness = _likeness(record, place, text)
    if likeness is None:
        return None
    words = place.asked.words
    has_words = has_words or record.words == words.brief
    common = len(words.text)
    if not has_words:
        common = words.common(record.lines)
    return Candidate(
        record=record,
        token=record.token,
        position=_position(record, place, shares_words=has_words or common > 0),
        likeness=likeness,
        has_words=has_words,
        has_context=_has_context(record, place) and (has_words or common > 0),
        is_first=place.asked.brief_context == _BEGINNING,
        weight=min(common, _MOST_OF_A_QUESTION) + place.said,
        results=results,
    )


def best(candidates: Sequence[Candidate]) -> list[Candidate]:
    """Those that fit the place best, and of these those most like the message: what is left out
    is known to differ there.
    """
    position = max((one.position for one in candidates), default=Position.ELSEWHERE)
    found = [one for one in candidates if one.position == position]
    if position == Position.WORDS:
        found = [one for one in found if _followed(one)] or found
    likeness = max((one.likeness for one in found), default=Likeness.FEWER)
    return [one for one in found if one.likeness == likeness]


def _followed(candidate: Candidate) -> bool:
    """Whether so much of the turn is shown, and so much was said before it, that those that stood
    elsewhere are not meant.
    """
    shows = candidate.likeness >= Likeness.PART
    return shows and candidate.has_context and not candidate.is_first


def only(candidates: Sequence[Candidate]) -> Candidate | None:
    """The only one, or the common reasoning of several without a turn's name."""
    if (
        len({(one.record.reasoning, one.record.field, one.record.thoughts) for one in candidates})
        != 1
    ):
        return None
    if len(candidates) == 1:
        return candidates[0]
    # Which of the turns it is remains open.
    weakest = min(candidates, key=lambda one: (one.is_placed, one.weight))
    nameless = msgspec.structs.replace(weakest.record, token="", parent=None, root="")
    return msgspec.structs.replace(weakest, record=nameless)


def _position(record: Record, place: Place, *, shares_words: bool) -> Position:
    if place.after and record.after == place.after:
        if shares_words:
            return Position.SAME
        # The same call after other words is another one's.
        return Position.ELSEWHERE if place.message.calls else Position.AFTER
    if not shares_words:
        return Position.ELSEWHERE
    if place.asked.since and record.since == place.asked.since:
        return Position.ASKED
    return Position.WORDS


def _has_context(record: Record, place: Place) -> bool:
    context = record.context
    if not record.words and record.parent == "":
        # Of turns of earlier versions no more is known than which were the first.
        context = _BEGINNING
    return context == place.asked.brief_context


def _likeness(record: Record, place: Place, text: str) -> Likeness | None:
    """How much of the turn the message shows; None if it is another's, or too little."""
    if place.message.calls:
        names = tuple(call.name for call in place.message.calls)
        if record.names == names and text == place.text:
            return Likeness.WHOLE
        if len(names) > len(record.names) or not text.startswith(place.text):
            return None
        # Many clients drop the text beside calls.
        return Likeness.PART if record.names == names else Likeness.FEWER
    if text == place.text and not record.names:
        return Likeness.WHOLE
    # A whole turn may have come faster than the client showed it.
    least = LONG_TEXT if record.complete else CUT_TEXT
    if text == place.text and (len(place.text) >= least or not record.complete):
        return Likeness.PART
    if len(place.text) >= least and text.startswith(place.text):
        return Likeness.BEGINNING
    return None
