"""What people enter into their clients, and whether those can reach the gateway."""

import re
from collections.abc import Iterable, Mapping, Sequence
from urllib.parse import urlsplit

import msgspec

from manage_api.access.callers import AnyRequest, forwarded
from manage_api.addresses import base_url, is_public
from shared.config.schema import Snapshot, Tiers
from shared.model import fits
from shared.routes import known_models

__all__ = ("Connection", "allowed_of", "base_url_for", "connection_for")

_NOTHING: Mapping[str, Sequence[str]] = {}
_HOST = re.compile(r"(?:[\w.-]+|\[[0-9A-Fa-f:.]+\])(?::\d+)?", re.ASCII)


class Connection(msgspec.Struct, frozen=True, kw_only=True):
    """How to reach the gateway."""

    origin: str
    base_url: str
    """The origin and `/v1`: what Cursor and the SDKs want."""

    models: tuple[str, ...]
    """The known names; empty: those of the upstream."""

    public: bool
    """Whether Cursor's servers can reach it, judging by the host."""

    encrypted: bool
    tiers: Tiers
    """The models that Claude's are mapped to."""


def connection_for(
    request: AnyRequest,
    snapshot: Snapshot,
    allowed: tuple[str, ...],
    listed: Mapping[str, Sequence[str]] = _NOTHING,
) -> Connection:
    """Describe how the caller reaches the gateway.

    `allowed` are patterns of models; none means every model. `listed` is what the upstreams
    list as theirs.
    """
    url = base_url_for(request, snapshot)
    split = urlsplit(url)
    return Connection(
        origin=url.removesuffix("/v1"),
        base_url=url,
        models=tuple(allowed_of(known_models(snapshot.upstreams, listed), allowed)),
        public=is_public(split.hostname or ""),
        encrypted=split.scheme == "https",
        tiers=snapshot.tiers,
    )


def allowed_of(names: Iterable[str], allowed: Sequence[str]) -> list[str]:
    """Keep the models that fit one of the patterns; without any, all."""
    return [
        name for name in names if not allowed or any(fits(pattern, name) for pattern in allowed)
    ]


def base_url_for(request: AnyRequest, snapshot: Snapshot) -> str:
    """Return the base URL by `PUBLIC_URL`, by the browser's request or by the listener."""
    scheme = forwarded(request, "proto")
    if snapshot.server.public_url or not scheme:
        return base_url(snapshot)
    host = request.headers.get("host", "")
    # A client may write anything into Host: only what looks like one is shown.
    if not _HOST.fullmatch(host):
        return base_url(snapshot)
    return f"{scheme}://{host}/v1"
