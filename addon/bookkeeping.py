"""What the books get of a finished exchange: its entry in the ledger, what was learned of
tokens, its audit record.
"""

import zlib
from typing import Any

import msgspec
from msgspec.structs import replace

from addon.admission.quota import tokens_in
from addon.exchange.exchange import Exchange
from addon.formats.neutral.turn import Message, Turn, Usage
from addon.ledger.meter import Meter
from addon.log import RequestLine
from shared.pricing import cost_micros
from shared.security.keys import suffix
from shared.store.audit import AuditRecord
from shared.store.ledger import Entry, Ratio

__all__ = ("audit_record", "entry_of", "learned_from")

_LISTED_TURNS = 200
_MOST_BYTES_PER_TOKEN = 8
_SMALL_BODY = 1000
"""Bytes that a body has around its prompt."""

_LONGEST_TEXT = 100_000
"""Characters of a message that an audit record keeps."""

_LONGEST_CONVERSATION = 4 * 1024 * 1024
"""Bytes of JSON; what is beyond is left out from the beginning."""

_FOUND = ("missing", "client", "known-empty")
"""What a turn's rule is when no reasoning was restored."""


def entry_of(exchange: Exchange, line: RequestLine, meter: Meter, *, client_left: bool) -> Entry:
    """The ledger's entry for an exchange at its end; `line` is what the log says of it."""
    counts = exchange.restoration.counts if exchange.restoration else {}
    usage, estimated = _usage(exchange, meter)
    entry = exchange.entry()
    return replace(
        entry,
        status=int(line.status) if line.status.isdecimal() else 0,
        error_class=_error_class(exchange, line.status, client_left=client_left),
        prompt_tokens=usage.prompt_tokens,
        completion_tokens=usage.completion_tokens,
        reasoning_tokens=usage.reasoning_tokens,
        cached_tokens=min(usage.cached_tokens, usage.prompt_tokens),
        estimated=estimated,
        cost_micros=_cost(exchange, entry, usage, meter),
        first_byte_ms=None if exchange.first_byte is None else round(exchange.first_byte * 1000),
        duration_ms=round(line.seconds * 1000),
        restored=sum(count for rule, count in counts.items() if rule not in _FOUND),
        missing=counts.get("missing", 0),
        client=line.client,
        user_agent=line.user_agent[:200].encode(errors="replace").decode(),
        details=_details(exchange),
    )


def learned_from(exchange: Exchange) -> Ratio | None:
    """How many bytes made how many tokens, when the upstream counted a whole answer;
    nothing of a padded body.
    """
    usage = exchange.usage
    if usage is None or not usage.prompt_tokens or not exchange.sent_bytes or exchange.trouble:
        return None
    if exchange.sent_bytes > _MOST_BYTES_PER_TOKEN * usage.prompt_tokens + _SMALL_BODY:
        return None
    return Ratio(
        exchange.sent_bytes, usage.prompt_tokens, _answer_bytes(exchange), usage.completion_tokens
    )


def audit_record(exchange: Exchange, entry: Entry, mode: str) -> AuditRecord | None:
    """The record of what a user asked; None when audit is off, and for callers with an
    upstream's key.
    """
    if mode == "off" or exchange.request is None or entry.user_id is None:
        return None
    asked = next((one for one in reversed(exchange.request.messages) if one.role == "user"), None)
    conversation = _conversation(exchange) if mode == "full" else None
    text = _stored(asked.text) if asked else ""
    return AuditRecord(
        exchange=entry.exchange,
        at=entry.at,
        user_id=entry.user_id,
        username=entry.username,
        model=entry.model,
        upstream=entry.upstream,
        status=entry.status,
        text=text,
        conversation=conversation,
    )


def _error_class(exchange: Exchange, status: str, *, client_left: bool) -> str:
    if client_left:
        return "client_left"
    found = (
        exchange.trouble
        or exchange.error_class
        or (f"http_{status}" if not status.startswith("2") else "")
    )
    return found[:64].encode(errors="replace").decode()  # an upstream may have chosen it


def _usage(exchange: Exchange, meter: Meter) -> tuple[Usage, bool]:
    """What was used, and whether it is a guess."""
    if exchange.usage is not None:
        return exchange.usage, False
    if not exchange.sent_bytes:
        return Usage(), False
    ratio = meter.ratio(exchange.candidate.model)
    return Usage(
        prompt_tokens=tokens_in(exchange.sent_bytes, ratio.prompt_bytes, ratio.prompt_tokens),
        completion_tokens=tokens_in(
            _answer_bytes(exchange), ratio.answer_bytes, ratio.answer_tokens
        ),
    ), True


def _answer_bytes(exchange: Exchange) -> int:
    return sum(map(_turn_bytes, exchange.turns.values()))


def _turn_bytes(turn: Turn) -> int:
    said = [
        turn.text,
        turn.reasoning.text if turn.reasoning else "",
        *(call.arguments for call in turn.calls),
    ]
    return sum(len(text.encode(errors="replace")) for text in said)


def _cost(exchange: Exchange, entry: Entry, usage: Usage, meter: Meter) -> int | None:
    if not (usage.prompt_tokens or usage.completion_tokens):
        return 0
    price = meter.price(
        entry.upstream, exchange.candidate.upstream.host, entry.upstream_model, entry.at
    )
    if price is None:
        return None
    return cost_micros(
        price,
        prompt_tokens=usage.prompt_tokens,
        completion_tokens=usage.completion_tokens,
        cached_tokens=min(usage.cached_tokens, usage.prompt_tokens),
    )


def _details(exchange: Exchange) -> str:
    tries = [
        {
            "upstream": one.candidate.upstream.name,
            "key": suffix(one.candidate.key),
            "model": one.candidate.model,
            "outcome": one.outcome,
        }
        for one in exchange.tried
    ]
    turns = exchange.restoration.diagnoses[-_LISTED_TURNS:] if exchange.restoration else []
    notes = [_stored(note) for note in exchange.notes]
    return msgspec.json.encode(
        {"tries": tries, "turns": turns, "notes": notes, "policy": exchange.policy}
    ).decode()


# -- conversations ---------------------------------------------------------------------------------


def _conversation(exchange: Exchange) -> bytes:
    """`{"messages": […], "answer": {…}}`, compressed; the oldest messages are left out of a
    very long one.
    """
    assert exchange.request is not None
    edits = exchange.restoration.edits if exchange.restoration else {}
    rules = (
        {one.at: one.rule for one in exchange.restoration.diagnoses} if exchange.restoration else {}
    )
    shown: list[dict[str, Any]] = []
    room = _LONGEST_CONVERSATION
    for at in range(len(exchange.request.messages) - 1, -1, -1):
        edit = edits.get(at)
        message = _shown(
            exchange.request.messages[at], edit.reasoning if edit else None, rules.get(at, "")
        )
        room -= len(msgspec.json.encode(message))
        if room < 0:
            break
        shown.append(message)
    answer = next((_shown_turn(turn) for turn in exchange.turns.values()), None)
    return zlib.compress(msgspec.json.encode({"messages": shown[::-1], "answer": answer}), 1)


def _shown(message: Message, reasoning: dict[str, str] | None, rule: str) -> dict[str, Any]:
    shown: dict[str, Any] = {"role": message.role, "text": _stored(message.text)}
    if message.calls:
        shown["calls"] = [
            {"name": _stored(call.name), "arguments": _stored(call.arguments)}
            for call in message.calls
        ]
    if reasoning:
        shown["reasoning"] = _stored(next(iter(reasoning.values())))
        shown["restored"] = rule
    return shown


def _shown_turn(turn: Turn) -> dict[str, Any]:
    calls = [
        {"name": _stored(call.name), "arguments": _stored(call.arguments)} for call in turn.calls
    ]
    shown: dict[str, Any] = {"text": _stored(turn.text), "calls": calls}
    if turn.reasoning:
        shown["reasoning"] = _stored(turn.reasoning.text)
    return shown


def _stored(text: str) -> str:
    """The text as a database takes it: bounded, without NUL and lone surrogates."""
    return (
        text[:_LONGEST_TEXT].replace("\0", "\N{SYMBOL FOR NULL}").encode(errors="replace").decode()
    )
