"""`/api/config`, `/healthz`, `/api/admin/health` and `/api/admin/backup`."""

import asyncio
import os
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from importlib.metadata import version
from typing import Annotated, BinaryIO

from litestar import Controller, get
from litestar.di import NamedDependency
from litestar.params import QueryParameter
from litestar.response import Stream

from manage_api.access.authentication import PUBLIC
from manage_api.access.callers import AnyRequest, is_local
from manage_api.access.guards import admin_only
from manage_api.access.registration import may_register
from manage_api.addresses import local_url
from manage_api.domains.system.schemas import Health, HealthReport, PublicConfig
from manage_api.domains.system.service import (
    check_integrity,
    copy_database,
    report,
    workers_here,
)
from manage_api.sidecar import Sidecar
from shared.lifeline import LIFELINE

__all__ = ("InstallationController", "SystemController")

_PIECE_BYTES = 1024 * 1024
_DATABASE = "application/vnd.sqlite3"

Check = Annotated[
    bool,
    QueryParameter(description="Also check the whole database for damage, which may take a while."),
]


class SystemController(Controller):
    """Public information about the installation."""

    opt = PUBLIC

    @get("/api/config")
    async def config(self, request: AnyRequest, sidecar: NamedDependency[Sidecar]) -> PublicConfig:
        """Return what a sign-in page needs to know."""
        snapshot = sidecar.snapshot
        return PublicConfig(
            allow_registration=may_register(request),
            invite_needed=bool(snapshot.registration.invite_codes),
            public_url=snapshot.server.public_url,
            version=version("thinkback"),
        )

    @get("/healthz", include_in_schema=False)
    async def health(self, request: AnyRequest, sidecar: NamedDependency[Sidecar]) -> Health:
        """Answer if the sidecar and its database work."""
        sidecar.store.version()
        if not is_local(request) or LIFELINE not in os.environ:
            return Health("ok")
        url = local_url(sidecar.snapshot.server.listen_addr)
        return Health("ok", os.getppid(), url, workers_here(sidecar))


class InstallationController(Controller):
    """The installation, for admins."""

    path = "/api/admin"
    guards = (admin_only,)

    @get("/health")
    async def show_health(
        self, sidecar: NamedDependency[Sidecar], check: Check = False
    ) -> HealthReport:
        """Report versions, database, data planes and problems of the configuration."""
        integrity = None
        if check:
            async with sidecar.long_work:
                integrity = await asyncio.to_thread(check_integrity, sidecar.snapshot.database_url)
        return report(sidecar, integrity)

    @get("/backup", media_type=_DATABASE)
    async def back_up(self, sidecar: NamedDependency[Sidecar]) -> Stream:
        """Download a consistent copy of the database.

        It does not include `secret.key`, which decrypts what is sealed in it.
        """
        async with sidecar.long_work:
            copy = await asyncio.to_thread(copy_database, sidecar.snapshot.database_url)
        day = datetime.fromtimestamp(sidecar.clock.now_ms() // 1000, UTC).date()
        headers = {
            "Content-Disposition": f'attachment; filename="thinkback-{day}.db"',
            "Content-Length": str(os.fstat(copy.fileno()).st_size),
        }
        return Stream(_pieces(copy), media_type=_DATABASE, headers=headers)


async def _pieces(copy: BinaryIO) -> AsyncIterator[bytes]:
    with copy:
        while piece := await asyncio.to_thread(copy.read, _PIECE_BYTES):
            yield piece
