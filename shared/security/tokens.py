"""Session tokens, and call tokens that a session makes for requests to models: JSON Web Tokens
(RFC 7519) signed with HMAC-SHA-256 and nothing else (RFC 8725, section 3.1).
"""

import uuid
from typing import Annotated

import jwt
import msgspec
from jwt.types import Options

from shared.errors import ThinkbackError
from shared.model import User

__all__ = (
    "CALL_SECONDS",
    "LIFETIME_SECONDS",
    "Claims",
    "InvalidToken",
    "issue_call_token",
    "issue_token",
    "read_token",
)

LIFETIME_SECONDS = 43_200
"""Half a day: a working day without signing in again."""

CALL_SECONDS = 600
"""A script of the page holds a call token, so it is soon worth nothing."""

_MAX_CHARS = 4096
"""Ours have 250; a longer one is not worth decoding."""

_Count = Annotated[int, msgspec.Meta(ge=0, le=2**53 - 1)]


class InvalidToken(ThinkbackError):
    """The session token is invalid; the message says why without quoting it."""


class Claims(msgspec.Struct, frozen=True, kw_only=True):
    """The claims of a valid token, which counts only while the user's epoch is the same."""

    user_id: int
    epoch: int
    jti: str
    """The session's own name."""

    expires_at: int
    """Epoch milliseconds."""

    key_id: int | None = None
    """None: a session's. Else it is good for requests to models alone, within the limits of
    this virtual key; 0: of none.
    """


class _Payload(msgspec.Struct):
    """The claims, bounded to what fits into the database."""

    sub: Annotated[str, msgspec.Meta(pattern=r"^[1-9][0-9]{0,17}\Z")]
    epoch: _Count
    iat: _Count
    exp: _Count
    jti: Annotated[str, msgspec.Meta(pattern=r"^[!-~]{1,64}\Z")]
    key: _Count | None = None
    """As `Claims.key_id`."""


def issue_token(
    user: User, secret: str | bytes, *, now: int, lifetime: int = LIFETIME_SECONDS
) -> str:
    """Issue a token that expires `lifetime` seconds after `now` (epoch seconds).

    Raises ValueError for an empty secret.
    """
    return _signed(user, secret, now=now, lifetime=lifetime)


def issue_call_token(
    user: User, secret: str | bytes, *, now: int, key_id: int | None, session: Claims | None
) -> str:
    """Issue a token for requests to models, within the limits of a key if there is one.

    It ends with the session that it was made in, if there is one, and after `CALL_SECONDS`.
    """
    lifetime = CALL_SECONDS
    rest: dict[str, str | int] = {"key": key_id or 0}
    if session is not None:
        lifetime = min(lifetime, session.expires_at // 1000 - now)
        rest |= {"jti": session.jti}
    return _signed(user, secret, now=now, lifetime=lifetime, **rest)


def read_token(token: str, secret: str | bytes, *, now: int) -> Claims:
    """Verify a token at `now` (epoch seconds) and return its claims; raises InvalidToken."""
    payload = _verified(token, secret)
    if payload.exp <= now:
        raise InvalidToken("The session has ended: sign in again.")
    return Claims(
        user_id=int(payload.sub),
        epoch=payload.epoch,
        jti=payload.jti,
        expires_at=payload.exp * 1000,
        key_id=payload.key,
    )


def _signed(user: User, secret: str | bytes, *, now: int, lifetime: int, **more: str | int) -> str:
    if not secret:
        raise ValueError("the secret for session tokens is empty")
    payload = {
        "sub": str(user.id),
        "epoch": user.epoch,
        "iat": now,
        "exp": now + lifetime,
        "jti": uuid.uuid4().hex,
    }
    return jwt.encode(payload | more, secret, algorithm="HS256")


def _verified(token: str, secret: str | bytes) -> _Payload:
    if not secret or len(token) > _MAX_CHARS or not token.isascii():
        raise InvalidToken("The session token is invalid: sign in again.")
    # pyjwt would check the times against the machine's clock; ours is an argument.
    options: Options = {"verify_exp": False, "verify_iat": False, "verify_nbf": False}
    try:
        return msgspec.convert(
            jwt.decode(token, secret, algorithms=["HS256"], options=options), _Payload
        )
    except (jwt.InvalidTokenError, msgspec.ValidationError):
        raise InvalidToken("The session token is invalid: sign in again.") from None
