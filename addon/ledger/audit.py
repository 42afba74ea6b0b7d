"""The audit record of an exchange: what a user asked, and in full also what was answered."""

import zlib
from collections.abc import Sequence
from typing import Any

import msgspec

from addon.formats.neutral.turn import Message, ToolCall, Turn
from addon.ledger.outcome import Outcome
from shared.store.audit import AuditRecord
from shared.store.ledger import Entry

__all__ = ("audit_record", "storable")

_LONGEST_TEXT = 100_000
"""Characters of a message that a record keeps: a person's words are shorter, pasted files
are elsewhere.
"""

_LONGEST_CONVERSATION = 4 * 1024 * 1024
"""Bytes of JSON, about a million tokens; what is beyond is left out from the beginning."""


def audit_record(outcome: Outcome, entry: Entry, mode: str) -> AuditRecord | None:
    """The record of what a user asked; None when audit is off, and for callers with an
    upstream's key.
    """
    if mode == "off" or outcome.messages is None or entry.user_id is None:
        return None
    conversation = None
    if mode == "full":
        conversation = _conversation(outcome, outcome.messages)
    words = next((one.text for one in reversed(outcome.messages) if one.role == "user"), "")
    return AuditRecord(
        exchange=entry.exchange,
        at=entry.at,
        user_id=entry.user_id,
        username=entry.username,
        model=entry.model,
        upstream=entry.upstream,
        status=entry.status,
        text=storable(words),
        conversation=conversation,
    )


def storable(text: str) -> str:
    """The text as a database takes it: bounded, without NUL and lone surrogates."""
    text = text[:_LONGEST_TEXT].replace("\0", "\N{SYMBOL FOR NULL}")
    return text.encode(errors="replace").decode()


def _conversation(outcome: Outcome, messages: Sequence[Message]) -> bytes:
    """`{"messages": […], "answer": {…}}`, compressed; the oldest messages are left out of a
    very long one.
    """
    answer = next((_turn(turn) for turn in outcome.turns.values()), None)
    conversation = {"messages": _latest(outcome, messages), "answer": answer}
    return zlib.compress(msgspec.json.encode(conversation), 1)


def _latest(outcome: Outcome, messages: Sequence[Message]) -> list[dict[str, Any]]:
    """The last messages, as many as there is room for."""
    shown: list[dict[str, Any]] = []
    room = _LONGEST_CONVERSATION
    replayed = _replayed(outcome)
    for at in range(len(messages) - 1, -1, -1):
        message = _message(messages[at]) | replayed.get(at, {})
        room -= len(msgspec.json.encode(message))
        if room < 0:
            break
        shown.append(message)
    return shown[::-1]


def _replayed(outcome: Outcome) -> dict[int, dict[str, str]]:
    """The reasoning that messages got back, and by which rule, or why it was not found; by the
    message's place.
    """
    if outcome.restoration is None:
        return {}
    shown: dict[int, dict[str, str]] = {}
    for one in outcome.restoration.diagnoses:
        edit = outcome.restoration.edits.get(one.at)
        if one.rule == "missing":
            shown[one.at] = {"missed": storable(one.told)}
        elif edit is not None and edit.reasoning:
            reasoning = storable(next(iter(edit.reasoning.values())))
            shown[one.at] = {"reasoning": reasoning, "restored": one.rule}
    return shown


def _message(message: Message) -> dict[str, Any]:
    shown: dict[str, Any] = {"role": message.role, "text": storable(message.text)}
    if message.calls:
        shown["calls"] = [_call(call) for call in message.calls]
    return shown


def _turn(turn: Turn) -> dict[str, Any]:
    shown: dict[str, Any] = {
        "text": storable(turn.text),
        "calls": [_call(call) for call in turn.calls],
    }
    if turn.reasoning:
        shown["reasoning"] = storable(turn.reasoning.text)
    return shown


def _call(call: ToolCall) -> dict[str, str]:
    return {"name": storable(call.name), "arguments": storable(call.arguments)}
