"""`/admin/audit`: who asked what."""

import re
from typing import Any
from urllib.parse import urlencode

import msgspec
from litestar import Response, get
from litestar.di import NamedDependency
from litestar.exceptions import NotFoundException, ValidationException

from manage_api.access.callers import UserRequest
from manage_api.access.guards import admin_only
from manage_api.domains.audit.schemas import AuditDetails, AuditItem
from manage_api.paging import (
    LARGEST,
    Cursor,
    FirstDay,
    LastDay,
    Page,
    RowId,
    SomeText,
    page_of_found,
    span_of,
)
from manage_api.sidecar import Sidecar
from manage_api.web.rendering import Pages, page
from shared.store.accounts import find_user_by_name
from shared.store.audit import AuditFilter, find_record, search

__all__ = ("AuditPages",)

_PER_PAGE = 50
_LOOKED_INTO = 20_000
_BEFORE, _AFTER = 80, 240


class Excerpt(msgspec.Struct, frozen=True):
    """The part of a text around what was looked for."""

    before: str
    match: str
    after: str
    more: bool
    """The text goes on."""


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
        """The records that are found, the newest first; the filters are the URL's."""
        texts = {
            "q": q,
            "user": user,
            "model": model,
            "upstream": upstream,
            "from": first,
            "to": last,
        }
        asked = {name: text.strip() for name, text in texts.items() if text and text.strip()}
        found, wanted, fault = Page[AuditItem]([], None), None, ""
        try:
            wanted = _wanted(sidecar, asked)
            found = await _found(sidecar, wanted, cursor)
        except ValidationException as error:
            fault = _words(error)
        return page(
            request,
            "admin/audit.html",
            rules=sidecar.snapshot.audit,
            asked=asked,
            query=urlencode(asked),
            export=_export_query(asked, wanted) if wanted else None,
            fault=fault,
            records=[(record, excerpt(record.text, asked.get("q", ""))) for record in found.items],
            next=found.next,
            cursor=cursor,
            upstreams=[each.name for each in sidecar.snapshot.upstreams],
        )

    @get("/admin/audit/{record_id:int}")
    async def show_record(
        self, request: UserRequest, sidecar: NamedDependency[Sidecar], record_id: RowId
    ) -> Response[str]:
        """One record with its conversation, for the drawer."""
        record = find_record(sidecar.store, record_id)
        if record is None:
            raise NotFoundException("There is no such record; old ones are let go of.")
        return page(request, "admin/audit_record.html", one=AuditDetails.of(record))


def excerpt(text: str, wanted: str) -> Excerpt:
    """A text of a list, in short: around what was looked for, else its beginning."""
    match = re.search(re.escape(wanted), text, re.IGNORECASE) if wanted else None
    at, end = match.span() if match else (0, 0)
    start = max(at - _BEFORE, 0)
    before = ("…" if start else "") + text[start:at]
    return Excerpt(
        before, text[at : min(end, at + _AFTER)], text[end : end + _AFTER], len(text) > end + _AFTER
    )


def _wanted(sidecar: Sidecar, asked: dict[str, str]) -> AuditFilter:
    span = span_of(asked.get("from"), asked.get("to"))
    return AuditFilter(
        text=asked.get("q", ""),
        user_id=_user_id(sidecar, asked["user"]) if "user" in asked else None,
        model=asked.get("model"),
        upstream=asked.get("upstream"),
        since_ms=span.since_ms,
        before_ms=span.before_ms,
    )


def _user_id(sidecar: Sidecar, text: str) -> int:
    """The id of the user with this name; an id as it is, since records outlive accounts."""
    if found := find_user_by_name(sidecar.store, text):
        return found[0].id
    if text.isascii() and text.isdecimal() and int(text) <= LARGEST:
        return int(text)
    raise ValidationException(
        extra=[{"message": f"There is no user “{text[:64]}”; of a deleted one write the number."}]
    )


async def _found(sidecar: Sidecar, wanted: AuditFilter, cursor: str | None) -> Page[AuditItem]:
    def read(before: int, most: int) -> tuple[list[AuditItem], int | None]:
        records, following = search(
            sidecar.store, wanted, before=before, limit=most, longest=_LOOKED_INTO
        )
        return [AuditItem.of(record) for record in records], following

    return await page_of_found(read, cursor, _PER_PAGE)


def _export_query(asked: dict[str, str], wanted: AuditFilter) -> str:
    """The filters as the API takes them."""
    query = {name: text for name, text in asked.items() if name != "user"}
    return urlencode(query | ({} if wanted.user_id is None else {"user_id": wanted.user_id}))


def _words(error: ValidationException) -> str:
    found: list[dict[str, Any]] = error.extra if isinstance(error.extra, list) else []
    return " ".join(str(entry["message"]) for entry in found) or error.detail
