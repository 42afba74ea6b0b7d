"""The candidates of a request, in the order in which they are tried."""

from collections.abc import Iterable, Sequence

import msgspec

from addon.routing.keyring import Keyring
from shared.config.schema import Upstream
from shared.model import Principal
from shared.routes import Route

__all__ = ("MAX_ATTEMPTS", "Candidate", "candidates")

MAX_ATTEMPTS = 16
"""Attempts one request may cost, however many keys there are."""


class Candidate(msgspec.Struct, frozen=True):
    """One thing to try: an upstream, one of its keys and the model's name there."""

    upstream: Upstream
    key: str
    model: str
    effort: str = ""
    """As for a route."""


def candidates(
    routes: Iterable[Route], keyring: Keyring, principal: Principal, now: float
) -> Sequence[Candidate]:
    """Every upstream with every key, resting keys last; a pass-through caller has its own
    upstream and key only.
    """
    if principal.upstream is not None:
        mine = [route for route in routes if route.upstream.name == principal.upstream]
        return [
            Candidate(route.upstream, principal.upstream_key or "", route.model, route.effort)
            for route in mine
        ]
    found = [
        Candidate(route.upstream, key, route.model, route.effort)
        for route in routes
        for key in keyring.order(route.upstream, now)
    ]
    return sorted(found, key=lambda one: keyring.rests(one.upstream, one.key, now))[:MAX_ATTEMPTS]
