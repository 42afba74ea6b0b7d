"""Quotas and budgets: what a request may use before it is sent, and whether it may."""

from collections.abc import Iterable

import msgspec

from addon.admission import problems
from addon.formats.neutral.problem import Problem
from shared.model import Limits, Principal, fits
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
"""Tokens held for an answer whose request says nothing of its length: a long message."""

_LARGEST_COMPLETION = 4096
"""Tokens held for an answer: agents ask for far more than they use, and would starve each other.
Such an answer may overdraw a quota by what it has beyond these.
"""


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
    wanted_tokens: int = 0
    """Tokens of the answer that must be left: the request says that it may take so many."""

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
    if not size:
        return 0
    per_token = BYTES_PER_TOKEN
    if counted_tokens >= _TRUSTED_TOKENS and counted_bytes > 0:
        per_token = counted_bytes / counted_tokens
    per_token = min(max(per_token, _FEWEST_BYTES), _MOST_BYTES)
    return max(1, round(size / per_token))


def demand_of(
    size: int, max_tokens: int | None, ratio: Ratio, model: str, price: Price | None
) -> Demand:
    """What a body of so many bytes that allows so many tokens in the answer (None: does not
    say) demands.
    """
    prompt = tokens_in(size, ratio.prompt_bytes, ratio.prompt_tokens)
    if max_tokens is None:
        return Demand(prompt, _UNASKED_COMPLETION, model, price)
    completion = min(max(0, max_tokens), _LARGEST_COMPLETION)
    return Demand(prompt, completion, model, price, wanted_tokens=completion)


def grant(
    demand: Demand, balances: Iterable[tuple[Subject, Balance]], now_ms: int
) -> Grant | Problem:
    """What to reserve: the prompt and what the request wants for its answer must fit into
    every quota. One that does not say how long its answer may be gets what is left of them.

    An answer that is longer than what is held for it overdraws the quota by the difference,
    and no further request begins: none is when the upstream keeps to what was wanted.
    """
    needed = demand.prompt_tokens + demand.wanted_tokens
    tokens, cost = (
        demand.prompt_tokens + demand.completion_tokens,
        demand.cost(demand.completion_tokens),
    )
    for subject, balance in balances:
        limits = subject.limits
        if limits.quota_tokens is not None:
            left = limits.quota_tokens - balance.tokens - balance.reserved_tokens
            if left < needed:
                return problems.quota_exceeded(subject.called, limits, balance, needed, now_ms)
            tokens = min(tokens, left)
        if limits.quota_cost_micros is not None:
            if demand.price is None:
                return problems.unpriced(subject.called, demand.model)
            left = limits.quota_cost_micros - balance.cost_micros - balance.reserved_cost_micros
            if left < max(1, demand.cost(demand.wanted_tokens)):
                return problems.budget_exceeded(subject.called, limits, balance, now_ms)
            cost = min(cost, left)
    return Grant(tokens, cost)


def spent(balances: Iterable[tuple[Subject, Balance]], now_ms: int) -> Problem | None:
    """Why a request that uses no tokens is refused all the same: a quota or budget of the
    caller is used up.
    """
    for subject, balance in balances:
        limits = subject.limits
        if limits.quota_tokens is not None and limits.quota_tokens <= balance.tokens:
            return problems.quota_exceeded(subject.called, limits, balance, 0, now_ms)
        if limits.quota_cost_micros is not None and limits.quota_cost_micros <= balance.cost_micros:
            return problems.budget_exceeded(subject.called, limits, balance, now_ms)
    return None
