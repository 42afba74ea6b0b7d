"""Limits of users and keys, as the routes accept and return them."""

from typing import Annotated, Any

import msgspec
from msgspec.structs import asdict, replace

from shared.model import LARGEST, Limits, Period, User, VirtualKey
from shared.periods import reset_ms
from shared.store.ledger import Balance

__all__ = (
    "MOST",
    "LimitChanges",
    "LimitFields",
    "LimitsView",
    "Models",
    "QuotaChange",
    "changed_limits",
    "limits_view",
    "limits_words",
    "sent_fields",
)

MOST = LARGEST
"""Of tokens, requests or money in a limit."""

_PERIODS: dict[Period, str] = {"lifetime": "in total", "month": "per month", "day": "per day"}

type Subject = User | VirtualKey

Amount = Annotated[int, msgspec.Meta(ge=0, le=MOST)]
Rate = Annotated[int, msgspec.Meta(ge=1, le=MOST)]
Models = Annotated[
    tuple[Annotated[str, msgspec.Meta(min_length=1, max_length=256)], ...],
    msgspec.Meta(
        max_length=256, description="`*` matches any characters; an empty list means every model."
    ),
]


class LimitFields(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Limits of a new account or key; null means no limit."""

    models: Models = ()
    quota_tokens: Amount | None = None
    quota_cost_micros: Amount | None = None
    period: Period = "lifetime"
    rpm: Rate | None = None
    tpm: Rate | None = None
    concurrency: Rate | None = None

    @property
    def limits(self) -> Limits:
        return msgspec.convert(self, Limits, from_attributes=True)


class QuotaChange(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A new quota; null means no limit, and omitted fields stay."""

    quota_tokens: Amount | msgspec.UnsetType | None = msgspec.UNSET
    quota_cost_micros: Amount | msgspec.UnsetType | None = msgspec.UNSET
    period: Period | msgspec.UnsetType = msgspec.UNSET


class LimitChanges(QuotaChange, frozen=True, kw_only=True):
    """New limits; null means no limit, and omitted fields stay."""

    models: Models | msgspec.UnsetType = msgspec.UNSET
    rpm: Rate | msgspec.UnsetType | None = msgspec.UNSET
    tpm: Rate | msgspec.UnsetType | None = msgspec.UNSET
    concurrency: Rate | msgspec.UnsetType | None = msgspec.UNSET


class LimitsView(msgspec.Struct, frozen=True, kw_only=True):
    """Limits of a user or a key, and its usage in the current period."""

    models: tuple[str, ...]
    quota_tokens: int | None
    quota_cost_micros: int | None
    period: Period
    rpm: int | None
    tpm: int | None
    concurrency: int | None
    used_tokens: int
    used_cost_micros: int
    resets_at: int | None
    """When the next period begins, epoch milliseconds; null for a lifetime."""


def limits_view(subject: Subject, spent: Balance, now_ms: int) -> dict[str, Any]:
    """Return the fields of a `LimitsView`."""
    return {
        "models": subject.models,
        **asdict(subject.limits),
        "used_tokens": spent.tokens,
        "used_cost_micros": spent.cost_micros,
        "resets_at": reset_ms(subject.limits.period, now_ms),
    }


def limits_words(limits: Limits | LimitsView) -> list[str]:
    """Describe each limit that is set in a few words."""
    period = _PERIODS[limits.period]
    words = []
    if limits.quota_tokens is not None:
        words.append(f"{limits.quota_tokens:,} tokens {period}")
    if limits.quota_cost_micros is not None:
        words.append(f"${limits.quota_cost_micros / 1e6:,.2f} {period}")
    if limits.rpm is not None:
        words.append(f"{limits.rpm:,} requests per minute")
    if limits.tpm is not None:
        words.append(f"{limits.tpm:,} tokens per minute")
    if limits.concurrency is not None:
        words.append(f"{limits.concurrency:,} concurrent requests")
    return words


def changed_limits[T: (User, VirtualKey)](subject: T, changes: QuotaChange) -> T:
    """Return the user or key with the changed limits and models."""
    limits = replace(subject.limits, **sent_fields(changes, *Limits.__struct_fields__))
    return replace(subject, limits=limits, **sent_fields(changes, "models"))


def sent_fields(changes: msgspec.Struct, *names: str) -> dict[str, Any]:
    """Return those of the fields that the body has."""
    return {
        name: value
        for name in names
        if (value := getattr(changes, name, msgspec.UNSET)) is not msgspec.UNSET
    }
