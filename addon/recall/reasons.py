"""Why a message's turn was not found, and what would have been needed, in words for users; pure."""

import msgspec

from addon.formats.wire.pace import breathe, lots_of
from addon.recall.evidence import ENOUGH
from addon.recall.memory import MAX_CANDIDATES
from addon.recall.resolution import Resolution
from addon.recall.turn_keys import Place

__all__ = ("Diagnosis", "explain")

_AN_ID = "a tool-call id of the gateway's, as the client got it"
_A_NEIGHBOUR = "a turn right before or after it that is found"


class Diagnosis(msgspec.Struct, frozen=True):
    """How one assistant message was resolved."""

    at: int
    rule: str
    """A rule of `resolve`, `known-empty`, `client` (the client sent reasoning itself) or
    `missing`.
    """

    why: str = ""
    needed: str = ""
    """Of a miss: what would have been needed."""

    @property
    def told(self) -> str:
        """Why, and what would have been needed."""
        return "; needed: ".join(filter(None, (self.why, self.needed)))


def explain(found: Resolution) -> None:
    """Fill `why` and `needed` of each place without a turn."""
    for order, place in enumerate(lots_of(found.places)):
        if place.record is None:
            place.why, place.needed = _reason(found, order, place)


def _reason(found: Resolution, order: int, place: Place) -> tuple[str, str]:
    breathe()
    if place.minted:
        return _not_remembered(place)
    fitting = found.best(order)
    if found.is_crowded(order):
        return f"{MAX_CANDIDATES} or more remembered turns stand at places like this", _AN_ID
    if not fitting:
        return _unknown(place)
    if order in found.claimed:
        return "another message fits the same turn", _A_NEIGHBOUR
    if len(fitting) > 1:
        why = f"{len(fitting)} remembered turns fit, with different reasoning"
        return why, _difference(place)
    why = "the remembered turn like this was made at another place"
    return why, f"{_A_NEIGHBOUR}, or {ENOUGH} characters of question and answer"


def _not_remembered(place: Place) -> tuple[str, str]:
    if len({minted.token for minted in place.minted.values()}) > 1:
        why = "the message joins the calls of several turns"
        return why, "each turn in a message of its own, as the client got it"
    why = "the turn is no longer remembered, or was made by another provider family"
    return why, "a turn that was made by this provider family, and is kept for longer"


def _unknown(place: Place) -> tuple[str, str]:
    if place.message.calls:
        why = "the tool-call ids are not the gateway's"
        return why, f"{_AN_ID}, or the same calls with the same results"
    return "no remembered turn has this text here", "the turn's text, unchanged"


def _difference(place: Place) -> str:
    if place.message.calls:
        return f"{_AN_ID}, results that only one of them had, or {_A_NEIGHBOUR}"
    return _A_NEIGHBOUR
