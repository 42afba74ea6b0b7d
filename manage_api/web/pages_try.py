"""`/try`: a conversation with a model, as a client has it."""

from litestar import Response, get
from litestar.di import NamedDependency

from manage_api.access.callers import UserRequest
from manage_api.addresses import base_url
from manage_api.domains.keys.schemas import KeyView
from manage_api.sidecar import Sidecar
from manage_api.web.connect import base_url_for
from manage_api.web.rendering import Pages, page
from shared.config.address import split_address
from shared.config.schema import Server
from shared.store.virtual_keys import search_keys

__all__ = ("TryPages",)

_MAX_KEYS = 200
"""Beyond that a list helps nobody."""


class TryPages(Pages):
    """Where everybody can see that it works."""

    @get("/try")
    async def show(self, request: UserRequest, sidecar: NamedDependency[Sidecar]) -> Response[str]:
        """Show the page; its script asks models through the data plane, as other clients do."""
        user, now = request.user, sidecar.clock.now_ms()
        rows = search_keys(sidecar.store, now_ms=now, limit=_MAX_KEYS, user_id=user.id)
        keys = [KeyView.of(*row, now) for row in rows]
        asked_at = ""
        if _without_models(request, sidecar.snapshot.server):
            asked_at = base_url(sidecar.snapshot)
        return page(
            request,
            "try.html",
            reaches=asked_at.removesuffix("/v1"),
            keys=[key for key in keys if (key.state, key.scope) == ("usable", "inference")],
            asked_at=asked_at or "/v1",
            base_url=base_url_for(request, sidecar.snapshot),
            has_upstream=bool(sidecar.snapshot.upstreams),
        )


def _without_models(request: UserRequest, server: Server) -> bool:
    """Whether the browser is at the sidecar's own address, where no models are."""
    _, port = split_address(server.admin_addr)
    return server.ui == "local" or request.headers.get("host", "").endswith(f":{port}")
