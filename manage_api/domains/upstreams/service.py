"""Upstreams of both kinds, provisioned and stored, as the routes speak of them."""

import asyncio
from collections.abc import Iterator
from urllib.parse import quote, urljoin

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
    masked_headers,
    unmasked_headers,
    unmasked_keys,
)
from manage_api.paging import LARGEST
from manage_api.problems import Conflict, invalid
from manage_api.sidecar import Sidecar
from shared.config.layers import upstream_key
from shared.config.overrides import DatabaseUpstream
from shared.config.schema import Upstream
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
    "row_of",
    "store_new",
    "store_over",
    "unsaved",
    "view",
    "views",
)

_PROVISIONED = "config:"
type _Resting = dict[tuple[str, str], Resting]


def views(sidecar: Sidecar) -> list[UpstreamView]:
    """All upstreams, in the order in which requests try them."""
    sidecar.configuration.refresh()
    rest = resting(sidecar.store, sidecar.clock.now_ms())
    stored = [
        _stored_view(sidecar, row, rest) for row in list_upstreams(sidecar.store, sidecar.secret)
    ]
    return [*(_provisioned_view(upstream, rest) for upstream in _provisioned(sidecar)), *stored]


def view(sidecar: Sidecar, upstream_id: str) -> UpstreamView:
    """The upstream with this id; NotFoundException."""
    found = find(sidecar, upstream_id)
    sidecar.configuration.refresh()
    rest = resting(sidecar.store, sidecar.clock.now_ms())
    return (
        _stored_view(sidecar, found, rest)
        if isinstance(found, UpstreamRow)
        else _provisioned_view(found, rest)
    )


def find(sidecar: Sidecar, upstream_id: str) -> UpstreamRow | Upstream:
    """The row of a stored upstream, or a provisioned one; NotFoundException."""
    if upstream_id.isascii() and upstream_id.isdecimal() and len(upstream_id) < len(str(LARGEST)):
        if row := find_upstream(sidecar.store, sidecar.secret, int(upstream_id)):
            return row
    else:
        for upstream in _provisioned(sidecar):
            if upstream_id in (_config_id(upstream), _PROVISIONED + upstream.name):
                return upstream
    raise missing()


def row_of(sidecar: Sidecar, upstream_id: str) -> UpstreamRow:
    """The row of an upstream that can be changed here; NotFoundException, or a 409 that
    says where else it can be.
    """
    found = find(sidecar, upstream_id)
    if isinstance(found, UpstreamRow):
        return found
    raise Conflict(
        f"The upstream “{found.name}” is set by {sidecar.snapshot.config_path} or "
        "the environment: change it there."
    )


async def unsaved(sidecar: Sidecar, body: UpstreamBody, known: Upstream | None = None) -> Upstream:
    """The upstream a body describes, when it may be stored; else ValidationException.

    Masks in it stand for secrets of the `known` one, unless the body leads to another
    place: an admin may use keys, but not have them sent where they can be read.
    """
    plain = msgspec.to_builtins(body)
    try:
        trusted = known if known and _origin(known.base_url) == _origin(body.base_url) else None
        plain["api_keys"] = unmasked_keys(body.api_keys, trusted.api_keys if trusted else ())
        plain["headers"] = unmasked_headers(body.headers, trusted.headers if trusted else {})
    except MaskError as error:
        raise invalid(error.field, error) from None
    faults = upstream_faults(plain)
    if body.profile and body.profile not in (names := sidecar.snapshot.known_profiles.names):
        faults = faults | {"profile": f"must be one of {', '.join(names)}"}
    if faults:
        raise ValidationException(
            extra=[{"key": key, "message": message} for key, message in faults.items()]
        )
    upstream = msgspec.convert(plain, Upstream)
    await _refuse_private(sidecar, upstream)
    return upstream


async def store_new(sidecar: Sidecar, upstream: Upstream) -> int:
    """Store a new upstream; its id. Conflict or UpstreamNameTaken when the name is another's."""
    _refuse_provisioned_name(sidecar, upstream.name)
    now = sidecar.clock.now_ms()
    return await asyncio.to_thread(add_upstream, sidecar.store, sidecar.secret, upstream, now)


async def store_over(sidecar: Sidecar, row: UpstreamRow, upstream: Upstream) -> None:
    """Store the upstream in the place of the row; raises as `store_new` does."""
    if upstream.name.casefold() != row.name.casefold():
        _refuse_provisioned_name(sidecar, upstream.name)
    now = sidecar.clock.now_ms()
    if not await asyncio.to_thread(
        replace_upstream, sidecar.store, sidecar.secret, row.id, upstream, now
    ):
        raise missing()


def id_of(upstream: Upstream) -> int | str:
    """The id that the routes know an upstream by."""
    return upstream.id if isinstance(upstream, DatabaseUpstream) else _config_id(upstream)


def missing() -> NotFoundException:
    """The error for an id that no upstream has."""
    return NotFoundException("There is no such upstream.")


def is_guarded(sidecar: Sidecar) -> bool:
    """Whether upstreams that are not provisioned are kept out of private networks."""
    return not sidecar.snapshot.server.allow_private_upstreams


async def _refuse_private(sidecar: Sidecar, upstream: Upstream) -> None:
    if not is_guarded(sidecar):
        return
    if upstream.scheme != "https":
        raise invalid(
            "base_url", "must start with https://, unless [server] allow_private_upstreams is true"
        )
    try:
        await refuse_private(upstream.host)
    except OutboundError as error:
        raise invalid("base_url", error) from None


def _refuse_provisioned_name(sidecar: Sidecar, name: str) -> None:
    if name.casefold() in (upstream.name.casefold() for upstream in _provisioned(sidecar)):
        raise Conflict(
            f"{sidecar.snapshot.config_path} or the environment have an upstream "
            f"“{name}”: choose another name."
        )


def _provisioned(sidecar: Sidecar) -> Iterator[Upstream]:
    return (upstream for upstream in sidecar.snapshot.upstreams if not upstream.guarded)


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
    key = upstream_key(row.name)
    told = (
        problem.message
        for problem in sidecar.configuration.problems
        if (problem.key, problem.source) == (key, "database")
    )
    problem = "" if active else row.problem or next(told, "")
    upstream = row.upstream or Upstream(name=row.name, base_url="")
    return _view(upstream, rest, shown_id=row.id, provisioned=False, active=active, problem=problem)


def _view(
    upstream: Upstream,
    rest: _Resting,
    *,
    shown_id: int | str,
    provisioned: bool,
    active: bool,
    problem: str,
) -> UpstreamView:
    return UpstreamView(
        id=shown_id,
        provisioned=provisioned,
        active=active,
        problem=problem,
        endpoint=urljoin(upstream.base_url, upstream.request_path) if upstream.base_url else "",
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
        mirror=upstream.mirror,
        compact_signal=upstream.compact_signal,
        model_rewrites=msgspec.convert(
            upstream.model_rewrites, list[RewriteBody], from_attributes=True
        ),
        profile=upstream.profile,
        headers=masked_headers(upstream.headers),
        timeouts=msgspec.convert(upstream.timeouts, TimeoutsBody, from_attributes=True),
    )


def _key_view(key: str, rests: Resting | None) -> KeyView:
    return KeyView(
        key=mask(key),
        resting_until=rests.until if rests else None,
        resting_why=rests.why if rests else "",
    )
