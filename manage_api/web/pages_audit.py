"""`/admin/audit`: who requested what."""

import re
from urllib.parse import urlencode

import msgspec
from litestar import Response, get
from litestar.di import NamedDependency
from litestar.exceptions import NotFoundException, ValidationException

from manage_api.access.callers import UserRequest
from manage_api.access.guards import admin_only
from manage_api.domains.audit.schemas import AuditDetails, AuditItem
from manage_api.paging import (
    Cursor,
    FirstDay,
    LastDay,
    Page,
    RowId,
    SomeText,
    search_page,
    span_of,
)
from manage_api.problems import field_messages
from manage_api.sidecar import Sidecar
from manage_api.web.rendering import Pages, page
from shared.model import LARGEST
from shared.store.accounts import find_user_id
from shared.store.audit import AuditFilter, find_record, search

__all__ = ("AuditPages",)

_PER_PAGE = 50

_MAX_TEXT = 20_000
"""Characters of a message that are read to find the match and show it."""

_BEFORE, _AFTER = 80, 240
"""Characters around a match: about three lines of the table."""


class Excerpt(msgspec.Struct, frozen=True):
    """The part of a text around a match."""

    before: str
    match: str
    after: str
    more: bool
    """Whether the text continues."""


class AuditPages(Pages):
    """The audit, for admins."""

    guards = (admin_only,)

    @get("/admin/audit")
    async def show(
        self,
        request: UserRequest,
        sidecar: NamedDependency[Sidecar],
        q: SomeText = None,
        user: SomeText = None,
        model: SomeText = None,
        upstream: SomeText = None,
        first: FirstDay = None,
        last: LastDay = None,
        cursor: Cursor = None,
    ) -> Response[str]:
        """List the matching records, newest first; the filters are in the URL."""
        texts = {
            "q": q,
            "user": user,
            "model": model,
            "upstream": upstream,
            "from": first,
            "to": last,
        }
        filters = {name: text.strip() for name, text in texts.items() if text and text.strip()}
        records, export, fault = Page[AuditItem]([], None), None, ""
        try:
            audit_filter = _audit_filter(sidecar, filters)
            records = await _search(sidecar, audit_filter, cursor)
            export = _export_query(filters, audit_filter)
        except ValidationException as error:
            fault = _message(error)
        return page(
            request,
            "admin/audit.html",
            rules=sidecar.snapshot.audit,
            filters=filters,
            query=urlencode(filters),
            export=export,
            fault=fault,
            records=[(each, excerpt(each.text, filters.get("q", ""))) for each in records.items],
            next=records.next,
            cursor=cursor,
            upstreams=[each.name for each in sidecar.snapshot.upstreams],
        )

    @get("/admin/audit/{record_id:int}")
    async def show_record(
        self, request: UserRequest, sidecar: NamedDependency[Sidecar], record_id: RowId
    ) -> Response[str]:
        """Show one record with its conversation, in the drawer."""
        record = find_record(sidecar.store, record_id)
        if record is None:
            raise NotFoundException("There is no such record; old ones are deleted.")
        return page(request, "admin/audit_record.html", one=AuditDetails.of(record))


def excerpt(text: str, query: str) -> Excerpt:
    """Shorten a text to the part around the first match, or to its beginning."""
    at = end = 0
    # An empty query matches at the beginning.
    if match := re.search(re.escape(query), text, re.IGNORECASE):
        at, end = match.span()
    before = text[:at]
    if at > _BEFORE:
        before = "…" + before[-_BEFORE:]
    return Excerpt(
        before, text[at : min(end, at + _AFTER)], text[end : end + _AFTER], len(text) > end + _AFTER
    )


def _audit_filter(sidecar: Sidecar, filters: dict[str, str]) -> AuditFilter:
    span = span_of(filters.get("from"), filters.get("to"))
    user_id = None
    if "user" in filters:
        user_id = _user_id(sidecar, filters["user"])
    return AuditFilter(
        text=filters.get("q", ""),
        user_id=user_id,
        model=filters.get("model"),
        upstream=filters.get("upstream"),
        since_ms=span.since_ms,
        before_ms=span.before_ms,
    )


def _user_id(sidecar: Sidecar, text: str) -> int:
    """Return the id for a user name, or a given id itself, since records outlive accounts."""
    user_id = find_user_id(sidecar.store, text)
    if user_id is not None:
        return user_id
    if text.isascii() and text.isdecimal() and int(text) <= LARGEST:
        return int(text)
    raise ValidationException(
        extra=[{"message": f"There is no user “{text[:64]}”; for a deleted one, enter the number."}]
    )


async def _search(
    sidecar: Sidecar, audit_filter: AuditFilter, cursor: str | None
) -> Page[AuditItem]:
    def read(before: int, most: int) -> tuple[list[AuditItem], int | None]:
        records, following = search(
            sidecar.store, audit_filter, before=before, limit=most, longest=_MAX_TEXT
        )
        return [AuditItem.of(record) for record in records], following

    return await search_page(read, cursor, _PER_PAGE)


def _export_query(filters: dict[str, str], audit_filter: AuditFilter) -> str:
    """Return the filters as the API's query."""
    query: dict[str, object] = {name: text for name, text in filters.items() if name != "user"}
    if audit_filter.user_id is not None:
        query["user_id"] = audit_filter.user_id
    return urlencode(query)


def _message(error: ValidationException) -> str:
    return " ".join(field_messages(error).values()) or error.detail
