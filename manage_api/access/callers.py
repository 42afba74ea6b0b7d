"""Requests, and where they come from."""

from typing import Any

from litestar import Request
from litestar.connection import ASGIConnection
from litestar.datastructures import State

from shared.config.address import is_loopback
from shared.model import User, VirtualKey

__all__ = ("AnyRequest", "Connection", "UserRequest", "bearer", "client_address", "forwarded")

Connection = ASGIConnection[Any, Any, Any, Any]
AnyRequest = Request[Any, Any, State]
UserRequest = Request[User, VirtualKey | None, State]
"""A request of a known caller."""


def bearer(connection: Connection) -> str | None:
    """What is shown in `Authorization: Bearer`; None when that is not used, which leaves it
    to the cookie.
    """
    scheme, _, credential = connection.headers.get("authorization", "").partition(" ")
    return credential.strip() if scheme.lower() == "bearer" else None


def client_address(connection: Connection) -> str:
    """The caller's address: the one the data plane saw, else the peer's."""
    return forwarded(connection, "for").rpartition(",")[2].strip() or _peer(connection)


def forwarded(connection: Connection, what: str) -> str:
    """`X-Forwarded-<what>` when the peer is on this machine, as the data plane that sets it
    is; else empty.
    """
    return (
        connection.headers.get(f"x-forwarded-{what}", "") if is_loopback(_peer(connection)) else ""
    )


def _peer(connection: Connection) -> str:
    return connection.client.host if connection.client else ""
