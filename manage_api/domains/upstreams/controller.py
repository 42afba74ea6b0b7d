"""`/api/admin/upstreams`."""

import asyncio
from typing import Annotated

from litestar import Controller, delete, get, post, put
from litestar.di import NamedDependency
from litestar.params import JSONBody, PathParameter, QueryParameter
from litestar.status_codes import HTTP_200_OK

from manage_api.access.callers import UserRequest, is_local
from manage_api.access.guards import admin_only
from manage_api.domains.upstreams.model_lists import keep
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
    parse_upstream,
    row_of,
    store_new,
    store_over,
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
ModelQuery = Annotated[
    str,
    QueryParameter(min_length=1, max_length=1024, description="As in a client's request."),
]


class UpstreamsController(Controller):
    """Upstreams, for admins."""

    path = "/api/admin/upstreams"
    guards = (admin_only,)
    exception_handlers = {UpstreamNameTaken: conflict_problem}

    @get()
    async def show_all(self, sidecar: NamedDependency[Sidecar]) -> Page[UpstreamView]:
        """List the upstreams in the order in which requests try them, on one page.

        Those of file and environment come first.
        """
        return Page(views(sidecar), None)

    @post(raises=[Conflict])
    async def add(
        self, data: JSONBody[UpstreamBody], request: UserRequest, sidecar: NamedDependency[Sidecar]
    ) -> UpstreamView:
        """Add an upstream after the others; the data plane uses it within two seconds."""
        parsed = await parse_upstream(sidecar, data, is_local=is_local(request))
        upstream_id = await store_new(sidecar, parsed)
        return view(sidecar, str(upstream_id))

    @post("/test", status_code=HTTP_200_OK, raises=[Conflict])
    async def test_unsaved(
        self, data: JSONBody[UpstreamBody], request: UserRequest, sidecar: NamedDependency[Sidecar]
    ) -> UpstreamReport:
        """Test an upstream that is not stored: request its models with each key."""
        parsed = await parse_upstream(sidecar, data, is_local=is_local(request))
        return await _report(sidecar, parsed, guarded=parsed.guarded and is_guarded(sidecar))

    @get("/{upstream_id:str}")
    async def show(
        self, upstream_id: UpstreamId, sidecar: NamedDependency[Sidecar]
    ) -> UpstreamView:
        """Show one upstream."""
        return view(sidecar, upstream_id)

    @put("/{upstream_id:str}", raises=[Conflict])
    async def replace(
        self,
        upstream_id: UpstreamId,
        data: JSONBody[UpstreamBody],
        request: UserRequest,
        sidecar: NamedDependency[Sidecar],
    ) -> UpstreamView:
        """Replace an upstream; omitted fields get their defaults.

        Masked keys and headers keep their values while `base_url` keeps scheme, host and
        port.
        """
        row = row_of(sidecar, upstream_id)
        parsed = await parse_upstream(sidecar, data, row.upstream, is_local=is_local(request))
        await store_over(sidecar, row, parsed)
        return view(sidecar, upstream_id)

    @delete("/{upstream_id:str}", raises=[Conflict])
    async def remove(self, upstream_id: UpstreamId, sidecar: NamedDependency[Sidecar]) -> None:
        """Remove an upstream; its running requests continue."""
        row = row_of(sidecar, upstream_id)
        if not await asyncio.to_thread(remove_upstream, sidecar.store, row.id):
            raise missing()

    @post("/{upstream_id:str}/test", status_code=HTTP_200_OK, raises=[Conflict])
    async def test(
        self, upstream_id: UpstreamId, sidecar: NamedDependency[Sidecar]
    ) -> UpstreamReport:
        """Test an upstream: request its models with each key, and keep what it lists."""
        upstream: UpstreamRow | Upstream | None = find(sidecar, upstream_id)
        if isinstance(upstream, UpstreamRow):
            upstream = upstream.upstream
        if upstream is None:
            raise Conflict("This upstream can't be used: replace or remove it.")
        guarded = upstream.guarded and is_guarded(sidecar)
        report = await _report(sidecar, upstream, guarded=guarded)
        await keep(sidecar, upstream, report)
        return report

    @post("/{upstream_id:str}/move", status_code=HTTP_200_OK, raises=[Conflict])
    async def move(
        self, upstream_id: UpstreamId, data: JSONBody[Place], sidecar: NamedDependency[Sidecar]
    ) -> Page[UpstreamView]:
        """Move an upstream among those not provisioned, and return the new list."""
        row = row_of(sidecar, upstream_id)
        if not await asyncio.to_thread(move_upstream, sidecar.store, row.id, data.position):
            raise missing()
        return Page(views(sidecar), None)


class RoutesController(Controller):
    """Where requests go, for admins."""

    path = "/api/admin/routes"
    guards = (admin_only,)

    @get()
    async def show(self, model: ModelQuery, sidecar: NamedDependency[Sidecar]) -> RoutesView:
        """Show which upstreams a request for this model would try, and why; nothing is sent."""
        return try_out(sidecar, model)


async def _report(sidecar: Sidecar, upstream: Upstream, *, guarded: bool) -> UpstreamReport:
    try:
        tls = await asyncio.to_thread(trust)
    except OutboundError as error:
        raise Conflict(str(error)) from None
    return await probe(upstream, guarded=guarded, tls=tls, clock=sidecar.clock)
