"""`/admin/settings` and `/admin/health`: how the installation is set up, and how it does."""

import asyncio
from itertools import groupby

from litestar import Response, get
from litestar.di import NamedDependency

from manage_api.access.callers import UserRequest
from manage_api.access.guards import admin_only
from manage_api.domains.settings.schemas import SettingView
from manage_api.domains.settings.service import views
from manage_api.domains.system.service import check_integrity, report
from manage_api.sidecar import Sidecar
from manage_api.web.rendering import Pages, page
from shared.routes import known_models

__all__ = ("InstallationPages",)

_MOST_KNOWN = 50

_ABOUT = {
    "server.listen_addr": "Where clients and browsers reach Thinkback; a change takes a restart.",
    "server.admin_addr": "Where the sidecar listens; a change takes a restart.",
    "server.ui": (
        "Whether these pages are reachable through the public port, or on this machine only."
    ),
    "server.trusted_proxies": "Whose X-Forwarded-For is believed: addresses or networks.",
    "server.max_body_mib": "The largest request that is taken, in MiB.",
    "server.max_messages": "The most messages that a request may have.",
    "server.allow_private_upstreams": (
        "Whether upstreams made in these pages may lead into private networks."
    ),
    "server.allow_upstream_keys": (
        "Whether callers may use an upstream's own key instead of one of Thinkback's."
    ),
    "logging.color": "Whether the log has colours.",
    "recall.memory_mib": "How much reasoning each data plane keeps in memory, in MiB.",
}
"""What settings are for that the API has no words for, as they can't be changed there."""

_TITLES = {
    "server": "Server",
    "logging": "Log",
    "recall": "Remembered reasoning",
    "registration": "Registration",
    "tiers": "Claude’s models",
    "ledger": "Requests",
    "audit": "Audit",
    "responses": "Stored answers",
}


class InstallationPages(Pages):
    """The installation, for admins."""

    guards = (admin_only,)

    @get("/admin/settings")
    async def show_settings(
        self, request: UserRequest, sidecar: NamedDependency[Sidecar]
    ) -> Response[str]:
        """Every setting with its value in force and where that comes from."""
        return page(
            request,
            "admin/settings.html",
            sections=_sections(views(sidecar)),
            about=_ABOUT,
            known=known_models(sidecar.snapshot.upstreams)[:_MOST_KNOWN],
            config_path=sidecar.snapshot.config_path,
        )

    @get("/admin/health")
    async def show_health(
        self, request: UserRequest, sidecar: NamedDependency[Sidecar], check: bool = False
    ) -> Response[str]:
        """Versions, the database, the data planes, and what of the configuration can't be used."""
        integrity = None
        if check:
            async with sidecar.long_work:
                integrity = await asyncio.to_thread(check_integrity, sidecar.snapshot.database_url)
        now = sidecar.clock.now_ms()
        return page(
            request, "admin/health.html", health=report(sidecar, integrity), now=now, span=span
        )


def span(ms: int) -> str:
    """How long something lasted, in the largest unit that fits."""
    for unit, size in (("day", 86_400_000), ("hour", 3_600_000), ("minute", 60_000)):
        if ms >= size:
            return f"{ms // size} {unit}{'s' if ms >= 2 * size else ''}"
    return f"{max(ms, 0) // 1000} s"


def _sections(settings: list[SettingView]) -> list[tuple[str, str, list[SettingView]]]:
    """Tables of the file: name, title and settings."""
    groups = groupby(settings, key=lambda setting: setting.name.partition(".")[0])
    return [(section, _TITLES.get(section, section), list(found)) for section, found in groups]
