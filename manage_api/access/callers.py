"""Requests and the addresses they come from."""

from typing import Any

from litestar import Request
from litestar.connection import ASGIConnection
from litestar.datastructures import State

from shared.config import local
from shared.config.address import is_loopback
from shared.model import User, VirtualKey

__all__ = (
    "AnyRequest",
    "Connection",
    "UserRequest",
    "bearer",
    "client_address",
    "forwarded",
    "is_local",
)

Connection = ASGIConnection[Any, Any, Any, Any]
AnyRequest = Request[Any, Any, State]
UserRequest = Request[User, VirtualKey | None, State]
"""A request with an authenticated caller."""


def bearer(connection: Connection) -> str | None:
    """Return the credential in `Authorization: Bearer`; None without one."""
    scheme, _, credential = connection.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer":
        return None
    return credential.strip()


def client_address(connection: Connection) -> str:
    """Return the caller's address as the data plane saw it, else the peer's."""
    return forwarded(connection, "for").rpartition(",")[2].strip() or _peer(connection)


def forwarded(connection: Connection, name: str) -> str:
    """Return `X-Forwarded-<name>` from a peer on this machine, else an empty string.

    The data plane, which sets it for every request that is not local, is on this machine.
    """
    if not is_loopback(_peer(connection)):
        return ""
    return connection.headers.get(f"x-forwarded-{name}", "")


def is_local(connection: Connection) -> bool:
    """Whether the request was made on this machine, directly or through the data plane."""
    host = connection.headers.get("host", "")
    return local.is_local(_peer(connection), host, connection.headers.keys())


def _peer(connection: Connection) -> str:
    if connection.client is None:
        return ""
    return connection.client.host
