"""A turn's place in its conversation, and the keys that lead to it; pure.

A turn has keys for its text and for each of its calls: with what stood right before it, and with
nothing else. What the record says of its place is compared then.
"""

from collections.abc import Sequence
from functools import cached_property, lru_cache

import msgspec

from addon.formats.neutral.turn import Message, ToolCall, Turn
from addon.formats.wire.pace import breathe, lots_of
from addon.recall.identity import (
    MintedId,
    canonical_arguments,
    digest,
    digest_of,
    frame,
    normal_text,
    read_minted,
)
from addon.recall.memory import Record
from addon.recall.words import Words, brief

__all__ = (
    "CUT_TEXT",
    "LONG_TEXT",
    "Anchor",
    "Asked",
    "Keys",
    "Lead",
    "Place",
    "is_unique",
    "places_of",
    "results_after",
)

LONG_TEXT = 64
"""Characters from which a text alone identifies a turn."""

_UNIQUE = 12
"""Letters and digits from which an id is random, and no number with a prefix."""

_LONGEST_ID = 256
"""Characters of an id that are looked at; real ones have fewer."""

_NAMESPACES = 64
"""Namespaces whose keys are begun already: those of the callers of the moment."""

_FRAME = (16).to_bytes(8)
"""What `frame` puts before a digest."""

_NOTHING = digest("")
"""The context of what is said first."""

CUT_TEXT = 32
"""Characters that identify a stopped turn at its place; shorter beginnings are much alike."""


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

    context: bytes = _NOTHING
    """Digest of the questions and answers before it, since the last minted id if there is one."""

    @cached_property
    def brief_context(self) -> str:
        return brief(self.context)

    @cached_property
    def words(self) -> Words:
        if self.message is None:
            return Words("")
        return self.message.fact(_words)


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
    token: str = ""
    """Its turn, or one of several that thought the same."""

    why: str = ""
    """Why its turn was not found."""

    needed: str = ""
    """What would have been needed for it to be found, or empty."""

    choice: bytes = b""
    """Key of the choice of a turn that is made for it without an id."""

    is_kept: bool = False
    """An earlier request went out with this choice."""

    is_missed: bool = False
    """An earlier request, the same to the letter, went out without its turn."""

    @property
    def is_resolved(self) -> bool:
        """Whether anything was found out of its turn."""
        return bool(self.rule or self.why or self.choice or self.is_missed)

    @cached_property
    def anchor(self) -> Anchor:
        return Anchor(self.after, self.asked.since, self.asked.words.digest)

    @cached_property
    def text(self) -> str:
        return self.message.fact(_text)

    @property
    def marks(self) -> list[bytes]:
        """Digests of its calls, or of its text if there are none."""
        return self.message.fact(_marks)

    @property
    def said(self) -> int:
        """Characters of its text and calls."""
        calls = self.message.calls
        return len(self.text) + sum(len(call.name) + len(call.arguments) for call in calls)


class Lead(msgspec.Struct, frozen=True):
    """The keys by which turns with one text or one call are looked for."""

    after: list[bytes]
    """With the minted id right before it, if there is one."""

    words: list[bytes]
    """With the user's words before it."""

    anywhere: bytes
    """With nothing else; for a call, as long as its turn's results are not known."""

    result: bytes = b""
    """Of a call with its result."""


class Keys:
    """The digests that lead to turns in one namespace."""

    def __init__(self, namespace: bytes) -> None:
        self._namespace = namespace
        # Long conversations have many keys of the same kinds.
        self._after_words = frame(namespace, "after-words", "")
        self._call = frame(namespace, "call")
        self._text = frame(namespace, "text")
        self._choice = frame(namespace, "choice")

    def of_turn(self, turn: Turn, anchor: Anchor, *, complete: bool = True) -> list[bytes]:
        """All keys that lead to a finished or stopped turn."""
        text = normal_text(turn.text)
        keys = [key for call in turn.calls for key in self._of_call(_call_mark(call), anchor)]
        if text or not turn.calls:
            head = text
            if len(text) >= LONG_TEXT or not complete:
                # The client may show less of it.
                head = text[:CUT_TEXT]
            keys.append(self.text(text))
            if anchor.after:
                keys.append(self.after(_text_mark(head), anchor))
            # Many turns may have the same short text: the words tell which are meant.
            if not anchor.after or len(text) < LONG_TEXT:
                keys.append(self.words(_text_mark(head), anchor))
        return keys

    def of_calls(self, place: Place) -> list[bytes]:
        """The keys of the place's calls."""
        breathe()
        return [key for mark in place.marks for key in self._of_call(mark, place.anchor)]

    def of_results(self, place: Place, messages: Sequence[Message]) -> list[bytes]:
        """The keys of the place's calls with their results; none while a result is missing."""
        calls, results = place.message.calls, results_after(messages, place.at)
        if not calls or any(call.id not in results for call in calls):
            return []
        texts = [results[call.id] for call in calls]
        return place.message.fact(_of_results, self._namespace, *texts)

    def leads(self, place: Place, messages: Sequence[Message]) -> list[Lead]:
        """The keys by which the place's turn is looked for; it must be found by each call."""
        breathe()
        message, anchor = place.message, place.anchor
        if message.calls:
            results = self.of_results(place, messages) or [b""] * len(place.marks)
            return message.fact(_call_leads, self._namespace, anchor.words, *results)
        return message.fact(_text_leads, self._namespace, anchor.after, anchor.words)

    def after(self, mark: bytes, anchor: Anchor) -> bytes:
        """Key of a text after a minted id."""
        return digest(self._namespace, "after-id", anchor.after, mark)

    def words(self, mark: bytes, anchor: Anchor) -> bytes:
        """Key of a text or call after the user's words."""
        return digest_of(self._after_words + _FRAME + anchor.words + _FRAME + mark)

    def text(self, text: str) -> bytes:
        """Key of a text, at any place."""
        return digest_of(self._text, text)

    def call(self, mark: bytes) -> bytes:
        """Key of a call at any place, as long as its turn's results are not known."""
        return digest_of(self._call + _FRAME + mark)

    def given(self, call_id: str) -> bytes:
        """Key of a call by the id that its upstream gave it, and that the client got."""
        return digest(self._namespace, "given-id", call_id)

    def given_in(self, message: Message) -> list[bytes]:
        """The keys of the message's calls by these ids; none if others may have the same."""
        return message.fact(_given, self._namespace)

    def sent(self, place: Place) -> bytes:
        """Key of the treatment of a place whose turn was not found."""
        breathe()
        position = (place.asked.context, place.after, place.anchor.words)
        return place.message.fact(_sent, self._namespace, *position)

    def choice(self, conversation: str, prefix: Sequence[bytes | str]) -> bytes:
        """Key of the choice of a turn at the end of a prefix."""
        return digest_of(self._choice, conversation, *prefix)

    def _of_call(self, mark: bytes, anchor: Anchor) -> list[bytes]:
        # A client that keeps ids is known by them before the turn is replayed.
        words = [] if anchor.after else [self.words(mark, anchor)]
        return [*words, self.call(mark)]


def places_of(messages: Sequence[Message], key: bytes) -> tuple[list[Place], Place]:
    """The places of the assistant messages, and the place of the answer to come."""
    places: list[Place] = []
    answers: list[Place] = []
    after, context = "", _NOTHING
    asked = Asked()
    for at, message in enumerate(lots_of(messages)):
        if message.role == "user":
            if answers:
                context = _context(message, context, answers)
            asked, answers = Asked(message, after, context), []
        elif message.role == "assistant":
            minted = message.fact(_minted, key)
            place = Place(at, message, minted, after, asked)
            for one in minted.values():
                after = one.token
            answers.append(place)
            places.append(place)
    return places, Place(len(messages), Message("assistant"), {}, after, asked)


def is_unique(call: ToolCall) -> bool:
    """Whether no other call has this id, as far as can be seen."""
    own = call.id[:_LONGEST_ID].replace(call.name, "")
    return sum(map(str.isalnum, own)) >= _UNIQUE


def _context(message: Message, before: bytes, answers: list[Place]) -> bytes:
    """The context of a question after these answers to the question before."""
    count = len(answers)
    named = next((at for at in reversed(range(count)) if answers[at].minted), None)
    said: list[bytes | str] = [before, answers[0].asked.words.core]
    if named is not None:
        # What stood before an id is known by it.
        said = [list(answers[named].minted.values())[-1].token]
        answers = answers[named + 1 :]
    return message.fact(_digest, *said, *(mark for place in answers for mark in place.marks))


def results_after(messages: Sequence[Message], at: int) -> dict[str, str]:
    """Results by call id that follow the assistant message directly."""
    breathe()
    results: dict[str, str] = {}
    # A slice would copy the rest of the conversation for each turn.
    for after in range(at + 1, len(messages)):
        message = messages[after]
        if message.role != "tool":
            break
        results[message.result_of] = message.text
    return results


# What follows is found out of a message once, as long as it stands where it stood: clients replay
# all of a conversation with each request.


def _minted(message: Message, key: bytes) -> dict[str, MintedId]:
    read = ((call.id, read_minted(call.id, key)) for call in message.calls)
    return {call_id: minted for call_id, minted in read if minted is not None}


def _words(message: Message) -> Words:
    return Words(message.text)


def _text(message: Message) -> str:
    return normal_text(message.text)


def _marks(message: Message) -> list[bytes]:
    breathe()
    return [_call_mark(call) for call in message.calls] or [_text_mark(message.fact(_text))]


def _digest(_: Message, *parts: bytes | str) -> bytes:
    return digest(*parts)


def _given(message: Message, namespace: bytes) -> list[bytes]:
    keys = _keys_in(namespace)
    if not all(map(is_unique, message.calls)):
        return []
    return [keys.given(call.id) for call in message.calls]


def _sent(message: Message, namespace: bytes, *position: bytes | str) -> bytes:
    marks = message.fact(_marks)
    return digest(namespace, "sent", *position, message.fact(_text), *marks)


def _of_results(message: Message, namespace: bytes, *results: str) -> list[bytes]:
    return [
        digest(namespace, "result", mark, normal_text(result))
        for mark, result in zip(message.fact(_marks), results, strict=True)
    ]


def _text_leads(message: Message, namespace: bytes, after: str, words: bytes) -> list[Lead]:
    keys, anchor, text = _keys_in(namespace), Anchor(after, "", words), message.fact(_text)
    marks = message.fact(_marks)
    if len(text) >= CUT_TEXT:
        marks = [*marks, _text_mark(text[:CUT_TEXT])]
    followed = [keys.after(mark, anchor) for mark in marks if after]
    return [Lead(followed, [keys.words(mark, anchor) for mark in marks], keys.text(text))]


def _call_leads(message: Message, namespace: bytes, words: bytes, *results: bytes) -> list[Lead]:
    keys, anchor = _keys_in(namespace), Anchor("", "", words)
    return [
        Lead([], [keys.words(mark, anchor)], keys.call(mark), result)
        for mark, result in zip(message.fact(_marks), results, strict=True)
    ]


_keys_in = lru_cache(_NAMESPACES)(Keys)


def _text_mark(text: str) -> bytes:
    return digest("text", text)


def _call_mark(call: ToolCall) -> bytes:
    breathe()
    return digest("call", call.name, canonical_arguments(call.arguments))
