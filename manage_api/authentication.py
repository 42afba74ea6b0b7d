"""Who a request is from: a session token or a virtual key, in `Authorization: Bearer`."""

from litestar.exceptions import NotAuthorizedException
from litestar.middleware import AbstractAuthenticationMiddleware, AuthenticationResult

from manage_api.callers import Connection
from manage_api.sidecar import Sidecar
from shared.model import User, VirtualKey
from shared.security.keys import digest, looks_like_key
from shared.security.tokens import InvalidToken, read_token
from shared.store.accounts import find_user
from shared.store.virtual_keys import find_key

__all__ = ("PUBLIC", "Authentication")

PUBLIC = {"exclude_from_auth": True}
"""`opt` of the routes that anybody may call; every other route needs a caller."""


class Authentication(AbstractAuthenticationMiddleware):
    """Sets `request.user` to the `User` and `request.auth` to the `VirtualKey` that was shown, None for a session."""

    async def authenticate_request(self, connection: Connection) -> AuthenticationResult:
        sidecar: Sidecar = connection.app.state.sidecar
        scheme, _, credential = connection.headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not credential:
            raise _refusal("Sign in first: this needs a session token or a virtual key in `Authorization: Bearer`.")
        if looks_like_key(credential):
            user, key = _owner(sidecar, credential)
            return AuthenticationResult(user=user, auth=key)
        return AuthenticationResult(user=_session_user(sidecar, credential), auth=None)


def _owner(sidecar: Sidecar, credential: str) -> tuple[User, VirtualKey]:
    found = find_key(sidecar.store, digest(credential))
    if not found:
        raise _refusal("This virtual key is not known here.")
    key, user = found
    if (
        key.revoked_at is not None
        or user.disabled
        or (key.expires_at or sidecar.clock.now_ms() + 1) <= sidecar.clock.now_ms()
    ):
        raise _refusal("This virtual key is no longer valid.")
    return user, key


def _session_user(sidecar: Sidecar, token: str) -> User:
    try:
        claims = read_token(token, sidecar.token_secret, now=sidecar.clock.now_ms() // 1000)
    except InvalidToken as error:
        raise _refusal(str(error)) from None
    user = find_user(sidecar.store, claims.user_id)
    if not user or user.disabled or user.epoch != claims.epoch:
        raise _refusal("The session has ended: sign in again.")
    return user


def _refusal(detail: str) -> NotAuthorizedException:
    return NotAuthorizedException(detail=detail, headers={"WWW-Authenticate": "Bearer"})
