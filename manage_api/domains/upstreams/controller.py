"""`/api/admin/upstreams`."""

import asyncio
from typing import Annotated

from litestar import Controller, delete, get, post, put
from litestar.di import NamedDependency
from litestar.params import JSONBody, PathParameter, QueryParameter
from litestar.status_codes import HTTP_200_OK

from manage_api.access.guards import admin_only
from manage_api.domains.upstreams.outbound import OutboundError
from manage_api.domains.upstreams.probe import probe, trust
from manage_api.domains.upstreams.schemas import (
    Place,
    RoutesView,
    UpstreamBody,
    UpstreamReport,
    UpstreamView,
)
from manage_api.domains.upstreams.service import (
    find,
    is_guarded,
    missing,
    row_of,
    store_new,
    store_over,
    unsaved,
    view,
    views,
)
from manage_api.domains.upstreams.tryout import try_out
from manage_api.paging import Page
from manage_api.problems import Conflict, conflict_problem
from manage_api.sidecar import Sidecar
from shared.config.schema import Upstream
from shared.store.upstreams import UpstreamNameTaken, UpstreamRow, move_upstream, remove_upstream

__all__ = ("RoutesController", "UpstreamsController")

UpstreamId = Annotated[
    str,
    PathParameter(
        max_length=1024, description="The `id` of an upstream: a number, or `config:` and a name."
    ),
]
AskedModel = Annotated[
    str,
    QueryParameter(
        min_length=1, max_length=1024, description="As a client writes it into its request."
    ),
]


class UpstreamsController(Controller):
    """Upstreams, for admins."""

    path = "/api/admin/upstreams"
    guards = (admin_only,)
    exception_handlers = {UpstreamNameTaken: conflict_problem}

    @get()
    async def show_all(self, sidecar: NamedDependency[Sidecar]) -> Page[UpstreamView]:
        """The upstreams in the order in which requests try them, those of file and
        environment first; on one page.
        """
        return Page(views(sidecar), None)

    @post(raises=[Conflict])
    async def add(
        self, data: JSONBody[UpstreamBody], sidecar: NamedDependency[Sidecar]
    ) -> UpstreamView:
        """Add an upstream behind the others; the data plane uses it within two seconds."""
        upstream_id = await store_new(sidecar, await unsaved(sidecar, data))
        return view(sidecar, str(upstream_id))

    @post("/test", status_code=HTTP_200_OK, raises=[Conflict])
    async def test_unsaved(
        self, data: JSONBody[UpstreamBody], sidecar: NamedDependency[Sidecar]
    ) -> UpstreamReport:
        """Ask an upstream that is not stored for its models, with each of its keys."""
        return await _report(sidecar, await unsaved(sidecar, data), guarded=is_guarded(sidecar))

    @get("/{upstream_id:str}")
    async def show(
        self, upstream_id: UpstreamId, sidecar: NamedDependency[Sidecar]
    ) -> UpstreamView:
        """One upstream."""
        return view(sidecar, upstream_id)

    @put("/{upstream_id:str}", raises=[Conflict])
    async def replace(
        self,
        upstream_id: UpstreamId,
        data: JSONBody[UpstreamBody],
        sidecar: NamedDependency[Sidecar],
    ) -> UpstreamView:
        """Replace an upstream; what the body leaves out gets its default.

        Masked keys and headers stay what they are as long as scheme, host and port of
        `base_url` do.
        """
        row = row_of(sidecar, upstream_id)
        await store_over(sidecar, row, await unsaved(sidecar, data, row.upstream))
        return view(sidecar, upstream_id)

    @delete("/{upstream_id:str}", raises=[Conflict])
    async def remove(self, upstream_id: UpstreamId, sidecar: NamedDependency[Sidecar]) -> None:
        """Remove an upstream; requests that run at it go on."""
        row = row_of(sidecar, upstream_id)
        if not await asyncio.to_thread(remove_upstream, sidecar.store, row.id):
            raise missing()

    @post("/{upstream_id:str}/test", status_code=HTTP_200_OK, raises=[Conflict])
    async def test(
        self, upstream_id: UpstreamId, sidecar: NamedDependency[Sidecar]
    ) -> UpstreamReport:
        """Ask an upstream for its models, with each of its keys."""
        found = find(sidecar, upstream_id)
        upstream = found.upstream if isinstance(found, UpstreamRow) else found
        if upstream is None:
            raise Conflict("This upstream can't be used: replace or remove it.")
        return await _report(sidecar, upstream, guarded=upstream.guarded and is_guarded(sidecar))

    @post("/{upstream_id:str}/move", status_code=HTTP_200_OK, raises=[Conflict])
    async def move(
        self, upstream_id: UpstreamId, data: JSONBody[Place], sidecar: NamedDependency[Sidecar]
    ) -> Page[UpstreamView]:
        """Move an upstream among those that are not provisioned; the answer is the new list."""
        row = row_of(sidecar, upstream_id)
        if not await asyncio.to_thread(move_upstream, sidecar.store, row.id, data.position):
            raise missing()
        return Page(views(sidecar), None)


class RoutesController(Controller):
    """Where requests go, for admins."""

    path = "/api/admin/routes"
    guards = (admin_only,)

    @get()
    async def show(self, model: AskedModel, sidecar: NamedDependency[Sidecar]) -> RoutesView:
        """The upstreams a request for this model would be sent to, and the rewrites that
        say so; nothing is sent.
        """
        return try_out(sidecar, model)


async def _report(sidecar: Sidecar, upstream: Upstream, *, guarded: bool) -> UpstreamReport:
    try:
        tls = await asyncio.to_thread(trust)
    except OutboundError as error:
        raise Conflict(str(error)) from None
    return await probe(upstream, guarded=guarded, tls=tls, clock=sidecar.clock)
