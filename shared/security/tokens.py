"""Session tokens: JSON Web Tokens (RFC 7519) signed with HMAC-SHA-256 and nothing else (RFC
8725, section 3.1).
"""

import uuid
from typing import Annotated

import jwt
import msgspec
from jwt.types import Options

from shared.errors import ThinkbackError
from shared.model import User

__all__ = ("LIFETIME_SECONDS", "Claims", "InvalidToken", "issue_token", "read_token")

LIFETIME_SECONDS = 43_200
_MAX_CHARS = 4096
_Count = Annotated[int, msgspec.Meta(ge=0, le=2**53 - 1)]


class InvalidToken(ThinkbackError):
    """The session token can't be accepted; the message says why without quoting it."""


class Claims(msgspec.Struct, frozen=True, kw_only=True):
    """What a valid token says: it counts only while the user's epoch is still this one."""

    user_id: int
    epoch: int
    jti: str
    """The session's own name."""

    expires_at: int
    """Epoch milliseconds."""


class _Payload(msgspec.Struct):
    """All of it is required, and fits into a database."""

    sub: Annotated[str, msgspec.Meta(pattern=r"^[1-9][0-9]{0,17}\Z")]
    epoch: _Count
    iat: _Count
    exp: _Count
    jti: Annotated[str, msgspec.Meta(pattern=r"^[!-~]{1,64}\Z")]


def issue_token(
    user: User, secret: str | bytes, *, now: int, lifetime: int = LIFETIME_SECONDS
) -> str:
    """A token for the user that ends `lifetime` seconds after `now` (epoch seconds);
    ValueError for an empty secret.
    """
    if not secret:
        raise ValueError("the secret for session tokens is empty")
    payload = {
        "sub": str(user.id),
        "epoch": user.epoch,
        "iat": now,
        "exp": now + lifetime,
        "jti": uuid.uuid4().hex,
    }
    return jwt.encode(payload, secret, algorithm="HS256")


def read_token(token: str, secret: str | bytes, *, now: int) -> Claims:
    """What a token says whose signature is ours and whose end is after `now` (epoch
    seconds); else InvalidToken.
    """
    payload = _verified(token, secret)
    if payload.exp <= now:
        raise InvalidToken("The session has ended: sign in again.")
    return Claims(
        user_id=int(payload.sub),
        epoch=payload.epoch,
        jti=payload.jti,
        expires_at=payload.exp * 1000,
    )


def _verified(token: str, secret: str | bytes) -> _Payload:
    if not secret or len(token) > _MAX_CHARS or not token.isascii():
        raise InvalidToken("The session token is not valid: sign in again.")
    # The machine's clock stays out of it: pyjwt would check the times against that one.
    options: Options = {"verify_exp": False, "verify_iat": False, "verify_nbf": False}
    try:
        return msgspec.convert(
            jwt.decode(token, secret, algorithms=["HS256"], options=options), _Payload
        )
    except (jwt.InvalidTokenError, msgspec.ValidationError):
        raise InvalidToken("The session token is not valid: sign in again.") from None
