"""`/admin/settings` and `/admin/health`."""

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

__all__ = ("InstallationPages",)

_ABOUT = {
    "server.listen_addr": (
        "The address that clients and browsers connect to. Changing it requires a restart."
    ),
    "server.admin_addr": "The address that the sidecar listens on. Changing it requires a restart.",
    "server.ui": (
        "Whether these pages are on the public port, or reachable from this machine only."
    ),
    "server.trusted_proxies": "Addresses or networks whose X-Forwarded-For is trusted.",
    "server.workers": (
        "How many data planes share the public address; auto: one for each core. Changing it "
        "requires a restart."
    ),
    "server.max_body_mib": "The largest request body, in MiB.",
    "server.max_messages": "The most messages that a request may have.",
    "server.drain_seconds": (
        "How many seconds running answers may go on when the gateway is stopped or restarted."
    ),
    "server.shutdown_delay_seconds": (
        "How many seconds a stop waits, with /readyz answering 503, so that balancers send "
        "requests elsewhere first. Changing it requires a restart."
    ),
    "server.max_connections_per_address": "The most connections of one address.",
    "server.max_connections_per_network": (
        "The most connections of one network: 256 IPv4 addresses, or a /48 of IPv6."
    ),
    "server.max_waiting_mib": (
        "The memory for requests that are coming and not let in yet, in MiB."
    ),
    "server.head_seconds": "How long a request's head may take, in seconds.",
    "server.idle_seconds": ("How long a connection is kept between two requests, in seconds."),
    "server.min_body_kib": "How fast a request's body must come, in KiB per second.",
    "server.allow_private_upstreams": (
        "Whether upstreams added in these pages may point to private networks."
    ),
    "server.allow_upstream_keys": (
        "Whether callers may use an upstream's own key instead of one of Thinkback's."
    ),
    "logging.color": "Whether the log is coloured.",
    "backup.every_hours": "How often a backup is made by itself, in hours; 0: never.",
    "backup.keep": "How many of these backups are kept.",
    "backup.directory": "Where they are; empty: backups/ beside the database.",
    "models.refresh_seconds": (
        "How often each upstream is asked for its models, in seconds, besides at start and on "
        "change; 0: never."
    ),
    "recall.memory_mib": "The memory that each data plane uses to cache reasoning, in MiB.",
    "recall.max_restored_mib": "The most reasoning that one request gets back, in MiB.",
}
"""The purpose of settings that can't be changed in the pages."""

_TITLES = {
    "server": "Server",
    "logging": "Log",
    "recall": "Reasoning recall",
    "registration": "Registration",
    "models": "Models",
    "tiers": "Claude’s models",
    "ledger": "Requests",
    "audit": "Audit",
    "responses": "Stored answers",
    "backup": "Backups",
}


class InstallationPages(Pages):
    """The installation, for admins."""

    guards = (admin_only,)

    @get("/admin/settings")
    async def show_settings(
        self, request: UserRequest, sidecar: NamedDependency[Sidecar]
    ) -> Response[str]:
        """Show every setting with its value and where that comes from."""
        return page(
            request,
            "admin/settings.html",
            sections=_sections(views(sidecar)),
            about=_ABOUT,
            config_path=sidecar.snapshot.config_path,
        )

    @get("/admin/health")
    async def show_health(
        self,
        request: UserRequest,
        sidecar: NamedDependency[Sidecar],
        check: bool = False,
        doctor: bool = False,
    ) -> Response[str]:
        """Show versions, database, data planes and problems of the configuration."""
        integrity, findings = None, None
        if doctor:
            # The sidecar need not wait for an HTTP client to be loaded.
            from manage_api.domains.doctor.service import diagnose

            findings = await diagnose(sidecar)
        if check:
            async with sidecar.long_work:
                integrity = await asyncio.to_thread(check_integrity, sidecar.snapshot.database_url)
        now = sidecar.clock.now_ms()
        return page(
            request,
            "admin/health.html",
            health=report(sidecar, integrity),
            findings=findings,
            now=now,
            span=span,
        )


def span(ms: int) -> str:
    """Write a duration in the largest unit that fits."""
    for unit, size in (("day", 86_400_000), ("hour", 3_600_000), ("minute", 60_000)):
        if ms >= 2 * size:
            return f"{ms // size} {unit}s"
        if ms >= size:
            return f"1 {unit}"
    return f"{max(ms, 0) // 1000} s"


def _sections(settings: list[SettingView]) -> list[tuple[str, str, list[SettingView]]]:
    """Group settings by table of the file: name, title and settings."""
    groups = groupby(settings, key=lambda setting: setting.name.partition(".")[0])
    return [(section, _TITLES.get(section, section), list(found)) for section, found in groups]
