"""A requested model becomes the upstreams that serve it, in their configured order."""

import re
from collections.abc import Iterable, Sequence

import msgspec
from msgspec.structs import replace

from shared.config.schema import ModelRewrite, Tiers, Upstream

__all__ = ("Route", "known_models", "rewrite_for", "rewritten", "routes", "stand_in")

_SMALL = re.compile("haiku", re.IGNORECASE)
_BIG = re.compile("sonnet|opus|fable", re.IGNORECASE)
_SUFFIXED = re.compile(r"(.+)([-:])(none|off|nothink|minimal|low|medium|high|xhigh|max)")
_EFFORTS = {"off": "none", "nothink": "none"}
_GROUP = re.compile(r"\{(\d+)\}")


class Route(msgspec.Struct, frozen=True):
    """One way to serve a requested model."""

    upstream: Upstream
    model: str
    """The model's name at the upstream."""

    effort: str = ""
    """How hard it is to think; empty: as the client says."""


def routes(upstreams: Sequence[Upstream], model: str, tiers: Tiers = Tiers()) -> list[Route]:
    """The upstreams that accept the model: by a rewrite, by name, or because they take
    every model.

    A name may end in an effort, `-high` or `:high`, where the rest of it is served. A
    Claude model that no upstream names is another one in its tier.
    """
    if stands_for := stand_in(upstreams, model, tiers):
        to, effort = stands_for
        return [replace(route, effort=route.effort or effort) for route in routes(upstreams, to)]
    return [route for upstream in upstreams if (route := _route(upstream, model))]


def _route(upstream: Upstream, model: str) -> Route | None:
    named = _SUFFIXED.fullmatch(model)
    if rewrite := rewrite_for(upstream, model):
        return Route(upstream, rewrite[1], rewrite[0].effort)
    if model in upstream.models:
        return Route(upstream, model)
    if named and (_names(upstream, named[1]) or (named[2] == ":" and not upstream.models)):
        route = _route(upstream, named[1])
        return replace(route, effort=_EFFORTS.get(named[3], named[3])) if route else None
    return None if upstream.models else Route(upstream, model)


def stand_in(upstreams: Sequence[Upstream], model: str, tiers: Tiers) -> tuple[str, str] | None:
    """The model that stands for a Claude model that no upstream names, and its effort;
    None: it is asked for itself.
    """
    found = _tier_of(tiers, model)
    return (
        None if found is None or any(_names(upstream, model) for upstream in upstreams) else found
    )


def _tier_of(tiers: Tiers, model: str) -> tuple[str, str] | None:
    """The model and the effort of the tier that a Claude model belongs to; None when
    nothing stands for it.
    """
    if _SMALL.search(model):
        return (tiers.small_model, tiers.small_effort) if tiers.small_model else None
    return (tiers.big_model, tiers.big_effort) if tiers.big_model and _BIG.search(model) else None


def _names(upstream: Upstream, model: str) -> bool:
    return model in upstream.models or rewrite_for(upstream, model) is not None


def rewritten(upstream: Upstream, model: str) -> str | None:
    """The model's name by the first rewrite that matches, or None."""
    found = rewrite_for(upstream, model)
    return found[1] if found else None


def rewrite_for(upstream: Upstream, model: str) -> tuple[ModelRewrite, str] | None:
    """The first rewrite that matches the model, and the name it gives it."""
    for rewrite, pattern in zip(upstream.model_rewrites, upstream.patterns, strict=True):
        if pattern is None and rewrite.from_ == model:
            return rewrite, rewrite.to
        if pattern is not None and (match := pattern.search(model)):
            return rewrite, _filled(rewrite, match)
    return None


def known_models(upstreams: Iterable[Upstream]) -> list[str]:
    """The names a client may ask for as far as the configuration lists them: models and
    exact rewrites' sources.
    """
    names: dict[str, None] = {}
    for upstream in upstreams:
        names |= dict.fromkeys(upstream.models)
        names |= dict.fromkeys(
            rewrite.from_ for rewrite in upstream.model_rewrites if rewrite.from_
        )
    return list(names)


def _filled(rewrite: ModelRewrite, match: re.Match[str]) -> str:
    return _GROUP.sub(lambda group: match[int(group[1])] or "", rewrite.to_template)
