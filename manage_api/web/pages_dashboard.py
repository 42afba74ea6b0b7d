"""`/dashboard` and its parts, `/account`, and `/requests/{entry_id}`: a user's own usage."""

from collections import Counter
from typing import Annotated, Any

import msgspec
from litestar import Response, get
from litestar.di import NamedDependency
from litestar.exceptions import NotFoundException
from litestar.params import QueryParameter
from markupsafe import Markup

from manage_api.access.callers import UserRequest
from manage_api.access.guards import WITH_ANY_PASSWORD
from manage_api.domains.keys.schemas import KeyView
from manage_api.domains.requests.schemas import RequestView
from manage_api.domains.second_factor.service import second_factor_of
from manage_api.domains.usage.schemas import DayUsage, QuotaView, Usage
from manage_api.domains.usage.service import usage_of_days
from manage_api.paging import Cursor, RowId, SomeId, search_page
from manage_api.sidecar import Sidecar
from manage_api.web.connect import connection_for
from manage_api.web.rendering import Pages, page
from shared.model import User
from shared.security.totp import address_of, qr_svg
from shared.store.ledger import balance_of, subject_of
from shared.store.reports import (
    EntryFilter,
    Outcome,
    entries_after,
    read_details,
    recent_entries,
    usage_of,
)
from shared.store.virtual_keys import search_keys

__all__ = ("DashboardPages",)

Days = Annotated[int, QueryParameter(ge=1, le=366)]
Status = Annotated[Outcome | None, QueryParameter()]

_MAX_MODELS = 7
"""Series of the chart beside "others": as many as there are colours to tell apart."""

_MAX_KEYS = 200
"""Beyond that a list helps nobody."""

_MAX_EXPLAINED = 200
"""Newest requests whose misses are counted by reason: their details are decoded one by one."""

_PER_PAGE = 20


class Totals(msgspec.Struct, frozen=True, kw_only=True):
    """The usage in the dashboard's chart and tiles: by day, and in total."""

    days: list[DayUsage]
    total: Usage
    series: list[dict[str, Any]]
    """Tokens per day of the most used models, and of all others together."""


class DashboardPages(Pages):
    """The user's own account."""

    @get("/dashboard")
    async def show(
        self,
        request: UserRequest,
        sidecar: NamedDependency[Sidecar],
        days: Days = 30,
        status: Status = None,
        key_id: SomeId = None,
        cursor: Cursor = None,
    ) -> Response[str]:
        """Show the whole dashboard."""
        user, now = request.user, sidecar.clock.now_ms()
        balance = balance_of(sidecar.store, subject_of("user", user.id), user.limits.period, now)
        return page(
            request,
            "dashboard.html",
            days=days,
            quota=QuotaView.of(user, balance, now),
            shown=_totals(sidecar, user, days),
            missed=_missed(sidecar, user),
            connection=connection_for(
                request, sidecar.snapshot, user.models, sidecar.listed_models()
            ),
            keys=_keys(sidecar, user),
            has_upstream=bool(sidecar.snapshot.upstreams),
            **await _requests(request, sidecar, status, key_id, cursor),
        )

    @get("/dashboard/keys")
    async def show_keys(
        self, request: UserRequest, sidecar: NamedDependency[Sidecar]
    ) -> Response[str]:
        """Show the table of keys again after a change."""
        return page(request, "dashboard/keys.html", keys=_keys(sidecar, request.user))

    @get("/dashboard/keys/{key_id:int}")
    async def show_key(
        self, request: UserRequest, sidecar: NamedDependency[Sidecar], key_id: RowId
    ) -> Response[str]:
        """Show the form to edit a key."""
        key = next((each for each in _keys(sidecar, request.user) if each.id == key_id), None)
        if key is None:
            raise NotFoundException("There is no such key.")
        return page(request, "dashboard/key.html", key=key)

    @get("/dashboard/requests")
    async def show_requests(
        self,
        request: UserRequest,
        sidecar: NamedDependency[Sidecar],
        status: Status = None,
        key_id: SomeId = None,
        cursor: Cursor = None,
    ) -> Response[str]:
        """Show the table of requests."""
        parts = await _requests(request, sidecar, status, key_id, cursor)
        return page(request, "dashboard/requests.html", **parts)

    @get("/requests/{entry_id:int}")
    async def show_request(
        self, request: UserRequest, sidecar: NamedDependency[Sidecar], entry_id: RowId
    ) -> Response[str]:
        """Show one request in the drawer: users see their own, admins anybody's."""
        entry_filter = EntryFilter()
        if request.user.role != "admin":
            entry_filter = EntryFilter(user_id=request.user.id)
        rows = entries_after(sidecar.store, entry_filter, after=entry_id - 1, upto=entry_id)
        if not rows:
            raise NotFoundException("There is no such request; old ones are deleted.")
        return page(request, "dashboard/request.html", one=RequestView.of(*rows[0]))

    @get("/account", opt=WITH_ANY_PASSWORD)
    async def show_account(
        self, request: UserRequest, sidecar: NamedDependency[Sidecar]
    ) -> Response[str]:
        """Show the account, with forms for the password, a second factor and a new key."""
        user, factor, code = request.user, None, ""
        # A leaked inference key must not read a secret that is to be confirmed.
        if request.auth is None:
            factor = second_factor_of(sidecar, user)
        if factor and not factor.confirmed:
            code = Markup(qr_svg(address_of(factor.secret, user.username)))  # noqa: S704 - ours
        return page(request, "account.html", factor=factor, qr=code)


def _totals(sidecar: Sidecar, user: User, days: int) -> Totals:
    by_day = usage_of_days(sidecar.store, user.id, now_ms=sidecar.clock.now_ms(), days=days)
    total = Usage.of(usage_of(sidecar.store, user.id, since_day=by_day[0].day))
    return Totals(days=by_day, total=total, series=_series(by_day))


def _series(days: list[DayUsage]) -> list[dict[str, Any]]:
    totals: Counter[str] = Counter()
    for day in days:
        totals.update({each.model: each.tokens for each in day.models})
    top = [model for model, tokens in totals.most_common(_MAX_MODELS) if tokens]
    series = [
        {"name": model or "(no model)", "values": [_tokens(day, {model}) for day in days]}
        for model in top
    ]
    if len(+totals) > len(top):
        rest = totals.keys() - set(top)
        series.append(
            {
                "name": f"{len(+totals) - len(top)} others",
                "values": [_tokens(day, rest) for day in days],
            }
        )
    return series


def _tokens(day: DayUsage, models: set[str]) -> int:
    return sum(each.tokens for each in day.models if each.model in models)


def _missed(sidecar: Sidecar, user: User) -> list[tuple[str, int]]:
    """Count why turns of the newest requests did not get their reasoning, by frequency."""
    entries, _ = recent_entries(sidecar.store, EntryFilter(user_id=user.id), limit=_MAX_EXPLAINED)
    notes = (note for _, entry in entries if entry.missing for note in read_details(entry).turns)
    return Counter(
        note.why or "no known reason" for note in notes if note.rule == "missing"
    ).most_common(3)


def _keys(sidecar: Sidecar, user: User) -> list[KeyView]:
    """List the active keys first, then the newest."""
    now = sidecar.clock.now_ms()
    rows = search_keys(sidecar.store, now_ms=now, limit=_MAX_KEYS, user_id=user.id)
    return sorted(
        (KeyView.of(*row, now) for row in rows), key=lambda key: (key.state != "usable", -key.id)
    )


async def _requests(
    request: UserRequest,
    sidecar: Sidecar,
    status: Outcome | None,
    key_id: int | None,
    cursor: str | None,
) -> dict[str, Any]:
    """Return what the table of requests shows, and its filters."""
    entry_filter = EntryFilter(user_id=request.user.id, outcome=status, key_id=key_id)

    def read(before: int, most: int) -> tuple[list[RequestView], int | None]:
        entries, following = recent_entries(sidecar.store, entry_filter, before=before, limit=most)
        return [RequestView.of(*entry) for entry in entries], following

    rows = await search_page(read, cursor, _PER_PAGE)
    names = {key.id: key.name for key in _keys(sidecar, request.user)}
    return {
        "requests": rows,
        "status": status,
        "key_id": key_id,
        "cursor": cursor,
        "key_names": names,
    }
