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
    page_of_found,
    span_of,
)
from manage_api.sidecar import Sidecar
from shared.store.audit import AuditFilter, StoredRecord, find_record, search
from shared.store.engine import Engine
from shared.store.paging import END

__all__ = ("AuditController",)

_SHOWN_CHARACTERS = 2_000
_EXPORTED_AT_ONCE = 20

ExportFormat = Annotated[Literal["csv", "jsonl"], QueryParameter()]


def _wanted(
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
    """Who asked what, for admins."""

    path = "/api/admin/audit"
    guards = (admin_only,)
    dependencies = {"wanted": Provide(_wanted, sync_to_thread=False)}

    @get()
    async def find(
        self,
        wanted: NamedDependency[AuditFilter],
        sidecar: NamedDependency[Sidecar],
        cursor: Cursor = None,
        limit: Limit = 50,
    ) -> Page[AuditItem]:
        """The records whose text holds `q`, of any language and with any characters, the
        newest first.
        """

        def read(before: int, most: int) -> tuple[list[AuditItem], int | None]:
            records, following = search(
                sidecar.store, wanted, before=before, limit=most, longest=_SHOWN_CHARACTERS
            )
            return [AuditItem.of(record) for record in records], following

        return await page_of_found(read, cursor, limit)

    @get("/export", operation_class=described_as(CSV, JSONL))
    async def export(
        self,
        wanted: NamedDependency[AuditFilter],
        sidecar: NamedDependency[Sidecar],
        format: ExportFormat = "csv",  # noqa: A002 - the error names it
    ) -> Stream:
        """All records that are found, as a file; as lines of JSON with their conversations."""
        pages = _pages(sidecar.store, wanted)
        if format == "csv":
            return as_csv(
                "audit", LINE_COLUMNS, ([AuditLine.of(record) for record in page] for page in pages)
            )
        return as_jsonl("audit", ([AuditDetails.of(record) for record in page] for page in pages))

    @get("/{record_id:int}")
    async def show(self, record_id: RowId, sidecar: NamedDependency[Sidecar]) -> AuditDetails:
        """One record with its conversation."""
        record = find_record(sidecar.store, record_id)
        if record is None:
            raise NotFoundException("There is no such record; old ones are let go of.")
        return AuditDetails.of(record)


def _pages(store: Engine, wanted: AuditFilter) -> Iterator[list[StoredRecord]]:
    following: int | None = END
    while following is not None:
        records, following = search(store, wanted, before=following, limit=_EXPORTED_AT_ONCE)
        yield records
