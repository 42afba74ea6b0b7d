"""Where a turn stands in its conversation, and the keys it is found by; pure."""

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
    """The turn of the last id of ours before it, or empty."""

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
        """What its calls do, or what it says when there are none."""
        return [_call_mark(call) for call in self.message.calls] or [_text_mark(self.text)]


class Keys:
    """Digests by which turns are found in one namespace."""

    def __init__(self, namespace: bytes) -> None:
        self._namespace = namespace

    def of_turn(self, turn: Turn, anchor: Anchor) -> list[bytes]:
        """All keys under which a finished or stopped turn must be findable."""
        text = normal_text(turn.text)
        found = [self.place(anchor)]
        for call in turn.calls:
            found += self._after_words(_call_mark(call), anchor)
        if text or not turn.calls:
            found += self._after_words(_text_mark(text), anchor)
        if text and anchor.after:
            found.append(self.after_id(_text_mark(text), anchor))
        if len(text) >= LONG_TEXT:
            found.append(self.text(text))
        return found

    def of_calls(self, place: Place) -> list[bytes]:
        """Keys under which the place's calls were remembered."""
        return [key for mark in place.marks for key in self._after_words(mark, place.anchor)]

    def of_results(self, place: Place, messages: Sequence[Message]) -> list[bytes]:
        """Keys of the place's calls with their results; empty as long as a result is missing."""
        calls, results = place.message.calls, _results_after(messages, place.at)
        if not calls or any(call.id not in results for call in calls):
            return []
        texts = (normal_text(results[call.id]) for call in calls)
        return [
            digest(self._namespace, "result", *pair)
            for pair in zip(place.marks, texts, strict=True)
        ]

    def after_id(self, mark: bytes, anchor: Anchor) -> bytes:
        """Key of something said after an id of ours."""
        return digest(self._namespace, "after-id", anchor.after, mark)

    def after_words(self, mark: bytes, anchor: Anchor) -> bytes:
        """Key of something said after the user's words, which followed an id of ours or none."""
        return digest(self._namespace, "after-words", anchor.since, anchor.words, mark)

    def place(self, anchor: Anchor) -> bytes:
        """Key of a place, whatever was said there."""
        return digest(self._namespace, "place", anchor.after, anchor.since, anchor.words)

    def text(self, text: str) -> bytes:
        """Key of a text, wherever it was said."""
        return digest(self._namespace, "text", text)

    def sent(self, place: Place) -> bytes:
        """Key of what was sent for a place whose turn was not found."""
        anchor = place.anchor
        return digest(
            self._namespace,
            "sent",
            anchor.after,
            anchor.since,
            anchor.words,
            place.text,
            *place.marks,
        )

    def _after_words(self, mark: bytes, anchor: Anchor) -> list[bytes]:
        """The second key is of the words alone: compaction takes the ids before them."""
        words = self.after_words(mark, msgspec.structs.replace(anchor, since=""))
        return [self.after_words(mark, anchor), words] if anchor.since else [words]


def places_of(messages: Sequence[Message], key: bytes) -> tuple[list[Place], Place]:
    """The assistant messages with what surrounds them, and the place of the answer to come."""
    places: list[Place] = []
    after, asked = "", Asked()
    for at, message in enumerate(messages):
        if message.role == "user":
            asked = Asked(message, after)
        elif message.role == "assistant":
            minted = {
                call.id: ours for call in message.calls if (ours := read_minted(call.id, key))
            }
            places.append(Place(at, message, minted, after, asked))
            after = [after, *(ours.token for ours in minted.values())][-1]
    return places, Place(len(messages), Message("assistant"), {}, after, asked)


def _results_after(messages: Sequence[Message], at: int) -> dict[str, str]:
    """Results by call id that follow the assistant message directly."""
    found: dict[str, str] = {}
    for after in range(
        at + 1, len(messages)
    ):  # a slice would copy the rest of the conversation for each turn
        message = messages[after]
        if message.role != "tool":
            break
        found[message.result_of] = message.text
    return found


def _text_mark(text: str) -> bytes:
    return digest("text", text)


def _call_mark(call: ToolCall) -> bytes:
    return digest("call", call.name, canonical_arguments(call.arguments))
