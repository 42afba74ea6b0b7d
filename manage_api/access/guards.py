"""Guards: what an authenticated caller may do."""

from litestar.exceptions import PermissionDeniedException
from litestar.handlers import BaseRouteHandler

from manage_api.access.callers import Connection
from shared.model import User

__all__ = ("WITH_ANY_PASSWORD", "admin_only", "no_inference_key", "own_password")

WITH_ANY_PASSWORD = {"with_any_password": True}
"""`opt` of the routes that work before a required password change."""


def own_password(connection: Connection, route: BaseRouteHandler) -> None:
    """Allow an account with a well-known password only to change it."""
    user: User | None = connection.scope.get("user")
    if user and user.must_change_password and not route.opt.get("with_any_password"):
        raise PermissionDeniedException(
            "Change the password first (POST /api/change-password): anyone could guess it."
        )


def admin_only(connection: Connection, _: BaseRouteHandler) -> None:
    """Allow an admin's session, or an admin's key with the scope `admin`."""
    user: User = connection.user
    if user.role != "admin":
        raise PermissionDeniedException("Only an admin may do this.")
    if connection.auth and connection.auth.scope != "admin":
        raise PermissionDeniedException(
            "This key has the scope inference; administration needs a key with the scope admin."
        )


def no_inference_key(connection: Connection, _: BaseRouteHandler) -> None:
    """Allow a session or a key with the scope `admin`.

    A leaked inference key must not create other keys or lift its own limits.
    """
    if connection.auth and connection.auth.scope == "inference":
        raise PermissionDeniedException("A key with the scope inference may not do this: sign in.")
