"""The doctor as a caller: it reaches its stand-in, or the one key of an upstream to be tried."""

from collections.abc import Callable, Iterable, Mapping

from msgspec.structs import replace

from addon.admission.principal import credentials
from shared.config.schema import Snapshot, Upstream
from shared.doctor import STAND_IN, DoctorToken, stand_in
from shared.model import Principal
from shared.security.keys import digest

__all__ = ("doctor_principal", "snapshot_for")

type ReadDoctorToken = Callable[[str], DoctorToken | None]


def doctor_principal(
    headers: Mapping[str, str], upstreams: Iterable[Upstream], read: ReadDoctorToken
) -> Principal | None:
    """The doctor, when the caller shows a token of it that is good for something here."""
    for shown in credentials(headers):
        if token := read(shown):
            key: str | None = shown
            if token.upstream != STAND_IN:
                key = _key_of(token, upstreams)
            if key is not None:
                return _principal(token, key)
    return None


def snapshot_for(caller: Principal, snapshot: Snapshot) -> Snapshot:
    """The configuration that a caller's requests go by: for the stand-in it has nothing else."""
    if caller.upstream != STAND_IN:
        return snapshot
    return replace(snapshot, upstreams=(stand_in(snapshot.server.admin_addr),))


def _principal(token: DoctorToken, key: str) -> Principal:
    return Principal(
        id=f"doctor:{token.jti}",
        name="doctor",
        key_suffix="",
        upstream=token.upstream,
        upstream_key=key,
    )


def _key_of(token: DoctorToken, upstreams: Iterable[Upstream]) -> str | None:
    """The key that a token names; None when it is not there any more."""
    keys = (
        key
        for upstream in upstreams
        if upstream.name == token.upstream
        for key in upstream.api_keys or ("",)
    )
    return next((key for key in keys if digest(key) == token.key), None)
