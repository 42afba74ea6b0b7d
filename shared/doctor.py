"""What the doctor and the data plane agree on: who the doctor is, and where its stand-in for an
upstream answers.

A token needs the installation's secret and lives for minutes. With it a caller reaches the
stand-in, or the one key of an upstream that it names, and nothing else.
"""

import secrets
from typing import Annotated

import jwt
import msgspec
from jwt.types import Options

from shared.config.schema import Upstream
from shared.security.secrets import derive

__all__ = ("STAND_IN", "STAND_IN_PATH", "DoctorToken", "issue_token", "read_token", "stand_in")

STAND_IN = "doctor's stand-in"
"""The name of the upstream that the sidecar plays, in the log and the ledger."""

STAND_IN_PATH = "/doctor/v1"
"""Its base URL's path at the sidecar."""

LIFETIME_SECONDS = 300
"""The longest examination takes that long: a slow line with a body of 30 MB."""

_MAX_CHARS = 1024

_Text = Annotated[str, msgspec.Meta(max_length=256)]


class DoctorToken(msgspec.Struct, frozen=True, kw_only=True):
    """The content of a token."""

    jti: Annotated[str, msgspec.Meta(pattern=r"^[0-9a-f]{16}\Z")]
    """Its own name."""

    exp: int
    """Epoch seconds."""

    upstream: _Text = STAND_IN
    """The upstream that its holder may reach."""

    key: _Text = ""
    """The digest of the key to use there; empty for the stand-in."""


def issue_token(secret: bytes, *, now: int, upstream: str = STAND_IN, key: str = "") -> str:
    """Issue a token at `now` (epoch seconds)."""
    token = DoctorToken(
        jti=secrets.token_hex(8), exp=now + LIFETIME_SECONDS, upstream=upstream, key=key
    )
    return jwt.encode(msgspec.to_builtins(token), _signing(secret), algorithm="HS256")


def read_token(token: str, secret: bytes, *, now: int) -> DoctorToken | None:
    """Return the content of a token that is valid at `now` (epoch seconds)."""
    if token.count(".") != 2 or len(token) > _MAX_CHARS or not token.isascii():
        return None
    options: Options = {"verify_exp": False}  # by our own clock, as for sessions
    try:
        content = jwt.decode(token, _signing(secret), algorithms=["HS256"], options=options)
        found = msgspec.convert(content, DoctorToken)
    except (jwt.InvalidTokenError, msgspec.ValidationError):
        return None
    if found.exp <= now:
        return None
    return found


def stand_in(admin_addr: str) -> Upstream:
    """Return the upstream that the sidecar at this address plays, as strict as DeepSeek."""
    return Upstream(
        name=STAND_IN, base_url=f"http://{admin_addr}{STAND_IN_PATH}", profile="deepseek-v4"
    )


def _signing(secret: bytes) -> bytes:
    return derive(secret, "doctor")
