"""Quotas and budgets: what a request may use before it is sent, and whether it may."""

from collections.abc import Iterable, Mapping

import msgspec

from addon.admission import problems
from addon.formats.neutral.problem import Problem
from shared.model import Limits, Principal, fits
from shared.pricing import Price, completion_tokens_for, cost_micros
from shared.store.ledger import Balance, subject_of
from shared.store.ratios import Ratio

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

_SURE_COMPLETION = 4096
"""Tokens of an answer that must be left for it to begin, if it may have so many: agents ask for
far more than they use.
"""

_SHARE = 4
"""The part of what is left beyond the prompt that an answer may have, if that is more: several
requests of an agent's run at once, each asking for 32,000 tokens and using 1,000.
"""

_UNLIMITED = 32_768
"""With so large a share, an answer whose request says nothing of its length gets no limit: then
131,072 tokens are left, more than models answer with.
"""

_ANY = 2**53
"""Tokens of an answer that nothing limits."""


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
    """Held where no quota limits the answer, which may be longer."""

    model: str
    """At the upstream, for messages."""

    price: Price | None
    wanted_tokens: int = 0
    """Tokens of the answer that must be left: the request says that it may take so many."""

    most_tokens: int | None = None
    """The most that the request allows for its answer, all choices together; None: any number."""

    choices: int = 1
    """Answers to choose from, each of which may be as long as is said."""

    other_prices: tuple[Price | None, ...] = ()
    """Those of other upstreams that may come to answer."""

    def cost(self, completion_tokens: int) -> int:
        """Millionths of a US dollar for the prompt and so long an answer; 0 without a price."""
        return self.cost_at(self.price, completion_tokens)

    def cost_at(self, price: Price | None, completion_tokens: int) -> int:
        """The same at another price."""
        if price is None:
            return 0
        return cost_micros(
            price,
            prompt_tokens=self.prompt_tokens,
            completion_tokens=completion_tokens,
            cached_tokens=0,
        )


class Grant(msgspec.Struct, frozen=True):
    """What is reserved for a request."""

    tokens: int
    cost_micros: int
    lengths: Mapping[Price | None, int | None] = {}
    """The most tokens that each choice of the answer may have, by the price of who gives it; None:
    as many as the request says. Who takes a price that is missing is too dear to be asked.
    """


class _Left(msgspec.Struct, frozen=True):
    """What is left of the tightest quota, and of the tightest budget."""

    tokens: int = _ANY
    micros: int = _ANY


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
    size: int,
    max_tokens: int | None,
    ratio: Ratio,
    model: str,
    price: Price | None,
    *,
    choices: int = 1,
    least: int = 1,
    other_prices: tuple[Price | None, ...] = (),
) -> Demand:
    """What a body of so many bytes demands that allows so many tokens in each choice of the answer
    (None: does not say); `least` is the lowest limit that upstreams take.
    """
    prompt = tokens_in(size, ratio.prompt_bytes, ratio.prompt_tokens)
    least *= choices
    if max_tokens is None:
        completion, wanted, most = max(_UNASKED_COMPLETION, least), least, None
    else:
        most = max(max_tokens * choices, least) if max_tokens > 0 else 0
        completion = wanted = min(most, max(_SURE_COMPLETION, least))
    return Demand(prompt, completion, model, price, wanted, most, choices, other_prices)


def grant(
    demand: Demand, balances: Iterable[tuple[Subject, Balance]], now_ms: int
) -> Grant | Problem:
    """What to reserve: the prompt and what the request must have for its answer must fit into
    every quota. Where there is more, the answer may have what the request asks for, but no more
    than a share of what is left; a request that does not say how long its answer may be gets no
    limit as long as much is left.

    An answer that keeps to the length that is granted overdraws nothing, if the prompt is as long
    as it was guessed to be.
    """
    left = _Left()
    for subject, balance in balances:
        its = _left_of(subject.limits, balance)
        if problem := _refusal(demand, subject, balance, its, now_ms):
            return problem
        left = _Left(min(left.tokens, its.tokens), min(left.micros, its.micros))
    if left == _Left():
        tokens = demand.prompt_tokens + demand.completion_tokens
        return Grant(tokens, demand.cost(demand.completion_tokens), {demand.price: None})
    return _granted(demand, left)


def _left_of(limits: Limits, balance: Balance) -> _Left:
    tokens = micros = _ANY
    if limits.quota_tokens is not None:
        tokens = limits.quota_tokens - balance.tokens - balance.reserved_tokens
    if limits.quota_cost_micros is not None:
        micros = limits.quota_cost_micros - balance.cost_micros - balance.reserved_cost_micros
    return _Left(tokens, micros)


def _refusal(
    demand: Demand, subject: Subject, balance: Balance, left: _Left, now_ms: int
) -> Problem | None:
    limits, needed = subject.limits, demand.prompt_tokens + demand.wanted_tokens
    if left.tokens < needed:
        return problems.quota_exceeded(subject.called, limits, balance, needed, now_ms)
    if limits.quota_cost_micros is None:
        return None
    if demand.price is None:
        return problems.unpriced(subject.called, demand.model)
    if left.micros < max(1, demand.cost(demand.wanted_tokens)):
        return problems.budget_exceeded(subject.called, limits, balance, now_ms)
    return None


def _granted(demand: Demand, left: _Left) -> Grant:
    """The lengths at all prices, and what is enough for each of them."""
    lengths: dict[Price | None, int | None] = {}
    tokens = cost = 0
    for price in (demand.price, *demand.other_prices):
        room = _room(demand, price, left)
        if room < demand.wanted_tokens:
            continue
        held, lengths[price] = _answer(demand, room, _room(demand, price, left, _SHARE))
        tokens = max(tokens, demand.prompt_tokens + held)
        cost = max(cost, demand.cost_at(price, held))
    return Grant(tokens, cost, lengths)


def _room(demand: Demand, price: Price | None, left: _Left, share: int = 1) -> int:
    """Tokens of an answer at this price that fit into what is left beyond the prompt, or into one
    of so many equal shares of that; below 0 when there is no room for the prompt.
    """
    tokens = (left.tokens - demand.prompt_tokens) // share
    if left.micros == _ANY:
        return tokens
    if price is None:
        return -1
    prompt_cost = demand.cost_at(price, 0)
    micros = prompt_cost + (left.micros - prompt_cost) // share
    return min(tokens, completion_tokens_for(price, micros, prompt_tokens=demand.prompt_tokens))


def _answer(demand: Demand, room: int, share: int) -> tuple[int, int | None]:
    """The tokens to hold for the answer, and the limit of each choice where it needs one."""
    if demand.most_tokens is None:
        held = min(demand.completion_tokens, room)
        if share >= _UNLIMITED:
            return held, None
        held = max(held, share)
    else:
        held = min(demand.most_tokens, max(demand.wanted_tokens, share))
        if held == demand.most_tokens:
            return held, None
    return held, held // demand.choices


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
