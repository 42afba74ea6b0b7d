"""What people enter into their programs: the addresses of the gateway, and how to tell
whether others reach it.
"""

import re
from urllib.parse import urlsplit

import msgspec

from manage_api.access.callers import AnyRequest, forwarded
from manage_api.addresses import base_url, is_public
from shared.config.schema import Snapshot, Tiers
from shared.model import fits
from shared.routes import known_models

__all__ = ("Connection", "base_url_for", "connection_for")

_HOST = re.compile(r"(?:[\w.-]+|\[[0-9A-Fa-f:.]+\])(?::\d+)?", re.ASCII)


class Connection(msgspec.Struct, frozen=True, kw_only=True):
    """How to reach the gateway."""

    origin: str
    base_url: str
    """The origin and `/v1`: what Cursor and the SDKs want."""

    models: tuple[str, ...]
    """The names that are known here; empty: those of the upstream."""

    public: bool
    """Cursor's servers can reach it, as far as the name tells."""

    encrypted: bool
    tiers: Tiers
    """What stands for Claude's models."""


def connection_for(request: AnyRequest, snapshot: Snapshot, allowed: tuple[str, ...]) -> Connection:
    """How the one who asks reaches the gateway; `allowed` are patterns of models, none
    means every model.
    """
    url = base_url_for(request, snapshot)
    split = urlsplit(url)
    return Connection(
        origin=url.removesuffix("/v1"),
        base_url=url,
        models=_names(snapshot, allowed),
        public=is_public(split.hostname or ""),
        encrypted=split.scheme == "https",
        tiers=snapshot.tiers,
    )


def _names(snapshot: Snapshot, allowed: tuple[str, ...]) -> tuple[str, ...]:
    known = known_models(snapshot.upstreams)
    return tuple(
        name for name in known if not allowed or any(fits(pattern, name) for pattern in allowed)
    )


def base_url_for(request: AnyRequest, snapshot: Snapshot) -> str:
    """`PUBLIC_URL`, else what the browser used to come here, else where the data plane listens."""
    scheme = forwarded(request, "proto")
    if snapshot.server.public_url or not scheme:
        return base_url(snapshot)
    host = request.headers.get("host", "")
    # A client may write anything into Host; what is no name is not shown to anybody.
    return f"{scheme}://{host}/v1" if _HOST.fullmatch(host) else base_url(snapshot)
