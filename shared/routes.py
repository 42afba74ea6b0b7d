"""A requested model becomes the upstreams that serve it, in their configured order."""

import re
from collections.abc import Iterable

import msgspec

from shared.config.schema import ModelRewrite, Upstream

__all__ = ("Route", "known_models", "rewrite_for", "rewritten", "routes")

_GROUP = re.compile(r"\{(\d+)\}")


class Route(msgspec.Struct, frozen=True):
    """One way to serve a requested model."""

    upstream: Upstream
    model: str
    """The model's name at the upstream."""

    effort: str = ""
    """How hard it is to think; empty: as the client says."""


def routes(upstreams: Iterable[Upstream], model: str) -> list[Route]:
    """The upstreams that accept the model: by a rewrite, by name, or because they take every model."""
    found: list[Route] = []
    for upstream in upstreams:
        if rewrite := rewrite_for(upstream, model):
            found.append(Route(upstream, rewrite[1], rewrite[0].effort))
        elif not upstream.models or model in upstream.models:
            found.append(Route(upstream, model))
    return found


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
    """The names a client may ask for as far as the configuration lists them: models and exact rewrites' sources."""
    names: dict[str, None] = {}
    for upstream in upstreams:
        names |= dict.fromkeys(upstream.models)
        names |= dict.fromkeys(rewrite.from_ for rewrite in upstream.model_rewrites if rewrite.from_)
    return list(names)


def _filled(rewrite: ModelRewrite, match: re.Match[str]) -> str:
    return _GROUP.sub(lambda group: match[int(group[1])] or "", rewrite.to_template)
