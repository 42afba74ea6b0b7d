"""Reads a user's daily usage, and builds filters over usage."""

from manage_api.domains.usage.schemas import DayUsage
from manage_api.paging import Span
from shared.periods import day_of
from shared.store.engine import Engine
from shared.store.reports import Sums, UsageFilter, usage_by_day_and_model

__all__ = ("usage_filter", "usage_of_days")

_DAY_MS = 86_400_000


def usage_of_days(store: Engine, user_id: int, *, now_ms: int, days: int) -> list[DayUsage]:
    """Return a user's usage on each of the last days by model, today last."""
    used: dict[int, list[tuple[str, Sums]]] = {
        day_of(now_ms - ago * _DAY_MS): [] for ago in reversed(range(days))
    }
    for day, model, sums in usage_by_day_and_model(
        store, user_id, first_day=min(used), last_day=max(used)
    ):
        used[day].append((model, sums))
    return [DayUsage.of_models(day, models) for day, models in used.items()]


def usage_filter(
    span: Span, *, user_id: int | None, key_id: int | None, model: str | None, upstream: str | None
) -> UsageFilter:
    """Build a filter; empty texts match everything."""
    return UsageFilter(
        first_day=span.first_day,
        last_day=span.last_day,
        user_id=user_id,
        key_id=key_id,
        model=model or None,
        upstream=upstream or None,
    )
