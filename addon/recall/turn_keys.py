"""A turn's place in its conversation, and the keys that lead to it; pure."""

from collections.abc import Sequence
from functools import cached_property

import msgspec

from addon.formats.neutral.turn import Message, ToolCall, Turn
from addon.recall.identity import (
    MintedId,
    canonical_arguments,
    digest,
    normal_text,
    query_of,
    read_minted,
)
from addon.recall.memory import Record

__all__ = ("LONG_TEXT", "Anchor", "Asked", "Keys", "Place", "places_of")

LONG_TEXT = 64
"""Characters from which a text alone identifies a turn."""


class Anchor(msgspec.Struct, frozen=True):
    """A turn's place in its conversation."""

    after: str
    """The turn of the last minted id before it, or empty."""

    since: str
    """The turn of the last minted id before the user's words before it, or empty."""

    words: bytes
    """Digest of those words."""


class Asked(msgspec.Struct, dict=True):
    """A user message, which many turns may follow."""

    message: Message | None = None
    since: str = ""
    """The turn of the last minted id before it, or empty."""

    @cached_property
    def words(self) -> bytes:
        if self.message is None:
            return digest("")
        return digest(query_of(self.message.text))


class Place(msgspec.Struct, dict=True):
    """One assistant message, and its turn once it is resolved."""

    at: int
    """Index of the message."""

    message: Message
    minted: dict[str, MintedId]
    """The minted ones of its tool-call ids."""

    after: str
    """The turn of the last minted id before it, or empty."""

    asked: Asked
    """The user's words before it."""

    rule: str = ""
    """The rule that found its turn, or empty."""

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
        """Digests of its calls, or of its text if there are none."""
        return [_call_mark(call) for call in self.message.calls] or [_text_mark(self.text)]


class Keys:
    """The digests that lead to turns in one namespace."""

    def __init__(self, namespace: bytes) -> None:
        self._namespace = namespace

    def of_turn(self, turn: Turn, anchor: Anchor) -> list[bytes]:
        """All keys that lead to a finished or stopped turn."""
        text = normal_text(turn.text)
        keys = [self.place(anchor)]
        for call in turn.calls:
            keys += self._after_words(_call_mark(call), anchor)
        if text or not turn.calls:
            keys += self._after_words(_text_mark(text), anchor)
        if text and anchor.after:
            keys.append(self.after_id(_text_mark(text), anchor))
        if len(text) >= LONG_TEXT:
            keys.append(self.text(text))
        return keys

    def of_calls(self, place: Place) -> list[bytes]:
        """The keys of the place's calls."""
        return [key for mark in place.marks for key in self._after_words(mark, place.anchor)]

    def of_results(self, place: Place, messages: Sequence[Message]) -> list[bytes]:
        """The keys of the place's calls with their results; none while a result is missing."""
        calls, results = place.message.calls, _results_after(messages, place.at)
        if not calls or any(call.id not in results for call in calls):
            return []
        texts = (normal_text(results[call.id]) for call in calls)
        return [
            digest(self._namespace, "result", *pair)
            for pair in zip(place.marks, texts, strict=True)
        ]

    def after_id(self, mark: bytes, anchor: Anchor) -> bytes:
        """Key of a text or call after a minted id."""
        return digest(self._namespace, "after-id", anchor.after, mark)

    def after_words(self, mark: bytes, anchor: Anchor) -> bytes:
        """Key of a text or call after the user's words and the minted id before these, if any."""
        return digest(self._namespace, "after-words", anchor.since, anchor.words, mark)

    def place(self, anchor: Anchor) -> bytes:
        """Key of a place, with any turn."""
        return digest(self._namespace, "place", anchor.after, anchor.since, anchor.words)

    def text(self, text: str) -> bytes:
        """Key of a text, at any place."""
        return digest(self._namespace, "text", text)

    def sent(self, place: Place) -> bytes:
        """Key of the treatment of a place whose turn was not found."""
        anchor = place.anchor
        position = (anchor.after, anchor.since, anchor.words)
        return digest(self._namespace, "sent", *position, place.text, *place.marks)

    def _after_words(self, mark: bytes, anchor: Anchor) -> list[bytes]:
        # One key is of the words alone: compaction takes the ids before them.
        words = self.after_words(mark, msgspec.structs.replace(anchor, since=""))
        if not anchor.since:
            return [words]
        return [self.after_words(mark, anchor), words]


def places_of(messages: Sequence[Message], key: bytes) -> tuple[list[Place], Place]:
    """The places of the assistant messages, and the place of the answer to come."""
    places: list[Place] = []
    after, asked = "", Asked()
    for at, message in enumerate(messages):
        if message.role == "user":
            asked = Asked(message, after)
        elif message.role == "assistant":
            minted: dict[str, MintedId] = {}
            before = after
            for call in message.calls:
                minted_id = read_minted(call.id, key)
                if minted_id is not None:
                    minted[call.id] = minted_id
                    after = minted_id.token
            places.append(Place(at, message, minted, before, asked))
    return places, Place(len(messages), Message("assistant"), {}, after, asked)


def _results_after(messages: Sequence[Message], at: int) -> dict[str, str]:
    """Results by call id that follow the assistant message directly."""
    results: dict[str, str] = {}
    # A slice would copy the rest of the conversation for each turn.
    for after in range(at + 1, len(messages)):
        message = messages[after]
        if message.role != "tool":
            break
        results[message.result_of] = message.text
    return results


def _text_mark(text: str) -> bytes:
    return digest("text", text)


def _call_mark(call: ToolCall) -> bytes:
    return digest("call", call.name, canonical_arguments(call.arguments))
