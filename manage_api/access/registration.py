"""Who may create an account."""

from manage_api.access.callers import Connection, is_local
from manage_api.sidecar import Sidecar

__all__ = ("may_register",)


def may_register(connection: Connection) -> bool:
    """Whether the caller may create an account: as it is set, and where nobody has set it,
    on this machine only.

    Nobody can tell from the addresses alone that a tunnel makes the gateway public.
    """
    sidecar: Sidecar = connection.app.state.sidecar
    is_set = sidecar.configuration.sources["registration.allowed"] != "default"
    return sidecar.snapshot.registration.allowed and (is_set or is_local(connection))
