"""Upstreams of both kinds: provisioned, and stored in the database."""

import asyncio
from collections.abc import Iterator
from urllib.parse import quote

import msgspec
from litestar.exceptions import NotFoundException, ValidationException

from manage_api.domains.upstreams.outbound import OutboundError, refuse_private
from manage_api.domains.upstreams.schemas import (
    KeyView,
    RewriteBody,
    TimeoutsBody,
    UpstreamBody,
    UpstreamView,
)
from manage_api.domains.upstreams.secrecy import (
    MaskError,
    mask_headers,
    unmask_headers,
    unmask_keys,
)
from manage_api.problems import Conflict, invalid
from manage_api.sidecar import Sidecar
from shared.config.layers import upstream_key
from shared.config.overrides import DatabaseUpstream
from shared.config.schema import Upstream
from shared.model import LARGEST
from shared.security.keys import digest, mask
from shared.store.key_rests import Resting, resting
from shared.store.upstreams import (
    UpstreamRow,
    add_upstream,
    find_upstream,
    list_upstreams,
    replace_upstream,
    upstream_faults,
)

__all__ = (
    "find",
    "id_of",
    "is_guarded",
    "missing",
    "parse_upstream",
    "row_of",
    "store_new",
    "store_over",
    "view",
    "views",
)

_PROVISIONED = "config:"
type _Resting = dict[tuple[str, str], Resting]


def views(sidecar: Sidecar) -> list[UpstreamView]:
    """List all upstreams in the order in which requests try them."""
    sidecar.configuration.refresh()
    rest = resting(sidecar.store, sidecar.clock.now_ms())
    stored = [
        _stored_view(sidecar, row, rest) for row in list_upstreams(sidecar.store, sidecar.secret)
    ]
    return [*(_provisioned_view(upstream, rest) for upstream in _provisioned(sidecar)), *stored]


def view(sidecar: Sidecar, upstream_id: str) -> UpstreamView:
    """Return the upstream with this id; raises NotFoundException."""
    upstream = find(sidecar, upstream_id)
    sidecar.configuration.refresh()
    rest = resting(sidecar.store, sidecar.clock.now_ms())
    if isinstance(upstream, UpstreamRow):
        return _stored_view(sidecar, upstream, rest)
    return _provisioned_view(upstream, rest)


def find(sidecar: Sidecar, upstream_id: str) -> UpstreamRow | Upstream:
    """Return the row of a stored upstream, or a provisioned one; raises NotFoundException."""
    if upstream_id.isascii() and upstream_id.isdecimal() and len(upstream_id) < len(str(LARGEST)):
        if row := find_upstream(sidecar.store, sidecar.secret, int(upstream_id)):
            return row
    else:
        for upstream in _provisioned(sidecar):
            if upstream_id in (_config_id(upstream), _PROVISIONED + upstream.name):
                return upstream
    raise missing()


def row_of(sidecar: Sidecar, upstream_id: str) -> UpstreamRow:
    """Return the row of a stored upstream.

    Raises NotFoundException, or Conflict for a provisioned one.
    """
    upstream = find(sidecar, upstream_id)
    if isinstance(upstream, UpstreamRow):
        return upstream
    raise Conflict(
        f"The upstream “{upstream.name}” is set by {sidecar.snapshot.config_path} or "
        "the environment: change it there."
    )


async def parse_upstream(
    sidecar: Sidecar, body: UpstreamBody, old: Upstream | None = None, *, is_local: bool = False
) -> DatabaseUpstream:
    """Return the upstream that a body describes; raises ValidationException.

    An admin who `is_local`, on this machine, may have it in a private network; whoever leaves
    it at the origin of such an `old` one may, too.

    Masks stand for secrets of the `old` one only if the body keeps its origin: an admin may
    use keys, but not have them sent where they can be read.
    """
    plain = msgspec.to_builtins(body)
    secrets = Upstream(name="", base_url="")
    if old and _origin(old.base_url) == _origin(body.base_url):
        secrets = old
    try:
        plain["api_keys"] = unmask_keys(body.api_keys, secrets.api_keys)
        plain["headers"] = unmask_headers(body.headers, secrets.headers)
    except MaskError as error:
        raise invalid(error.field, error) from None
    faults = upstream_faults(plain)
    if body.profile and body.profile not in (names := sidecar.snapshot.known_profiles.names):
        faults = faults | {"profile": f"must be one of {', '.join(names)}"}
    if faults:
        raise ValidationException(
            extra=[{"key": key, "message": message} for key, message in faults.items()]
        )
    upstream = msgspec.convert(plain | {"id": 0}, DatabaseUpstream)
    try:
        await _refuse_private(sidecar, upstream)
    except ValidationException:
        if is_local or (secrets is old and not secrets.guarded):
            return msgspec.structs.replace(upstream, local=True)
        raise
    return upstream


async def store_new(sidecar: Sidecar, upstream: Upstream) -> int:
    """Store a new upstream and return its id; raises Conflict or UpstreamNameTaken."""
    _refuse_provisioned_name(sidecar, upstream.name)
    now = sidecar.clock.now_ms()
    return await asyncio.to_thread(add_upstream, sidecar.store, sidecar.secret, upstream, now)


async def store_over(sidecar: Sidecar, row: UpstreamRow, upstream: Upstream) -> None:
    """Store the upstream in place of the row; raises as `store_new` does."""
    if upstream.name.casefold() != row.name.casefold():
        _refuse_provisioned_name(sidecar, upstream.name)
    now = sidecar.clock.now_ms()
    if not await asyncio.to_thread(
        replace_upstream, sidecar.store, sidecar.secret, row.id, upstream, now
    ):
        raise missing()


def id_of(upstream: Upstream) -> int | str:
    """Return the id of an upstream in the API."""
    if isinstance(upstream, DatabaseUpstream):
        return upstream.id
    return _config_id(upstream)


def missing() -> NotFoundException:
    """Return the error for an unknown id."""
    return NotFoundException("There is no such upstream.")


def is_guarded(sidecar: Sidecar) -> bool:
    """Whether stored upstreams are kept out of private networks."""
    return not sidecar.snapshot.server.allow_private_upstreams


async def _refuse_private(sidecar: Sidecar, upstream: Upstream) -> None:
    if not is_guarded(sidecar):
        return
    if upstream.scheme != "https":
        raise invalid(
            "base_url",
            "must start with https://, unless you add it in a browser on the gateway's own machine "
            "or [server] allow_private_upstreams is true",
        )
    try:
        await refuse_private(upstream.host)
    except OutboundError as error:
        raise invalid("base_url", error) from None


def _refuse_provisioned_name(sidecar: Sidecar, name: str) -> None:
    if name.casefold() in (upstream.name.casefold() for upstream in _provisioned(sidecar)):
        raise Conflict(
            f"{sidecar.snapshot.config_path} or the environment has an upstream “{name}”: "
            "choose another name."
        )


def _provisioned(sidecar: Sidecar) -> Iterator[Upstream]:
    upstreams = sidecar.snapshot.upstreams
    return (each for each in upstreams if not isinstance(each, DatabaseUpstream))


def _config_id(upstream: Upstream) -> str:
    return _PROVISIONED + quote(upstream.name, safe="")


def _origin(url: str) -> tuple[str, str, int]:
    upstream = Upstream(name="", base_url=url)
    return upstream.scheme, upstream.host, upstream.port


def _provisioned_view(upstream: Upstream, rest: _Resting) -> UpstreamView:
    return _view(
        upstream, rest, shown_id=_config_id(upstream), provisioned=True, active=True, problem=""
    )


def _stored_view(sidecar: Sidecar, row: UpstreamRow, rest: _Resting) -> UpstreamView:
    active = row.upstream is not None and row.upstream in sidecar.snapshot.upstreams
    problem = ""
    if not active:
        problem = row.problem or _left_out(sidecar, row.name)
    upstream = row.upstream or Upstream(name=row.name, base_url="")
    return _view(upstream, rest, shown_id=row.id, provisioned=False, active=active, problem=problem)


def _left_out(sidecar: Sidecar, name: str) -> str:
    """Return why a readable upstream is not in the snapshot."""
    key = upstream_key(name)
    problems = sidecar.configuration.problems
    messages = (each.message for each in problems if (each.key, each.source) == (key, "database"))
    return next(messages, "")


def _view(
    upstream: Upstream,
    rest: _Resting,
    *,
    shown_id: int | str,
    provisioned: bool,
    active: bool,
    problem: str,
) -> UpstreamView:
    endpoint = ""
    if upstream.base_url:
        endpoint = upstream.endpoint
    return UpstreamView(
        id=shown_id,
        provisioned=provisioned,
        active=active,
        problem=problem,
        endpoint=endpoint,
        name=upstream.name,
        base_url=upstream.base_url,
        api_keys=[mask(key) for key in upstream.api_keys],
        keys=[_key_view(key, rest.get((upstream.name, digest(key)))) for key in upstream.api_keys],
        models=list(upstream.models),
        api=upstream.api,
        path=upstream.path,
        api_version=upstream.api_version,
        auth=upstream.auth,
        images=upstream.images,
        hosted_tools=upstream.hosted_tools,
        mirror=upstream.mirror,
        compact_signal=upstream.compact_signal,
        model_rewrites=msgspec.convert(
            upstream.model_rewrites, list[RewriteBody], from_attributes=True
        ),
        profile=upstream.profile,
        headers=mask_headers(upstream.headers),
        timeouts=msgspec.convert(upstream.timeouts, TimeoutsBody, from_attributes=True),
    )


def _key_view(key: str, rests: Resting | None) -> KeyView:
    if rests is None:
        return KeyView(key=mask(key), resting_until=None, resting_why="")
    return KeyView(key=mask(key), resting_until=rests.until, resting_why=rests.why)
