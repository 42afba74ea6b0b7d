"""`/admin/usage`: who and what used how much, from day to day."""

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
from manage_api.web.rendering import Pages, page
from shared.store.accounts import find_user, find_user_by_name
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

_USUAL_DAYS = 30
_CHARTED_DAYS = 366
_MOST_DAYS = 100_000
_SHOWN = 100
_SERIES = 7
_SPANS = (7, 30, 90)


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """What the page shows, as its address says it."""

    by: Dimension
    span: Span
    user: str
    user_id: int | None
    key_id: int | None
    model: str
    upstream: str

    @property
    def unknown_user(self) -> bool:
        """Somebody is named who has no account."""
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
        """The address with some of it changed; what is empty is left out."""
        whose = (
            {"user_id": self.user_id}
            if self.user_id is not None and not self.user
            else {"user": self.user}
        )
        days = {"from": self.span.first, "to": self.span.last}
        what = {"key_id": self.key_id, "model": self.model, "upstream": self.upstream}
        return {
            name: value
            for name, value in ({"by": self.by} | days | whose | what | other).items()
            if value not in ("", None)
        }

    def into(self, group: int | str) -> dict[str, Any]:
        """Where a group leads: to what it is made of."""
        match self.by:
            case "day":
                day = (
                    f"{int(group) // 10_000:04}-{int(group) // 100 % 100:02}-{int(group) % 100:02}"
                )
                return self.query(**{"by": "user", "from": day, "to": day})
            case "user":
                return self.query(by="model", user="", user_id=group)
            case "key":
                return self.query(by="model", key_id=group)
            case "model":
                return self.query(by="user", model=group)
        return self.query(by="model", upstream=group)

    @property
    def export(self) -> dict[str, Any]:
        """The same as the API's route for CSV wants it."""
        return self.query(user="", user_id=self.user_id, format="csv")


class UsagePages(Pages):
    """What everybody used."""

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
        """Sums and a chart of the days that were asked for, else of the last 30."""
        today = datetime.fromtimestamp(sidecar.clock.now_ms() / 1000, UTC).date()
        name = (user or "").strip()
        found = find_user_by_name(sidecar.store, name) if name else None
        asked = Asked(
            by=by,
            span=_span(first, last, today),
            user=name,
            user_id=(found[0].id if found else None) if name else user_id,
            key_id=key_id,
            model=(model or "").strip(),
            upstream=upstream or "",
        )
        names = {each.name for each in sidecar.snapshot.upstreams}
        return page(
            request,
            "admin/usage.html",
            asked=asked,
            today=today,
            spans=[(days, today - timedelta(days - 1)) for days in _SPANS],
            upstream_names=sorted({*names, asked.upstream} - {""}),
            whose=_name_of(sidecar.store, asked),
            **_shown(sidecar.store, asked),
        )


def _span(first: str | None, last: str | None, today: date) -> Span:
    """What was asked for; else the days up to the last one or today."""
    span = span_of(first or None, last or None)
    until = span.last or max(today, span.first or today)
    return Span(span.first or date.fromordinal(max(until.toordinal() - _USUAL_DAYS + 1, 1)), until)


def _name_of(store: Engine, asked: Asked) -> str:
    """Whose usage is shown, when the address has a number."""
    if asked.user or asked.user_id is None:
        return asked.user
    if not asked.user_id:
        return "callers with an upstream’s own key"
    found = find_user(store, asked.user_id)
    return found.username if found else f"the deleted account {asked.user_id}"


def _shown(store: Engine, asked: Asked) -> dict[str, Any]:
    """The sums, largest first but days latest first, all of them together, and their chart."""
    if asked.unknown_user:
        return {"groups": [], "total": Usage.of(Sums()), "most": _SHOWN, "chart": None}
    days = usage_by(store, "day", asked.usage, limit=_MOST_DAYS)
    groups = (
        days[:_CHARTED_DAYS]
        if asked.by == "day"
        else largest_usage(store, asked.by, asked.usage, limit=_SHOWN)
    )
    return {
        "groups": [
            (_label(asked.by, group), asked.into(group.group), GroupUsage.of(group))
            for group in groups
        ],
        "total": Usage.of(_total(days)),
        "most": _SHOWN,
        "chart": _chart(store, asked, groups, days) if groups else None,
    }


def _chart(store: Engine, asked: Asked, groups: list[Group], by_day: list[Group]) -> dict[str, Any]:
    """The days and the tokens on each, by what is asked for, and what came from caches; of
    many days the last ones.
    """
    days = _days(asked.span)
    used: dict[int, Tokens] = {int(group.group): group for group in by_day}
    if asked.by == "day":
        kinds = (("Prompt", "prompt_tokens"), ("Answer", "completion_tokens"))
        series = [
            {"name": text, "values": [getattr(used.get(day), kind, 0) for day in days]}
            for text, kind in kinds
        ]
        return {"days": days, "series": series, "cached": [_cached("All", used, days)]}
    top = [group for group in groups[:_SERIES] if _tokens(group)]
    tokens = daily_tokens(store, asked.by, asked.usage, [group.group for group in top])
    labels = {one.group: _label(asked.by, one) for one in top}
    series = [
        {"name": labels[one], "values": [_tokens(tokens[one].get(day)) for day in days]}
        for one in labels
    ]
    if len(groups) > len(top):
        shown = [
            sum(values) for values in zip(*(each["values"] for each in series), strict=True)
        ] or [0] * len(days)
        rest = [_tokens(used.get(day)) - part for day, part in zip(days, shown, strict=True)]
        series.append({"name": "All others", "values": rest})
    return {
        "days": days,
        "series": series,
        "cached": [_cached(labels[one], tokens[one], days) for one in labels],
    }


def _cached(name: str, used: dict[int, Tokens], days: list[int]) -> dict[str, Any]:
    """How many percent of each day's prompts came from caches; None: there was no prompt."""
    found = [used.get(day, Tokens()) for day in days]
    shares = [
        100 * one.cached_tokens / one.prompt_tokens if one.prompt_tokens else None for one in found
    ]
    return {
        "name": name,
        "values": [None if share is None else round(share, 1) for share in shares],
    }


def _total(days: list[Group]) -> Sums:
    return Sums(
        **{name: sum(getattr(day, name) for day in days) for name in Sums.__struct_fields__}
    )


def _tokens(used: Tokens | None) -> int:
    return used.prompt_tokens + used.completion_tokens if used else 0


def _days(span: Span) -> list[int]:
    """The days (YYYYMMDD) that the chart shows, the first one first."""
    assert span.first
    assert span.last
    last = span.last.toordinal()
    days = map(
        date.fromordinal, range(max(span.first.toordinal(), last - _CHARTED_DAYS + 1), last + 1)
    )
    return [day.year * 10_000 + day.month * 100 + day.day for day in days]


def _label(by: Dimension, group: Group) -> str:
    """What people call it."""
    nobody = {"user": "upstream’s own key", "key": "without a virtual key"}
    if by in nobody:
        return group.name or (f"deleted {by} {group.group}" if group.group else nobody[by])
    return str(group.group) or f"(no {by})"
