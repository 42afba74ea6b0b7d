"""The ledger's entry of an exchange, and what its counted tokens teach."""

from typing import Any

import msgspec
from msgspec.structs import replace

from addon.admission.quota import tokens_in
from addon.formats.neutral.turn import Turn, Usage
from addon.ledger.audit import storable
from addon.ledger.meter import Meter
from addon.ledger.outcome import Delivery, Outcome
from addon.recall.restore import Diagnosis
from shared.pricing import cost_micros
from shared.security.keys import suffix
from shared.store.ledger import Entry
from shared.store.ratios import Ratio

__all__ = ("entry_of", "entry_so_far", "entry_unread", "learned_from")

_LISTED_MISSES, _LISTED_OTHERS = 60, 40
"""Turns that are listed one by one, the latest of each kind: a conversation of hundreds is
replayed with each request, and what was found is the same each time.
"""

_LONGEST_WHY = 300
"""Characters of the reason of a miss that are kept."""

_MOST_BYTES_PER_TOKEN = 8
"""Text has fewer: a body with more is padded."""

_SMALL_BODY = 1000
"""Bytes that a body has around its prompt."""

_LONGEST_CLASS = 64
"""Characters of an error's word, which an upstream may have chosen."""

_LONGEST_AGENT = 200
"""Characters of a `User-Agent` that are kept; browsers' have fewer."""

_NOTHING_RESTORED = ("missing", "client", "known-empty")
"""What a turn's rule is when no reasoning was restored."""


def entry_of(outcome: Outcome, delivery: Delivery, meter: Meter) -> Entry:
    """The ledger's entry for an exchange at its end. Raises StoreError when prices or what
    was counted before can't be read.
    """
    return _charged(_uncounted(outcome.entry, outcome, delivery), outcome, meter)


def entry_so_far(outcome: Outcome, meter: Meter) -> Entry:
    """The entry for what has come of a running exchange. Raises StoreError as `entry_of`."""
    return _charged(outcome.entry, outcome, meter)


def entry_unread(outcome: Outcome, delivery: Delivery, opened: Entry) -> Entry:
    """The entry when nothing can be read: what was guessed at the opening stands for what
    the upstream did not count, and for the cost.
    """
    guess = opened if outcome.sent_bytes else outcome.entry
    entry = _uncounted(guess, outcome, delivery)
    if outcome.usage is not None:
        entry = _with_usage(entry, outcome.usage)
    return entry


def _charged(entry: Entry, outcome: Outcome, meter: Meter) -> Entry:
    usage = _usage(outcome, meter)
    return replace(_with_usage(entry, usage), cost_micros=_cost(outcome, usage, meter))


def _with_usage(entry: Entry, usage: Usage) -> Entry:
    return replace(
        entry,
        prompt_tokens=usage.prompt_tokens,
        completion_tokens=usage.completion_tokens,
        reasoning_tokens=usage.reasoning_tokens,
        cached_tokens=min(usage.cached_tokens, usage.prompt_tokens),
    )


def _uncounted(entry: Entry, outcome: Outcome, delivery: Delivery) -> Entry:
    """The entry with all that nothing has to be read for; its tokens and cost stay."""
    counts = outcome.restoration.counts if outcome.restoration else {}
    restored = sum(count for rule, count in counts.items() if rule not in _NOTHING_RESTORED)
    return replace(
        entry,
        status=_status(delivery),
        error_class=_error_class(outcome, delivery),
        attempts=outcome.entry.attempts,
        estimated=outcome.sent_bytes > 0 and not (outcome.usage and outcome.whole),
        first_byte_ms=_milliseconds(outcome.first_byte),
        duration_ms=round(delivery.seconds * 1000),
        restored=restored,
        missing=counts.get("missing", 0),
        client=delivery.client,
        user_agent=_clean(delivery.user_agent, _LONGEST_AGENT),
        details=_details(outcome),
    )


def learned_from(outcome: Outcome) -> Ratio | None:
    """How many bytes made how many tokens, when the upstream counted a whole answer;
    nothing of a padded body.
    """
    usage = outcome.usage
    if usage is None or not usage.prompt_tokens or not outcome.sent_bytes or outcome.trouble:
        return None
    if not outcome.whole:
        return None
    if outcome.sent_bytes > _MOST_BYTES_PER_TOKEN * usage.prompt_tokens + _SMALL_BODY:
        return None
    return Ratio(
        outcome.sent_bytes, usage.prompt_tokens, _answer_bytes(outcome), usage.completion_tokens
    )


def _status(delivery: Delivery) -> int:
    return int(delivery.status) if delivery.status.isdecimal() else 0


def _milliseconds(seconds: float | None) -> int | None:
    return None if seconds is None else round(seconds * 1000)


def _error_class(outcome: Outcome, delivery: Delivery) -> str:
    if delivery.client_left:
        return "client_left"
    word = delivery.cut or outcome.trouble or outcome.error_class
    if not word and not delivery.status.startswith("2"):
        word = f"http_{delivery.status}"
    return _clean(word, _LONGEST_CLASS)


def _clean(text: str, most: int) -> str:
    return text[:most].encode(errors="replace").decode()


def _usage(outcome: Outcome, meter: Meter) -> Usage:
    """What was used. Before its end only the prompt of an answer may have been counted, as
    Claude does: what has come of it is estimated then.
    """
    counted = outcome.usage
    if counted is not None and outcome.whole:
        return counted
    guess = _estimate(outcome, meter)
    if counted is None:
        return guess
    return replace(
        counted, completion_tokens=max(counted.completion_tokens, guess.completion_tokens)
    )


def _estimate(outcome: Outcome, meter: Meter) -> Usage:
    """What was probably used, where the upstream did not count."""
    if not outcome.sent_bytes:
        return Usage()
    ratio = meter.ratio(outcome.entry.upstream_model)
    return Usage(
        prompt_tokens=tokens_in(outcome.sent_bytes, ratio.prompt_bytes, ratio.prompt_tokens),
        completion_tokens=tokens_in(
            _answer_bytes(outcome), ratio.answer_bytes, ratio.answer_tokens
        ),
    )


def _answer_bytes(outcome: Outcome) -> int:
    return sum(map(_turn_bytes, outcome.turns.values()))


def _turn_bytes(turn: Turn) -> int:
    texts = [turn.text, *(call.arguments for call in turn.calls)]
    if turn.reasoning:
        texts.append(turn.reasoning.text)
    return sum(len(text.encode(errors="replace")) for text in texts)


def _cost(outcome: Outcome, usage: Usage, meter: Meter) -> int | None:
    if not (usage.prompt_tokens or usage.completion_tokens):
        return 0
    entry, host = outcome.entry, outcome.tries[-1].candidate.upstream.host
    price = meter.price(entry.upstream, host, entry.upstream_model, entry.at)
    if price is None:
        return None
    return cost_micros(
        price,
        prompt_tokens=usage.prompt_tokens,
        completion_tokens=usage.completion_tokens,
        cached_tokens=min(usage.cached_tokens, usage.prompt_tokens),
    )


def _details(outcome: Outcome) -> str:
    tries = [
        {
            "upstream": tried.candidate.upstream.name,
            "key": suffix(tried.candidate.key),
            "model": tried.candidate.model,
            "outcome": tried.outcome,
        }
        for tried in outcome.tries
    ]
    told = {
        "tries": tries,
        "turns": [],
        "rules": {},
        "notes": [storable(note) for note in outcome.notes],
        "policy": outcome.policy,
    }
    if outcome.restoration is not None:
        told["turns"] = _listed(outcome.restoration.diagnoses)
        told["rules"] = outcome.restoration.counts
    return msgspec.json.encode(told).decode()


def _listed(diagnoses: list[Diagnosis]) -> list[dict[str, Any]]:
    """The turns that were not found, and the latest of the others, numbered from 1."""
    missed: list[tuple[int, Diagnosis]] = []
    others: list[tuple[int, Diagnosis]] = []
    for number, diagnosis in enumerate(diagnoses, 1):
        if diagnosis.rule == "missing":
            missed.append((number, diagnosis))
        else:
            others.append((number, diagnosis))
    listed = sorted([*missed[-_LISTED_MISSES:], *others[-_LISTED_OTHERS:]])
    return [_note(number, diagnosis) for number, diagnosis in listed]


def _note(number: int, diagnosis: Diagnosis) -> dict[str, Any]:
    note = {"turn": number, "at": diagnosis.at, "rule": diagnosis.rule}
    if not diagnosis.told:
        return note
    return note | {"why": storable(diagnosis.told)[:_LONGEST_WHY]}
