"""Finds the upstreams that serve a requested model, in their configured order."""

import re
from collections.abc import Mapping, Sequence

import msgspec
from msgspec.structs import replace

from shared.config.schema import ModelRewrite, Tiers, Upstream

__all__ = ("Route", "known_models", "model_owners", "rewrite_for", "routes", "stand_in")

# The families of Claude's models, in any version.
_SMALL = re.compile("haiku", re.IGNORECASE)
_BIG = re.compile("sonnet|opus|fable", re.IGNORECASE)
_SUFFIXED = re.compile(r"(.+)([-:])(none|off|nothink|minimal|low|medium|high|xhigh|max)")
_EFFORTS = {"off": "none", "nothink": "none"}
_GROUP = re.compile(r"\{(\d+)\}")
_NOTHING: Mapping[str, Sequence[str]] = {}


class Route(msgspec.Struct, frozen=True):
    """One way to serve a requested model."""

    upstream: Upstream
    model: str
    """The model's name at the upstream."""

    effort: str = ""
    """The reasoning effort; empty: as the client requests."""


def routes(upstreams: Sequence[Upstream], model: str, tiers: Tiers = Tiers()) -> list[Route]:
    """Return the routes to a model: by a rewrite, by name, or because an upstream takes all.

    A name may end in an effort, `-high` or `:high`, if the rest of it is served. A Claude
    model that no upstream names is replaced by its tier's.
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
        if route := _route(upstream, named[1]):
            return replace(route, effort=_EFFORTS.get(named[3], named[3]))
        return None
    if upstream.models:
        return None
    return Route(upstream, model)


def stand_in(upstreams: Sequence[Upstream], model: str, tiers: Tiers) -> tuple[str, str] | None:
    """Return the replacement of a Claude model that no upstream names, and its effort."""
    replacement = _tier_of(tiers, model)
    if any(_names(upstream, model) for upstream in upstreams):
        return None
    return replacement


def _tier_of(tiers: Tiers, model: str) -> tuple[str, str] | None:
    """Return the model and the effort of a Claude model's tier, if it is configured."""
    name, effort = "", ""
    if _SMALL.search(model):
        name, effort = tiers.small_model, tiers.small_effort
    elif _BIG.search(model):
        name, effort = tiers.big_model, tiers.big_effort
    if not name:
        return None
    return name, effort


def _names(upstream: Upstream, model: str) -> bool:
    return model in upstream.models or rewrite_for(upstream, model) is not None


def rewrite_for(upstream: Upstream, model: str) -> tuple[ModelRewrite, str] | None:
    """Return the first matching rewrite, and the name it gives the model."""
    for rewrite, pattern in zip(upstream.model_rewrites, upstream.patterns, strict=True):
        if pattern is None and rewrite.from_ == model:
            return rewrite, rewrite.to
        if pattern is not None and (match := pattern.search(model)):
            return rewrite, _filled(rewrite, match)
    return None


def model_owners(
    upstreams: Sequence[Upstream], listed: Mapping[str, Sequence[str]] = _NOTHING
) -> dict[str, str]:
    """Return the names that clients may request, each with the first upstream that has it.

    First what is configured: models and exact rewrites. Then what upstreams without
    configured models list themselves: `listed`, by upstream.
    """
    owners: dict[str, str] = {}
    for upstream in upstreams:
        aliases = (rewrite.from_ for rewrite in upstream.model_rewrites if rewrite.from_)
        for name in (*upstream.models, *aliases):
            owners.setdefault(name, upstream.name)
    for upstream in upstreams:
        if not upstream.models:
            for name in listed.get(upstream.name, ()):
                owners.setdefault(name, upstream.name)
    return owners


def known_models(
    upstreams: Sequence[Upstream], listed: Mapping[str, Sequence[str]] = _NOTHING
) -> list[str]:
    """List the names that clients may request, as `model_owners` does."""
    return list(model_owners(upstreams, listed))


def _filled(rewrite: ModelRewrite, match: re.Match[str]) -> str:
    return _GROUP.sub(lambda group: match[int(group[1])] or "", rewrite.to_template)
