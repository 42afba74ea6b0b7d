"""`/setup`: from an empty database to the first request, for admins."""

from typing import Annotated, Literal

from litestar import Response, get
from litestar.di import NamedDependency
from litestar.params import QueryParameter

from manage_api.access.callers import UserRequest, is_local
from manage_api.access.guards import WITH_ANY_PASSWORD, admin_only
from manage_api.domains.requests.schemas import RequestView
from manage_api.domains.settings.service import views
from manage_api.sidecar import Sidecar
from manage_api.web.connect import connection_for
from manage_api.web.presets import presets
from manage_api.web.rendering import Pages, page
from shared.model import User
from shared.store.reports import EntryFilter, recent_entries

__all__ = ("SetupPages",)

type Step = Literal["password", "upstream", "address", "connect"]
StepQuery = Annotated[Step | None, QueryParameter()]

_PUBLIC_URL = "server.public_url"


class SetupPages(Pages):
    """The steps to the first request, each of which can be repeated."""

    guards = (admin_only,)

    @get("/setup", opt=WITH_ANY_PASSWORD)
    async def show(
        self, request: UserRequest, sidecar: NamedDependency[Sidecar], step: StepQuery = None
    ) -> Response[str]:
        """Show the requested step, or else the first open one; the password comes first."""
        sidecar.configuration.refresh()
        done = _done(sidecar, request.user)
        first = next((each for each, is_done in done.items() if not is_done), "connect")
        if request.user.must_change_password:
            step = "password"
        return page(
            request,
            "setup.html",
            step=step or first,
            done=done,
            presets=presets(),
            upstreams=sidecar.snapshot.upstreams,
            private_allowed=sidecar.snapshot.server.allow_private_upstreams or is_local(request),
            connection=connection_for(
                request, sidecar.snapshot, request.user.models, sidecar.listed_models()
            ),
            public_url=next(each for each in views(sidecar) if each.name == _PUBLIC_URL),
            newest=_newest(sidecar),
        )

    @get("/setup/first-request")
    async def show_first_request(
        self, request: UserRequest, sidecar: NamedDependency[Sidecar]
    ) -> Response[str]:
        """Show whether a request has arrived; polled until one succeeds."""
        return page(request, "setup/first_request.html", newest=_newest(sidecar))


def _done(sidecar: Sidecar, user: User) -> dict[Step, bool]:
    newest = _newest(sidecar)
    return {
        "password": not user.must_change_password,
        "upstream": bool(sidecar.snapshot.upstreams),
        "address": bool(sidecar.snapshot.server.public_url),
        "connect": newest is not None and not newest.error_class,
    }


def _newest(sidecar: Sidecar) -> RequestView | None:
    entries, _ = recent_entries(sidecar.store, EntryFilter(), limit=1)
    if not entries:
        return None
    return RequestView.of(*entries[0])
