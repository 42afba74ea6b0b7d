"""Quotas and budgets: what a request may use before it is sent, and the words when it may not."""

from collections.abc import Iterable
from datetime import UTC, datetime

import msgspec

from addon.formats.neutral.problem import Problem
from shared.model import Limits, Period, Principal, fits
from shared.periods import reset_ms
from shared.pricing import Price, cost_micros
from shared.store.ledger import Balance, Ratio, subject_of

__all__ = (
    "Demand",
    "Grant",
    "Subject",
    "demand_of",
    "grant",
    "may_use",
    "spent",
    "subjects_of",
    "tokens_in",
)

BYTES_PER_TOKEN = 4.0
"""Of a model that nothing is known of yet."""

_FEWEST_BYTES, _MOST_BYTES = 1.0, 8.0
"""What text of any kind has per token; more is padding, which must not make other requests
look small.
"""

_TRUSTED_TOKENS = 500
"""Tokens that must have been counted before their ratio is believed."""

_UNASKED_COMPLETION = 2048
_LARGEST_COMPLETION = 4096
"""Tokens held for an answer: agents ask for far more than they use, and would starve each other."""


class Subject(msgspec.Struct, frozen=True):
    """Somebody with limits: a user, or one of the user's keys."""

    name: str
    """As the ledger knows it: `user:7` or `key:3`."""

    called: str
    """For messages."""

    limits: Limits

    @property
    def has_quota(self) -> bool:
        return self.limits.quota_tokens is not None or self.limits.quota_cost_micros is not None


class Demand(msgspec.Struct, frozen=True):
    """What a request will probably use."""

    prompt_tokens: int
    completion_tokens: int
    """Held, not promised: an answer may be longer."""

    model: str
    """At the upstream, for messages."""

    price: Price | None

    def cost(self, completion_tokens: int) -> int:
        """Millionths of a US dollar for the prompt and so long an answer; 0 without a price."""
        if self.price is None:
            return 0
        return cost_micros(
            self.price,
            prompt_tokens=self.prompt_tokens,
            completion_tokens=completion_tokens,
            cached_tokens=0,
        )


class Grant(msgspec.Struct, frozen=True):
    """What is reserved for a request."""

    tokens: int
    cost_micros: int


def subjects_of(principal: Principal) -> tuple[Subject, ...]:
    """Whose limits hold for a caller; none for one with an upstream's own key."""
    found = []
    if principal.user is not None:
        found.append(
            Subject(subject_of("user", principal.user.id), "your account", principal.user.limits)
        )
    if principal.key is not None:
        called = f"the key “{principal.key.name}” (…{principal.key.suffix})"
        found.append(Subject(subject_of("key", principal.key.id), called, principal.key.limits))
    return tuple(found)


def may_use(principal: Principal, model: str) -> bool:
    """Whether the caller's user and key both allow the model."""
    lists = [
        owner.models
        for owner in (principal.user, principal.key)
        if owner is not None and owner.models
    ]
    return all(any(fits(pattern, model) for pattern in patterns) for patterns in lists)


def tokens_in(size: int, counted_bytes: int, counted_tokens: int) -> int:
    """Tokens that so many bytes probably are, going by what was counted before; at least 1
    unless there are none.
    """
    known = counted_tokens >= _TRUSTED_TOKENS and counted_bytes > 0
    per_token = counted_bytes / counted_tokens if known else BYTES_PER_TOKEN
    per_token = min(max(per_token, _FEWEST_BYTES), _MOST_BYTES)
    return max(1, round(size / per_token)) if size else 0


def demand_of(
    size: int, max_tokens: int | None, ratio: Ratio, model: str, price: Price | None
) -> Demand:
    """What a body of so many bytes that allows so many tokens in the answer (None: does not
    say) demands.
    """
    prompt = tokens_in(size, ratio.prompt_bytes, ratio.prompt_tokens)
    completion = min(
        max(0, _UNASKED_COMPLETION if max_tokens is None else max_tokens), _LARGEST_COMPLETION
    )
    return Demand(prompt, completion, model, price)


def grant(
    demand: Demand, balances: Iterable[tuple[Subject, Balance]], now_ms: int
) -> Grant | Problem:
    """What to reserve: the prompt must fit into every quota, the answer gets what is left of them.

    An answer that is longer than what is held for it overdraws the quota by the difference,
    and no further request begins.
    """
    tokens, cost = (
        demand.prompt_tokens + demand.completion_tokens,
        demand.cost(demand.completion_tokens),
    )
    for subject, balance in balances:
        limits = subject.limits
        if limits.quota_tokens is not None:
            left = limits.quota_tokens - balance.tokens - balance.reserved_tokens
            if left < demand.prompt_tokens:
                return _exceeded(
                    subject, now_ms, _token_words(subject, balance, demand.prompt_tokens)
                )
            tokens = min(tokens, left)
        if limits.quota_cost_micros is not None:
            if demand.price is None:
                return _unpriced(subject, demand.model)
            left = limits.quota_cost_micros - balance.cost_micros - balance.reserved_cost_micros
            if left < max(1, demand.cost(0)):
                return _exceeded(subject, now_ms, _cost_words(subject, balance))
            cost = min(cost, left)
    return Grant(tokens, cost)


def spent(balances: Iterable[tuple[Subject, Balance]], now_ms: int) -> Problem | None:
    """Why a request that uses no tokens is refused all the same: a quota or budget of the
    caller is used up.
    """
    for subject, balance in balances:
        limits = subject.limits
        if limits.quota_tokens is not None and limits.quota_tokens <= balance.tokens:
            return _exceeded(subject, now_ms, _token_words(subject, balance, 0))
        if limits.quota_cost_micros is not None and limits.quota_cost_micros <= balance.cost_micros:
            return _exceeded(subject, now_ms, _cost_words(subject, balance))
    return None


# -- words -----------------------------------------------------------------------------------------

_PERIOD_WORDS: dict[Period, str] = {"lifetime": "", "month": " this month", "day": " today"}


def _token_words(subject: Subject, balance: Balance, needed: int) -> str:
    quota, when = subject.limits.quota_tokens or 0, _PERIOD_WORDS[subject.limits.period]
    if quota == 0:
        return f"There is no token quota for {subject.called} yet: ask the administrator for one."
    used = f"{min(balance.tokens, quota):,} of {quota:,} tokens are used{when}"
    if balance.reserved_tokens:
        used += f", {balance.reserved_tokens:,} more are held by running requests"
    if balance.tokens >= quota:
        return f"The token quota of {subject.called} is used up: {used}."
    return (
        f"The token quota of {subject.called} is too small for this request (about "
        f"{needed:,} tokens): {used}."
    )


def _cost_words(subject: Subject, balance: Balance) -> str:
    budget, when = subject.limits.quota_cost_micros or 0, _PERIOD_WORDS[subject.limits.period]
    if budget == 0:
        return f"There is no budget for {subject.called} yet: ask the administrator for one."
    used = f"{dollars(min(balance.cost_micros, budget))} of {dollars(budget)} are spent{when}"
    if balance.reserved_cost_micros:
        used += f", {dollars(balance.reserved_cost_micros)} more are held by running requests"
    state = "used up" if balance.cost_micros >= budget else "too small for this request"
    return f"The budget of {subject.called} is {state}: {used}."


def dollars(micros: int) -> str:
    """An amount of millionths of a US dollar, to the cent or as exactly as it needs."""
    return (
        f"${micros / 1_000_000:,.2f}"
        if micros % 10_000 == 0 or micros >= 10_000_000
        else f"${micros / 1_000_000:.6f}"
    )


def _exceeded(subject: Subject, now_ms: int, words: str) -> Problem:
    resets = reset_ms(subject.limits.period, now_ms)
    if resets is None:
        words += "" if "ask the administrator" in words else " Ask the administrator for more."
        return Problem(
            status=429, message=words, code="insufficient_quota", type="insufficient_quota"
        )
    moment = datetime.fromtimestamp(resets // 1000, UTC).strftime("%Y-%m-%d %H:%M UTC")
    return Problem(
        status=429,
        message=f"{words} It resets on {moment}.",
        code="insufficient_quota",
        type="insufficient_quota",
        retry_after=str(max(1, (resets - now_ms) // 1000)),
    )


def _unpriced(subject: Subject, model: str) -> Problem:
    message = (
        f"The model '{model[:200]}' has no price, so it can't be charged to the budget "
        f"of {subject.called}: "
        "ask the administrator to set one."
    )
    return Problem(
        status=429, message=message, code="insufficient_quota", type="insufficient_quota"
    )
