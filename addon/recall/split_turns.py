"""Turns that a client replays as several messages side by side (the text, then the calls), and
what each of the messages has of the turn's parts. Pure.
"""

from collections.abc import Iterator, Sequence
from itertools import pairwise

import msgspec
from msgspec.structs import replace

from addon.formats.neutral.turn import Message, Part, Reasoning
from addon.formats.wire.pace import breathe
from addon.recall.carried import carries, contradicts
from addon.recall.identity import normal_text
from addon.recall.memory import Record, Thought
from addon.recall.turn_keys import Place

__all__ = ("WHOLE", "Share", "shares_of", "with_thoughts")


class Share(msgspec.Struct, frozen=True):
    """What a message has of its turn."""

    start: int = 0
    """How many of the turn's parts, reasoning aside, stand in the messages before it."""

    is_first: bool = True
    is_last: bool = True

    @property
    def is_whole(self) -> bool:
        """Whether no other message has any of the turn."""
        return self.is_first and self.is_last


WHOLE = Share()


def shares_of(places: Sequence[Place]) -> dict[int, Share]:
    """The shares of the messages, by index, that are parts of split turns."""
    shares: dict[int, Share] = {}
    for before, place in pairwise(places):
        breathe()
        if before.at + 1 != place.at or not _are_one(before, place):
            continue
        first = shares.get(before.at, WHOLE)
        shares[before.at] = replace(first, is_last=False)
        start = first.start + sum(1 for _ in _others(before.message))
        shares[place.at] = Share(start, is_first=False)
    return shares


def with_thoughts(message: Message, record: Record, share: Share) -> tuple[Part, ...]:
    """The client's message with the turn's own reasoning in its old places, as far as that
    is the message's share.
    """
    others = list(_others(message))
    thoughts = [one for one in record.thoughts if _belongs(one, share, len(others))]
    before: dict[int, list[Part]] = {}
    for one in thoughts:
        before.setdefault(max(one.at - share.start, 0), []).append(one.reasoning)
    parts: list[Part] = []
    for at, part in enumerate(others):
        parts += [*before.get(at, ()), part]
    return (*parts, *(one.reasoning for one in thoughts if one.at - share.start >= len(others)))


def _belongs(thought: Thought, share: Share, count: int) -> bool:
    """Whether the thought stands in the message: before one of its parts, or after the last of
    the turn.
    """
    at = thought.at - share.start
    return (at >= 0 or share.is_first) and (at < count or share.is_last)


def _others(message: Message) -> Iterator[Part]:
    return (part for part in message.parts if not isinstance(part, Reasoning))


def _are_one(before: Place, place: Place) -> bool:
    """Whether two messages are parts of one turn: both were found to be, or the first has the
    text and the reasoning of the second's.
    """
    if place.record is None:
        return False
    if before.record is None:
        return _begins(before, place.record)
    if before.record.token and place.record.token:
        return before.record.token == place.record.token
    return _said(before.record) == _said(place.record)


def _begins(place: Place, record: Record) -> bool:
    """Whether a message of which nothing is known has the turn's text and reasoning."""
    if not place.text or not normal_text(record.text).startswith(place.text):
        return False
    return carries(place.message) and not contradicts(place.message, record)


def _said(record: Record) -> tuple[object, ...]:
    """What tells turns apart of which one has no name, being one of several alike."""
    return record.text, record.names, record.reasoning, record.thoughts
