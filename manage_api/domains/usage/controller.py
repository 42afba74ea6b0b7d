"""`/api/my-usage`, `/api/my-stats/daily` and `/api/admin/usage`."""

from collections.abc import Iterator
from typing import Annotated, Any, Literal

from litestar import Controller, Response, get
from litestar.di import NamedDependency
from litestar.openapi import ResponseSpec
from litestar.params import QueryParameter
from litestar.status_codes import HTTP_200_OK

from manage_api.access.callers import UserRequest
from manage_api.access.guards import admin_only
from manage_api.domains.usage.schemas import (
    GROUP_COLUMNS,
    DailyStats,
    GroupUsage,
    MyUsage,
    QuotaView,
    Usage,
)
from manage_api.domains.usage.service import usage_filter, usage_of_days
from manage_api.paging import (
    CSV,
    Cursor,
    FirstDay,
    LastDay,
    Limit,
    Page,
    SomeId,
    SomeText,
    as_csv,
    described_as,
    page_of,
    place_in,
    span_of,
)
from manage_api.sidecar import Sidecar
from shared.model import User, VirtualKey
from shared.periods import day_of, window_of
from shared.store.engine import Engine
from shared.store.ledger import balance_of, subject_of
from shared.store.reports import Dimension, UsageFilter, usage_by, usage_of

__all__ = ("MyUsageController", "UsageController")

_JSON = "application/json"
_EXPORT_PAGE = 200

Days = Annotated[int, QueryParameter(ge=1, le=366)]
By = Annotated[Dimension, QueryParameter()]
Format = Annotated[
    Literal["json", "csv"] | None, QueryParameter(description="By default, `Accept` decides.")
]


class MyUsageController(Controller):
    """The caller's own usage."""

    @get("/api/my-usage")
    async def show(self, request: UserRequest, sidecar: NamedDependency[Sidecar]) -> MyUsage:
        """Show the caller's usage today, this month and in total, and what is left of quotas."""
        now, user, key = sidecar.clock.now_ms(), request.user, request.auth
        first_of_month = window_of("month", now) * 100 + 1
        key_quota = None
        if key:
            key_quota = _quota(sidecar.store, "key", key, now)
        return MyUsage(
            today=Usage.of(usage_of(sidecar.store, user.id, since_day=day_of(now))),
            month=Usage.of(usage_of(sidecar.store, user.id, since_day=first_of_month)),
            lifetime=Usage.of(usage_of(sidecar.store, user.id)),
            quota=_quota(sidecar.store, "user", user, now),
            key_quota=key_quota,
        )

    @get("/api/my-stats/daily")
    async def daily(
        self, request: UserRequest, sidecar: NamedDependency[Sidecar], days: Days = 30
    ) -> DailyStats:
        """Show the caller's usage on each of the last days, by model."""
        return DailyStats(
            usage_of_days(sidecar.store, request.user.id, now_ms=sidecar.clock.now_ms(), days=days)
        )


class UsageController(Controller):
    """Everyone's usage, for admins."""

    path = "/api/admin/usage"
    guards = (admin_only,)

    @get(
        responses={
            HTTP_200_OK: ResponseSpec(
                Page[GroupUsage],
                generate_examples=False,
                description="A page of totals, or all of them as CSV",
            )
        },
        operation_class=described_as(CSV, besides_json=True),
    )
    async def show(
        self,
        request: UserRequest,
        sidecar: NamedDependency[Sidecar],
        by: By = "day",
        first: FirstDay = None,
        last: LastDay = None,
        user_id: SomeId = None,
        key_id: SomeId = None,
        model: SomeText = None,
        upstream: SomeText = None,
        format: Format = None,  # noqa: A002 - the error names it
        cursor: Cursor = None,
        limit: Limit = 50,
    ) -> Response[Any]:
        """List usage grouped by user, model, upstream, day or key; CSV has all groups at once."""
        span = span_of(first, last)
        usage = usage_filter(span, user_id=user_id, key_id=key_id, model=model, upstream=upstream)
        if format == "csv" or (format is None and request.accept.best_match([_JSON, CSV]) == CSV):
            return as_csv(f"usage-by-{by}", GROUP_COLUMNS, _pages(sidecar.store, by, usage))
        kinds: dict[Dimension, type[str] | type[int]] = {"model": str, "upstream": str}
        after: int | str | None = place_in(cursor, kinds.get(by, int))
        groups = usage_by(sidecar.store, by, usage, after=after, limit=limit + 1)
        return Response(
            page_of([GroupUsage.of(group) for group in groups], limit, lambda view: view.group)
        )


def _pages(store: Engine, by: Dimension, usage: UsageFilter) -> Iterator[list[GroupUsage]]:
    after: int | str | None = None
    while groups := usage_by(store, by, usage, after=after, limit=_EXPORT_PAGE):
        yield [GroupUsage.of(group) for group in groups]
        after = groups[-1].group


def _quota(store: Engine, kind: str, subject: User | VirtualKey, now_ms: int) -> QuotaView:
    balance = balance_of(store, subject_of(kind, subject.id), subject.limits.period, now_ms)
    return QuotaView.of(subject, balance, now_ms)
