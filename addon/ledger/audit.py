"""The audit record of an exchange: what a user asked, and in full also what was answered."""

import logging
import time
import zlib
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import msgspec

from addon.formats.neutral.turn import Message, ToolCall, Turn
from addon.formats.wire.pace import Work, breathe
from addon.ledger.outcome import Outcome
from shared.store.audit import AuditRecord, add_record
from shared.store.engine import Engine
from shared.store.ledger import Entry

__all__ = ("Audit", "audit_record", "storable")

_log = logging.getLogger("thinkback.books")

_LONGEST_TEXT = 100_000
"""Characters of a message that a record keeps: a person's words are shorter, pasted files
are elsewhere.
"""

_LONGEST_CONVERSATION = 4 * 1024 * 1024
"""Bytes of JSON, about a million tokens; what is beyond is left out from the beginning."""


_LONG = 256 * 1024
"""Bytes of a conversation whose record takes more than a millisecond or two."""

_MOST_WAITING = 16
"""Long conversations that wait for their records, and are held for that long."""

_SLICE_SECONDS, _PAUSE_SECONDS = 0.0005, 0.001
"""How long the thread works until the event loop may go on, which else waits for 5 ms
(https://docs.python.org/3/library/sys.html#sys.setswitchinterval).
"""


class Audit:
    """Writes a node's records, those of long conversations on a thread of its own: to compress
    one takes longer than others may wait.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="thinkback-audit")
        self._waiting: list[Future[None]] = []
        self._is_closed = False

    def note(self, outcome: Outcome, entry: Entry, mode: str) -> None:
        """Queue the record of an exchange for the database, soon or now."""
        self._waiting = [one for one in self._waiting if not one.done()]
        is_long = mode == "full" and _size(outcome) > _LONG
        if is_long and len(self._waiting) < _MOST_WAITING and not self._is_closed:
            self._waiting.append(self._thread.submit(self._note_in_slices, outcome, entry, mode))
        else:
            self._queue(audit_record(outcome, entry, mode))

    def close(self) -> None:
        """Wait for all that is to be noted soon; from now on all is noted now."""
        self._is_closed = True
        self._thread.shutdown()

    def _note_in_slices(self, outcome: Outcome, entry: Entry, mode: str) -> None:
        work = Work(lambda: audit_record(outcome, entry, mode), time.monotonic)
        try:
            while not work.go_on(_SLICE_SECONDS):
                time.sleep(_PAUSE_SECONDS)
            self._queue(work.result())
        except Exception:
            _log.exception("the audit record of %s failed", entry.exchange)

    def _queue(self, record: AuditRecord | None) -> None:
        if record is not None:
            self._engine.write_later([add_record(record)])


def _size(outcome: Outcome) -> int:
    """About the bytes of the conversation."""
    return max(outcome.sent_bytes, sum([len(one.content) for one in outcome.messages or ()]))


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
    if text.isascii():
        return text
    return text.encode(errors="replace").decode()


def _conversation(outcome: Outcome, messages: Sequence[Message]) -> bytes:
    """`{"messages": […], "answer": {…}}`, compressed; the oldest messages are left out of a
    very long one.
    """
    answer = next((_turn(turn) for turn in outcome.turns.values()), None)
    shown = {"messages": _latest(outcome, messages), "answer": answer}
    return zlib.compress(msgspec.json.encode(shown), 1)


def _latest(outcome: Outcome, messages: Sequence[Message]) -> list[msgspec.Raw]:
    """The last messages in JSON, as many as there is room for."""
    shown: list[msgspec.Raw] = []
    room = _LONGEST_CONVERSATION
    replayed = _replayed(outcome)
    for at in range(len(messages) - 1, -1, -1):
        breathe()
        message = msgspec.json.encode(_message(messages[at]) | replayed.get(at, {}))
        room -= len(message)
        if room < 0:
            break
        shown.append(msgspec.Raw(message))
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
