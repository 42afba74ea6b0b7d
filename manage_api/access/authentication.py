"""Who a request is from: a virtual key or a session token in `Authorization: Bearer`, else
a session in the cookie.
"""

from litestar.exceptions import NotAuthorizedException
from litestar.middleware import AbstractAuthenticationMiddleware, AuthenticationResult

from manage_api.access.callers import Connection, bearer
from manage_api.access.same_origin import shown_cookie
from manage_api.sidecar import Sidecar
from shared.model import User, VirtualKey
from shared.security.keys import digest, looks_like_key
from shared.store.sessions import session_user
from shared.store.virtual_keys import find_key

__all__ = ("PUBLIC", "Authentication")

PUBLIC = {"exclude_from_auth": True}
"""`opt` of the routes that anybody may call; every other route needs a caller."""


class Authentication(AbstractAuthenticationMiddleware):
    """Sets `request.user` to the `User` and `request.auth` to the `VirtualKey` that was
    shown, None for a session.
    """

    async def authenticate_request(self, connection: Connection) -> AuthenticationResult:
        sidecar: Sidecar = connection.app.state.sidecar
        credential = bearer(connection)
        if credential and looks_like_key(credential):
            user, key = _owner(sidecar, credential)
            return AuthenticationResult(user=user, auth=key)
        token = shown_cookie(connection) if credential is None else credential
        if not token:
            raise _refusal(
                "Sign in first, or show a session token or a virtual key in "
                "`Authorization: Bearer`."
            )
        return AuthenticationResult(user=_session_user(sidecar, token), auth=None)


def _owner(sidecar: Sidecar, credential: str) -> tuple[User, VirtualKey]:
    found = find_key(sidecar.store, digest(credential))
    if not found:
        raise _refusal("This virtual key is not known here.")
    key, user = found
    expired = key.expires_at is not None and key.expires_at <= sidecar.clock.now_ms()
    not_for_owner = key.scope == "admin" and user.role != "admin"
    if key.revoked_at is not None or expired or user.disabled or not_for_owner:
        raise _refusal("This virtual key is no longer valid.")
    return user, key


def _session_user(sidecar: Sidecar, token: str) -> User:
    user = session_user(sidecar.store, token, sidecar.token_secret, now_ms=sidecar.clock.now_ms())
    if not user:
        raise _refusal("The session is not valid or has ended: sign in again.")
    return user


def _refusal(detail: str) -> NotAuthorizedException:
    return NotAuthorizedException(detail=detail, headers={"WWW-Authenticate": "Bearer"})
