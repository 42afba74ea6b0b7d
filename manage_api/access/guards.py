"""What a known caller may do; guards raise."""

from litestar.exceptions import PermissionDeniedException
from litestar.handlers import BaseRouteHandler

from manage_api.access.callers import Connection
from shared.model import User

__all__ = ("WITH_ANY_PASSWORD", "admin_only", "no_inference_key", "own_password")

WITH_ANY_PASSWORD = {"with_any_password": True}
"""`opt` of the routes that work while the password must be changed."""


def own_password(connection: Connection, route: BaseRouteHandler) -> None:
    """While an account has a well-known password, changing it is all it may do."""
    user: User | None = connection.scope.get("user")
    if user and user.must_change_password and not route.opt.get("with_any_password"):
        raise PermissionDeniedException(
            "Change the password first (POST /api/change-password): everybody knows this one."
        )


def admin_only(connection: Connection, _: BaseRouteHandler) -> None:
    """For an admin's session, or an admin's key that was made for administration."""
    user: User = connection.user
    if user.role != "admin":
        raise PermissionDeniedException("Only an admin may do this.")
    if connection.auth and connection.auth.scope != "admin":
        raise PermissionDeniedException(
            "This key is for inference; administration needs a key with the scope admin."
        )


def no_inference_key(connection: Connection, _: BaseRouteHandler) -> None:
    """For a session or an admin's key: an inference key that leaks must not make others or
    lift its own limits.
    """
    if connection.auth and connection.auth.scope == "inference":
        raise PermissionDeniedException("A key for inference may not do this: sign in.")
