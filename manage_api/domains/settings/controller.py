"""`/api/admin/settings`."""

import asyncio

from litestar import Controller, get, put
from litestar.di import NamedDependency
from litestar.params import JSONBody

from manage_api.access.guards import admin_only
from manage_api.domains.settings.schemas import Changes, SettingView
from manage_api.domains.settings.service import check, views
from manage_api.paging import Page
from manage_api.problems import Conflict
from manage_api.sidecar import Sidecar
from shared.store.settings import change_settings

__all__ = ("SettingsController",)


class SettingsController(Controller):
    """Settings, for admins."""

    path = "/api/admin/settings"
    guards = (admin_only,)

    @get()
    async def show_all(self, sidecar: NamedDependency[Sidecar]) -> Page[SettingView]:
        """List every setting with its value and where that comes from, on one page."""
        return Page(views(sidecar), None)

    @put(raises=[Conflict])
    async def change(
        self, data: JSONBody[Changes], sidecar: NamedDependency[Sidecar]
    ) -> Page[SettingView]:
        """Set values by dotted name, null for the default; all or none.

        Both programs apply them within two seconds. Settings from the file or the
        environment can't be changed here.
        """
        check(sidecar, data)
        await asyncio.to_thread(change_settings, sidecar.store, data, sidecar.clock.now_ms())
        return Page(views(sidecar), None)
