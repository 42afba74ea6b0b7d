"""What a client carries of a turn's reasoning itself: sealed copies that were opened, plain
strings and details, signatures beside calls. Pure.

A plain copy is often trimmed, and clients drop parts of it; what is left is still the turn's.
Another turn's is known by its words or by its state.
"""

from collections.abc import Iterator

from addon.formats.chat.carriers import ANNEX, DETAILS
from addon.formats.chat.details import secrets_of, text_of
from addon.formats.neutral.turn import SUMMARY, Message, Reasoning
from addon.formats.wire.lenient import dicts_in
from addon.formats.wire.pace import breathe, pieces_of
from addon.formats.wire.splice import scalar_text, value
from addon.recall.identity import canonical_arguments
from addon.recall.memory import Record

__all__ = ("carries", "contradicts", "copied")


def carries(message: Message) -> bool:
    """Whether the client carries any of the turn's reasoning: blanks and summaries are none."""
    return _holds_some(message) and bool(message.fact(_copied))


def copied(message: Message) -> list[str]:
    """What the client carries of the turn's reasoning: its state and its words."""
    if not _holds_some(message):
        return []
    return message.fact(_copied)


def contradicts(message: Message, record: Record) -> bool:
    """Whether the client carries other reasoning than the remembered turn has: then it is not
    that turn, or not as the client knows it.

    Nothing is contradicted by blanks, by a summary, or by a part of what the turn has; nor is
    a turn whose state was refused, lest that be sent again.
    """
    if record.disowned or not _holds_some(message):
        return False
    states = message.fact(_all_states)
    if states:
        return not set(states) <= set(_states_of(record))
    words = message.fact(_copied)
    return bool(words) and not any(_is_said(text, record) for text in words)


def _holds_some(message: Message) -> bool:
    """Whether the message has anything that reasoning may stand in."""
    return bool(message.parts or message.reasoning or message.details or message.annexes)


def _copied(message: Message) -> list[str]:
    breathe()
    return [*message.fact(_all_states), *filter(None, map(_bare, _texts(message)))]


def _all_states(message: Message) -> list[str]:
    return list(_states(message))


def _is_said(words: str, record: Record) -> bool:
    """Whether the turn's reasoning is these words; a client may have stopped in the middle of
    it.
    """
    parts = [thought.reasoning.text for thought in record.thoughts]
    said = (_bare(record.reasoning or ""), _bare("".join(parts)))
    if record.complete:
        return words in said
    return any(one.startswith(words) for one in said)


def _texts(message: Message) -> Iterator[str]:
    """The reasoning in words; a chat message may have it under several names."""
    if message.parts:
        pieces = [part for part in message.parts if isinstance(part, Reasoning)]
        yield "".join(piece.text for piece in pieces if piece.field != SUMMARY)
        return
    for _, text in message.reasoning:
        yield text
    yield text_of(dicts_in(list(message.details)))


def _states(message: Message) -> Iterator[str]:
    for part in message.parts:
        if isinstance(part, Reasoning):
            yield from _states_in(part)
    yield from secrets_of(dicts_in(list(message.details)))
    for annex in message.annexes:
        if annex is not None:
            yield canonical_arguments(scalar_text(annex).decode())


def _states_of(record: Record) -> Iterator[str]:
    for thought in record.thoughts:
        yield from _states_in(thought.reasoning)


def _states_in(reasoning: Reasoning) -> Iterator[str]:
    if reasoning.carrier == DETAILS:
        yield from secrets_of(dicts_in(value(reasoning.opaque.encode())))
    elif reasoning.carrier == ANNEX:
        yield canonical_arguments(reasoning.opaque)
    elif reasoning.opaque:
        yield reasoning.opaque


def _bare(text: str) -> str:
    """The text without any blanks: formats join the pieces of a turn's reasoning differently."""
    pieces = (piece.encode(errors="replace").decode() for piece in pieces_of(text))
    return "".join(["".join(piece.split()) for piece in pieces])
