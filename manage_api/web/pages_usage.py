"""`/admin/usage`: usage by day, user, model, upstream or key."""

from datetime import UTC, date, datetime, timedelta
from typing import Any

import msgspec
from litestar import Response, get
from litestar.di import NamedDependency

from manage_api.access.callers import UserRequest
from manage_api.access.guards import admin_only
from manage_api.domains.usage.controller import By
from manage_api.domains.usage.schemas import GroupUsage, Usage
from manage_api.domains.usage.service import usage_filter
from manage_api.paging import FirstDay, LastDay, SomeId, SomeText, Span, span_of
from manage_api.sidecar import Sidecar
from manage_api.web.rendering import Pages, day, page
from shared.store.accounts import find_user, find_user_id
from shared.store.engine import Engine
from shared.store.reports import (
    Dimension,
    Group,
    Sums,
    Tokens,
    UsageFilter,
    daily_tokens,
    largest_usage,
    usage_by,
)

__all__ = ("UsagePages",)

_DEFAULT_DAYS = 30

_MAX_CHART_DAYS = 366
"""A bar for each day of a year is still legible."""

_MAX_DAYS = 100_000
"""More days than any ledger has: the totals need all of them."""

_MAX_GROUPS = 100
"""The CSV file has them all."""

_MAX_SERIES = 7
"""As many as there are colours to tell apart."""

_SPANS = (7, 30, 90)


class UsageQuery(msgspec.Struct, frozen=True, kw_only=True):
    """The page's query: which usage it shows, grouped by what."""

    by: Dimension
    span: Span
    user: str
    user_id: int | None
    key_id: int | None
    model: str
    upstream: str

    @property
    def unknown_user(self) -> bool:
        """Whether no account has the given name."""
        return bool(self.user) and self.user_id is None

    @property
    def usage(self) -> UsageFilter:
        return usage_filter(
            self.span,
            user_id=self.user_id,
            key_id=self.key_id,
            model=self.model,
            upstream=self.upstream,
        )

    def query(self, **other: Any) -> dict[str, Any]:
        """Return the URL's query with changes, without empty values."""
        query: dict[str, Any] = {"by": self.by, "from": self.span.first, "to": self.span.last}
        query["user"] = self.user
        if not self.user:
            query["user_id"] = self.user_id
        query |= {"key_id": self.key_id, "model": self.model, "upstream": self.upstream}
        query |= other
        return {name: value for name, value in query.items() if value not in ("", None)}

    def into(self, group: int | str) -> dict[str, Any]:
        """Return the query of a group's link: the group split up further."""
        match self.by:
            case "day":
                date_text = day(int(group))
                return self.query(**{"by": "user", "from": date_text, "to": date_text})
            case "user":
                return self.query(by="model", user="", user_id=group)
            case "key":
                return self.query(by="model", key_id=group)
            case "model":
                return self.query(by="user", model=group)
        return self.query(by="model", upstream=group)

    @property
    def export(self) -> dict[str, Any]:
        """The query of the API's CSV export."""
        return self.query(user="", user_id=self.user_id, format="csv")


class UsagePages(Pages):
    """Everyone's usage."""

    guards = (admin_only,)

    @get("/admin/usage")
    async def show(
        self,
        request: UserRequest,
        sidecar: NamedDependency[Sidecar],
        by: By = "day",
        first: FirstDay = None,
        last: LastDay = None,
        user: SomeText = None,
        user_id: SomeId = None,
        key_id: SomeId = None,
        model: SomeText = None,
        upstream: SomeText = None,
    ) -> Response[str]:
        """Show totals and a chart of the requested days, by default the last 30."""
        today = datetime.fromtimestamp(sidecar.clock.now_ms() / 1000, UTC).date()
        name = (user or "").strip()
        if name:
            user_id = find_user_id(sidecar.store, name)
        usage_query = UsageQuery(
            by=by,
            span=_span(first, last, today),
            user=name,
            user_id=user_id,
            key_id=key_id,
            model=(model or "").strip(),
            upstream=upstream or "",
        )
        names = {each.name for each in sidecar.snapshot.upstreams}
        return page(
            request,
            "admin/usage.html",
            usage=usage_query,
            today=today,
            spans=[(days, today - timedelta(days - 1)) for days in _SPANS],
            upstream_names=sorted({*names, usage_query.upstream} - {""}),
            whose=_name_of(sidecar.store, usage_query),
            **_results(sidecar.store, usage_query),
        )


def _span(first: str | None, last: str | None, today: date) -> Span:
    """Return the requested days, by default those up to the last one or today."""
    span = span_of(first or None, last or None)
    until = span.last or max(today, span.first or today)
    return Span(
        span.first or date.fromordinal(max(until.toordinal() - _DEFAULT_DAYS + 1, 1)), until
    )


def _name_of(store: Engine, query: UsageQuery) -> str:
    """Name the user whose usage is shown."""
    if query.user or query.user_id is None:
        return query.user
    if not query.user_id:
        return "callers with an upstream’s own key"
    if user := find_user(store, query.user_id):
        return user.username
    return f"the deleted account {query.user_id}"


def _results(store: Engine, query: UsageQuery) -> dict[str, Any]:
    """Return the groups, largest first but days latest first, their total and their chart."""
    results = {"groups": [], "total": Usage.of(Sums()), "most": _MAX_GROUPS, "chart": None}
    if query.unknown_user:
        return results
    days = usage_by(store, "day", query.usage, limit=_MAX_DAYS)
    groups = days[:_MAX_CHART_DAYS]
    if query.by != "day":
        groups = largest_usage(store, query.by, query.usage, limit=_MAX_GROUPS)
    if groups:
        results["chart"] = _chart(store, query, groups, days)
    results["total"] = Usage.of(_total(days))
    results["groups"] = [
        (_label(query.by, group), query.into(group.group), GroupUsage.of(group)) for group in groups
    ]
    return results


def _chart(
    store: Engine, query: UsageQuery, groups: list[Group], by_day: list[Group]
) -> dict[str, Any]:
    """Return the last days, with the tokens and the cached share of each group on each day."""
    days = _days(query.span)
    used: dict[int, Tokens] = {int(group.group): group for group in by_day}
    if query.by == "day":
        kinds = (("Prompt", "prompt_tokens"), ("Answer", "completion_tokens"))
        series = [
            {"name": text, "values": [getattr(used.get(day), kind, 0) for day in days]}
            for text, kind in kinds
        ]
        return {"days": days, "series": series, "cached": [_cached("All", used, days)]}
    top = [group for group in groups[:_MAX_SERIES] if _tokens(group)]
    tokens = daily_tokens(store, query.by, query.usage, [group.group for group in top])
    labels = {group.group: _label(query.by, group) for group in top}
    series = [
        {"name": label, "values": [_tokens(tokens[group].get(day)) for day in days]}
        for group, label in labels.items()
    ]
    if len(groups) > len(top):
        shown = [sum(_tokens(tokens[group].get(day)) for group in labels) for day in days]
        rest = [_tokens(used.get(day)) - part for day, part in zip(days, shown, strict=True)]
        series.append({"name": "All others", "values": rest})
    return {
        "days": days,
        "series": series,
        "cached": [_cached(label, tokens[group], days) for group, label in labels.items()],
    }


def _cached(name: str, used: dict[int, Tokens], days: list[int]) -> dict[str, Any]:
    """Return the percentage of cached prompt tokens by day; None for days without prompts."""
    return {"name": name, "values": [_percent_cached(used.get(day)) for day in days]}


def _percent_cached(used: Tokens | None) -> float | None:
    if used is None or not used.prompt_tokens:
        return None
    return round(100 * used.cached_tokens / used.prompt_tokens, 1)


def _total(days: list[Group]) -> Sums:
    return Sums(
        **{name: sum(getattr(day, name) for day in days) for name in Sums.__struct_fields__}
    )


def _tokens(used: Tokens | None) -> int:
    if used is None:
        return 0
    return used.prompt_tokens + used.completion_tokens


def _days(span: Span) -> list[int]:
    """Return the days (YYYYMMDD) of the chart, oldest first."""
    assert span.first
    assert span.last
    last = span.last.toordinal()
    days = map(
        date.fromordinal, range(max(span.first.toordinal(), last - _MAX_CHART_DAYS + 1), last + 1)
    )
    return [day.year * 10_000 + day.month * 100 + day.day for day in days]


def _label(by: Dimension, group: Group) -> str:
    """Name a group for people."""
    nobody = {"user": "upstream’s own key", "key": "without a virtual key"}
    if by not in nobody:
        return str(group.group) or f"(no {by})"
    if not group.group:
        return group.name or nobody[by]
    return group.name or f"deleted {by} {group.group}"
