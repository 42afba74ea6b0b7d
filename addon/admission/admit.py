"""Who may call at all, and with what: decided by a request's head alone."""

from collections.abc import Mapping

from addon.admission import problems
from addon.admission.principal import FindKey, ReadToken, credentials, identify
from addon.formats.neutral.problem import Problem
from addon.formats.paths import Endpoint
from addon.formats.wire.inflate import is_known
from shared.config.schema import Snapshot
from shared.model import Principal

__all__ = ("admit", "unfit")


def admit(
    headers: Mapping[str, str],
    snapshot: Snapshot,
    *,
    find_key: FindKey,
    read_token: ReadToken,
    now_ms: int,
) -> Principal | Problem:
    """The caller, or why it is turned away."""
    return identify(
        credentials(headers),
        find_key=find_key,
        read_token=read_token,
        upstreams=snapshot.upstreams if snapshot.server.allow_upstream_keys else (),
        now_ms=now_ms,
    )


def unfit(
    endpoint: Endpoint, method: str, headers: Mapping[str, str], max_body: int
) -> Problem | None:
    """Why a request of a known caller can't be taken, as far as its head tells; `max_body`
    in bytes.
    """
    if headers.get("upgrade", "").lower() == "websocket":
        return problems.no_websocket()
    if method not in endpoint.methods:
        return problems.method_not_allowed(method, endpoint.methods)
    coding = headers.get("content-encoding", "")
    if not is_known(coding):
        return problems.unknown_coding(coding)
    length = headers.get("content-length", "0")
    if length.isdecimal() and int(length) > max_body:
        return problems.too_large(max_body)
    return None
