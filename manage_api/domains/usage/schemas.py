"""The bodies of the routes over usage."""

from collections.abc import Sequence
from typing import Self

import msgspec
from msgspec.structs import asdict

from shared.model import Period, User, VirtualKey
from shared.periods import reset_ms
from shared.store.ledger import Balance
from shared.store.reports import Sums

__all__ = (
    "GROUP_COLUMNS",
    "DailyStats",
    "DayUsage",
    "GroupUsage",
    "ModelUsage",
    "MyUsage",
    "QuotaView",
    "Usage",
)


class Usage(msgspec.Struct, frozen=True, kw_only=True):
    """The total usage of exchanges."""

    requests: int
    failures: int
    tokens: int
    """Prompt and completion."""

    prompt_tokens: int
    completion_tokens: int
    reasoning_tokens: int
    """Part of the completion tokens."""

    cached_tokens: int
    """Part of the prompt tokens."""

    cost_micros: int
    """Millionths of a US dollar."""

    estimated: int
    """Requests whose tokens are estimates, as the upstream reported none."""

    unpriced: int
    """Requests without a known price, which the cost leaves out."""

    restored: int
    """Turns that got their reasoning back."""

    missing: int
    """Turns whose reasoning was not found."""

    cached_share: float | None
    """The cached share of the prompt tokens, from 0 to 1; null: no prompt was counted."""

    @classmethod
    def of(cls, sums: Sums, **more: object) -> Self:
        share = None
        if sums.prompt_tokens:
            share = sums.cached_tokens / sums.prompt_tokens
        return cls(
            **asdict(sums) | more,
            tokens=sums.prompt_tokens + sums.completion_tokens,
            cached_share=share,
        )


class QuotaView(msgspec.Struct, frozen=True, kw_only=True):
    """A quota and what is left of it."""

    period: Period
    resets_at: int | None
    """When the next period begins, epoch milliseconds; null for a lifetime."""

    quota_tokens: int | None
    """Null: no limit."""

    used_tokens: int
    reserved_tokens: int
    """Of running requests."""

    left_tokens: int | None
    quota_cost_micros: int | None
    used_cost_micros: int
    reserved_cost_micros: int
    left_cost_micros: int | None

    @classmethod
    def of(cls, subject: User | VirtualKey, balance: Balance, now_ms: int) -> Self:
        limits = subject.limits
        return cls(
            period=limits.period,
            resets_at=reset_ms(limits.period, now_ms),
            quota_tokens=limits.quota_tokens,
            used_tokens=balance.tokens,
            reserved_tokens=balance.reserved_tokens,
            left_tokens=_left(limits.quota_tokens, balance.tokens + balance.reserved_tokens),
            quota_cost_micros=limits.quota_cost_micros,
            used_cost_micros=balance.cost_micros,
            reserved_cost_micros=balance.reserved_cost_micros,
            left_cost_micros=_left(
                limits.quota_cost_micros, balance.cost_micros + balance.reserved_cost_micros
            ),
        )


class MyUsage(msgspec.Struct, frozen=True, kw_only=True):
    """A user's usage, by UTC days and months, and quotas."""

    today: Usage
    month: Usage
    lifetime: Usage
    quota: QuotaView
    key_quota: QuotaView | None
    """The quota of the virtual key in use, which applies as well; null for a session."""


class ModelUsage(Usage, frozen=True, kw_only=True):
    """The usage of one model."""

    model: str


class DayUsage(Usage, frozen=True, kw_only=True):
    """The usage of one day."""

    day: int
    """YYYYMMDD, of UTC."""

    models: list[ModelUsage]

    @classmethod
    def of_models(cls, day: int, models: Sequence[tuple[str, Sums]]) -> Self:
        totals = {
            name: sum(getattr(sums, name) for _, sums in models) for name in Sums.__struct_fields__
        }
        return cls.of(
            Sums(**totals),
            day=day,
            models=[ModelUsage.of(sums, model=model) for model, sums in models],
        )


class DailyStats(msgspec.Struct, frozen=True):
    """The usage of each day, today last, including days without any."""

    days: list[DayUsage]


class GroupUsage(Usage, frozen=True, kw_only=True):
    """The usage of one user, model, upstream, key or day."""

    group: int | str
    """Its id, name, or day (YYYYMMDD); 0: callers with an upstream's own key, or exchanges
    without a virtual key.
    """

    name: str
    """A user's name, or a key's owner and name; empty where `group` is a name or day."""


GROUP_COLUMNS = ("group", "name", *Usage.__struct_fields__)


def _left(limit: int | None, used: int) -> int | None:
    if limit is None:
        return None
    return max(0, limit - used)
