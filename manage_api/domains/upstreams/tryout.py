"""Where a request for a model would go, decided as in the data plane (`shared/routes.py`)."""

from typing import Literal

import msgspec

from manage_api.domains.upstreams.schemas import RewriteBody, RoutesView, RouteView
from manage_api.domains.upstreams.service import id_of
from manage_api.sidecar import Sidecar
from shared.config.schema import Snapshot
from shared.routes import Route, rewrite_for, routes, stand_in
from shared.security.keys import digest
from shared.store.key_rests import Resting, resting

__all__ = ("try_out",)


def try_out(sidecar: Sidecar, model: str) -> RoutesView:
    """Return the upstreams that serve the model; nothing is sent."""
    sidecar.configuration.refresh()
    rest = resting(sidecar.store, sidecar.clock.now_ms())
    upstreams, tiers = sidecar.snapshot.upstreams, sidecar.snapshot.tiers
    mapped, _ = stand_in(upstreams, model, tiers) or (None, "")
    views = [
        _route_view(route, mapped or model, rest, sidecar.snapshot)
        for route in routes(upstreams, model, tiers)
    ]
    ready = [route.upstream for route in views if route.resting < max(route.keys, 1)]
    resting_too = [route.upstream for route in views]
    return RoutesView(
        model=model,
        stand_in=mapped,
        routes=views,
        chosen=next(iter(ready + resting_too), None),
    )


def _route_view(
    route: Route, model: str, rest: dict[tuple[str, str], Resting], snapshot: Snapshot
) -> RouteView:
    upstream, match = route.upstream, rewrite_for(route.upstream, model)
    if match is None and route.model != model:  # the name ended in an effort
        match = rewrite_for(upstream, model[: max(model.rfind("-"), model.rfind(":"))])
    profile, profile_by = snapshot.decided_profile(upstream, route.model)
    by: Literal["rewrite", "model", "every-model"] = "every-model"
    rule = rewrite = None
    if match:
        by = "rewrite"
        rule = upstream.model_rewrites.index(match[0]) + 1
        rewrite = msgspec.convert(match[0], RewriteBody, from_attributes=True)
    elif upstream.models:
        by = "model"
    keys = upstream.api_keys or ("",)
    return RouteView(
        upstream=upstream.name,
        upstream_id=id_of(upstream),
        by=by,
        rule=rule,
        rewrite=rewrite,
        model=route.model,
        effort=route.effort,
        profile=profile.name,
        profile_by=profile_by,
        keys=len(upstream.api_keys),
        resting=sum((upstream.name, digest(key)) in rest for key in keys),
    )
