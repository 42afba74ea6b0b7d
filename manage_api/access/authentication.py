"""Identifies callers by a virtual key or a session token, in a header or a cookie."""

from urllib.parse import quote

from litestar.datastructures import MutableScopeHeaders
from litestar.exceptions import NotAuthorizedException
from litestar.middleware import AbstractAuthenticationMiddleware, AuthenticationResult
from litestar.types import Message, Scope

from manage_api.access.callers import Connection, bearer
from manage_api.access.same_origin import read_cookie
from manage_api.sidecar import Sidecar
from shared.log import CALLER_HEADER
from shared.model import User, VirtualKey
from shared.security.keys import digest, looks_like_key
from shared.store.sessions import session_user
from shared.store.virtual_keys import find_key

__all__ = ("PUBLIC", "Authentication", "name_caller")

PUBLIC = {"exclude_from_auth": True}
"""`opt` of public routes; every other route requires a caller."""


class Authentication(AbstractAuthenticationMiddleware):
    """Sets `request.user` to the `User`, and `request.auth` to the `VirtualKey` or None."""

    async def authenticate_request(self, connection: Connection) -> AuthenticationResult:
        sidecar: Sidecar = connection.app.state.sidecar
        credential = bearer(connection)
        if credential is None:
            credential = read_cookie(connection)
        elif looks_like_key(credential):
            user, key = _key_owner(sidecar, credential)
            return AuthenticationResult(user=user, auth=key)
        if not credential:
            raise _refusal(
                "Sign in, or send a session token or a virtual key in `Authorization: Bearer`."
            )
        return AuthenticationResult(user=_session_user(sidecar, credential), auth=None)


async def name_caller(message: Message, scope: Scope) -> None:
    """Tell the data plane who called, for its log; a `before_send` hook."""
    user = scope.get("user")
    if message["type"] == "http.response.start" and isinstance(user, User):
        headers = MutableScopeHeaders.from_message(message)
        headers[CALLER_HEADER] = quote(user.username)


def _key_owner(sidecar: Sidecar, credential: str) -> tuple[User, VirtualKey]:
    row = find_key(sidecar.store, digest(credential))
    if not row:
        raise _refusal("This virtual key is unknown.")
    key, user = row
    expired = key.expires_at is not None and key.expires_at <= sidecar.clock.now_ms()
    not_for_owner = key.scope == "admin" and user.role != "admin"
    if key.revoked_at is not None or expired or user.disabled or not_for_owner:
        raise _refusal("This virtual key is no longer valid.")
    return user, key


def _session_user(sidecar: Sidecar, token: str) -> User:
    user = session_user(sidecar.store, token, sidecar.token_secret, now_ms=sidecar.clock.now_ms())
    if not user:
        raise _refusal("The session is invalid or has ended: sign in again.")
    return user


def _refusal(detail: str) -> NotAuthorizedException:
    return NotAuthorizedException(detail=detail, headers={"WWW-Authenticate": "Bearer"})
