"""`/api/admin/audit`."""

from collections.abc import Iterator
from typing import Annotated, Literal

from litestar import Controller, get
from litestar.di import NamedDependency, Provide
from litestar.exceptions import NotFoundException
from litestar.params import QueryParameter
from litestar.response import Stream

from manage_api.access.guards import admin_only
from manage_api.domains.audit.schemas import LINE_COLUMNS, AuditDetails, AuditItem, AuditLine
from manage_api.paging import (
    CSV,
    JSONL,
    Cursor,
    FirstDay,
    LastDay,
    Limit,
    Page,
    RowId,
    SomeId,
    SomeText,
    as_csv,
    as_jsonl,
    described_as,
    search_page,
    span_of,
)
from manage_api.sidecar import Sidecar
from shared.store.audit import AuditFilter, NumberedRecord, find_record, search
from shared.store.engine import Engine
from shared.store.paging import END

__all__ = ("AuditController",)

_MAX_TEXT = 2_000
"""Characters of a message in a list; a record has them all."""

_EXPORT_PAGE = 20
"""Records held in memory: each may have a conversation of megabytes."""

ExportFormat = Annotated[Literal["csv", "jsonl"], QueryParameter()]


def _audit_filter(
    q: SomeText = None,
    user_id: SomeId = None,
    model: SomeText = None,
    upstream: SomeText = None,
    first: FirstDay = None,
    last: LastDay = None,
) -> AuditFilter:
    span = span_of(first, last)
    return AuditFilter(
        text=(q or "").strip(),
        user_id=user_id,
        model=model or None,
        upstream=upstream or None,
        since_ms=span.since_ms,
        before_ms=span.before_ms,
    )


class AuditController(Controller):
    """The audit log, for admins."""

    path = "/api/admin/audit"
    guards = (admin_only,)
    dependencies = {"audit_filter": Provide(_audit_filter, sync_to_thread=False)}

    @get()
    async def find(
        self,
        audit_filter: NamedDependency[AuditFilter],
        sidecar: NamedDependency[Sidecar],
        cursor: Cursor = None,
        limit: Limit = 50,
    ) -> Page[AuditItem]:
        """List records whose text contains `q`, newest first."""

        def read(before: int, most: int) -> tuple[list[AuditItem], int | None]:
            records, following = search(
                sidecar.store, audit_filter, before=before, limit=most, longest=_MAX_TEXT
            )
            return [AuditItem.of(record) for record in records], following

        return await search_page(read, cursor, limit)

    @get("/export", operation_class=described_as(CSV, JSONL))
    async def export(
        self,
        audit_filter: NamedDependency[AuditFilter],
        sidecar: NamedDependency[Sidecar],
        format: ExportFormat = "csv",  # noqa: A002 - the error names it
    ) -> Stream:
        """Export all matching records as a file; JSON lines include the conversations."""
        pages = _pages(sidecar.store, audit_filter)
        if format == "csv":
            return as_csv(
                "audit", LINE_COLUMNS, ([AuditLine.of(record) for record in page] for page in pages)
            )
        return as_jsonl("audit", ([AuditDetails.of(record) for record in page] for page in pages))

    @get("/{record_id:int}")
    async def show(self, record_id: RowId, sidecar: NamedDependency[Sidecar]) -> AuditDetails:
        """Show one record with its conversation."""
        record = find_record(sidecar.store, record_id)
        if record is None:
            raise NotFoundException("There is no such record; old ones are deleted.")
        return AuditDetails.of(record)


def _pages(store: Engine, audit_filter: AuditFilter) -> Iterator[list[NumberedRecord]]:
    following: int | None = END
    while following is not None:
        records, following = search(store, audit_filter, before=following, limit=_EXPORT_PAGE)
        yield records
