"""Where a request for a model would go, as the data plane decides it too (`shared/routes.py`)."""

import msgspec

from manage_api.domains.upstreams.schemas import RewriteBody, RoutesView, RouteView
from manage_api.domains.upstreams.service import id_of
from manage_api.sidecar import Sidecar
from shared.profiles import Profiles
from shared.routes import Route, rewrite_for, routes, stand_in
from shared.security.keys import digest
from shared.store.key_rests import Resting, resting

__all__ = ("try_out",)


def try_out(sidecar: Sidecar, model: str) -> RoutesView:
    """The upstreams that serve the model for a caller who may use it; nothing is sent."""
    sidecar.configuration.refresh()
    rest = resting(sidecar.store, sidecar.clock.now_ms())
    upstreams, tiers = sidecar.snapshot.upstreams, sidecar.snapshot.tiers
    stands_for = stand_in(upstreams, model, tiers)
    asked = stands_for[0] if stands_for else model
    found = [
        _route_view(route, asked, rest, sidecar.snapshot.known_profiles)
        for route in routes(upstreams, model, tiers)
    ]
    fit = (route.upstream for route in found if route.resting < max(route.keys, 1))
    return RoutesView(
        model=model,
        stand_in=asked if stands_for else None,
        routes=found,
        chosen=next(fit, found[0].upstream if found else None),
    )


def _route_view(
    route: Route, asked: str, rest: dict[tuple[str, str], Resting], profiles: Profiles
) -> RouteView:
    upstream, match = route.upstream, rewrite_for(route.upstream, asked)
    if match is None and route.model != asked:  # an effort was taken from its end
        match = rewrite_for(upstream, asked[: max(asked.rfind("-"), asked.rfind(":"))])
    profile, by = profiles.decide(
        name=upstream.profile, api=upstream.api, host=upstream.host, model=route.model
    )
    keys = upstream.api_keys or ("",)
    return RouteView(
        upstream=upstream.name,
        upstream_id=id_of(upstream),
        by="rewrite" if match else "model" if upstream.models else "every-model",
        rule=upstream.model_rewrites.index(match[0]) + 1 if match else None,
        rewrite=msgspec.convert(match[0], RewriteBody, from_attributes=True) if match else None,
        model=route.model,
        effort=route.effort,
        profile=profile.name,
        profile_by=by,
        keys=len(upstream.api_keys),
        resting=sum((upstream.name, digest(key)) in rest for key in keys),
    )
