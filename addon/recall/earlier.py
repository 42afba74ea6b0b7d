"""What earlier requests sent for turns of which nothing was known, or nothing to send, so that
later ones send the same.
"""

from collections.abc import Collection, Mapping, Sequence
from typing import Protocol

from addon.formats.wire.pace import lots_of
from addon.recall.carried import carries
from addon.recall.resolve import SURE
from addon.recall.turn_keys import Keys, Place
from shared.profiles import Profile

__all__ = ("Earlier", "Sent", "forget", "forget_if_late")


_NOTHING = ("", 0)


class Sent(Protocol):
    """What earlier requests sent for turns not found, and when (epoch ms)."""

    def sent(self, keys: Collection[bytes]) -> dict[bytes, tuple[str, int]]: ...


class Earlier:
    """What was sent for the places of one request.

    `empty`, `omit`, `unbound` (without state of the client's), `bare` (without the client's
    reasoning), or `restored` at last; `filled` for a turn that was found, and that the upstream
    had given no reasoning. After `empty` and `filled` stands the field, where the profile names
    none.
    """

    def __init__(self, places: Sequence[Place], namespace: bytes, memory: Sent | None) -> None:
        """Without a memory nothing was sent."""
        of = Keys(namespace)
        self._keys = {place.at: of.sent(place) for place in lots_of(places) if _may_vary(place)}
        self._sent: Mapping[bytes, tuple[str, int]] = {}
        if memory is not None:
            self._sent = memory.sent(self._keys.values())
        self._field = _field_of(places)
        """The first field of reasoning that is known of any turn."""

        self.now: dict[bytes, str] = {}
        """What this request sends."""

    def of(self, place: Place) -> tuple[str, int]:
        """What was sent for the turn, without its field, and when (epoch ms); empty for nothing."""
        if place.at not in self._keys:
            return _NOTHING
        sent, since = self._found(place)
        return sent.partition(" ")[0], since

    def empty(self, place: Place, profile: Profile) -> dict[str, str]:
        """The empty reasoning, under the name that it was sent under before, if it was."""
        field = self._found(place)[0].partition(" ")[2] or self._field or "reasoning_content"
        return dict.fromkeys(profile.writes or (field,), profile.fill)

    def note(self, place: Place, sent: str, profile: Profile) -> None:
        """Let later requests know what is sent for the turn, and under which field where they
        could choose another.
        """
        key = self._keys.get(place.at)
        if key is None or (sent == "restored" and key in self.now):
            return
        if sent in ("empty", "filled") and not profile.writes:
            sent = " ".join((sent, *self.empty(place, profile)))
        self.now[key] = sent

    def _found(self, place: Place) -> tuple[str, int]:
        return self._sent.get(self._keys.get(place.at, b""), _NOTHING)


def forget_if_late(place: Place, since: int) -> None:
    """Drop a turn that was remembered only after a request had gone out without it."""
    if place.record is None or place.rule in SURE or carries(place.message):
        return  # what the client carries was not left out then
    if since >= place.record.made_at:
        forget(place)


def forget(place: Place) -> None:
    """Drop the turn that was found: it was found too late."""
    if place.record is not None:
        place.rule, place.record, place.token = "", None, ""
        place.why = "found too late: what was sent before is sent again"


def _may_vary(place: Place) -> bool:
    """Whether another request could find otherwise, or send something else for a turn of which
    there is nothing to send.
    """
    record = place.record
    is_empty = record is not None and record.reasoning is None and not record.thoughts
    return place.rule not in SURE or is_empty


def _field_of(places: Sequence[Place]) -> str:
    """The first field of reasoning that is known of a turn, or empty."""
    records = (place.record for place in places if place.record is not None)
    return next((record.field for record in records if record.reasoning is not None), "")
