"""Where a request for a model would go, as the data plane decides it too (`shared/routes.py`)."""

import msgspec

from manage_api.domains.upstreams.schemas import RewriteBody, RoutesView, RouteView
from manage_api.domains.upstreams.service import id_of
from manage_api.sidecar import Sidecar
from shared.profiles import builtin_profiles, decide_profile
from shared.routes import Route, rewrite_for, routes
from shared.security.keys import digest
from shared.store.resting import Resting, resting

__all__ = ("try_out",)


def try_out(sidecar: Sidecar, model: str) -> RoutesView:
    """The upstreams that serve the model for a caller who may use it; nothing is sent."""
    sidecar.take_over()
    rest = resting(sidecar.store, sidecar.clock.now_ms())
    ways = routes(sidecar.snapshot.upstreams, model, sidecar.snapshot.tiers)
    found = [_route_view(route, model, rest) for route in ways]
    fit = (route.upstream for route in found if route.resting < max(route.keys, 1))
    return RoutesView(model=model, routes=found, chosen=next(fit, found[0].upstream if found else None))


def _route_view(route: Route, model: str, rest: dict[tuple[str, str], Resting]) -> RouteView:
    upstream, match = route.upstream, rewrite_for(route.upstream, model)
    profile, decided = decide_profile(builtin_profiles(), name=upstream.profile, host=upstream.host, model=route.model)
    keys = upstream.api_keys or ("",)
    return RouteView(
        upstream=upstream.name,
        upstream_id=id_of(upstream),
        by="rewrite" if match else "model" if upstream.models else "every-model",
        rule=upstream.model_rewrites.index(match[0]) + 1 if match else None,
        rewrite=msgspec.convert(match[0], RewriteBody, from_attributes=True) if match else None,
        model=route.model,
        profile=profile.name,
        profile_by=decided,
        keys=len(upstream.api_keys),
        resting=sum((upstream.name, digest(key)) in rest for key in keys),
    )
