"""The domain objects that both programs share."""

import re
from typing import Literal

import msgspec

__all__ = (
    "LARGEST",
    "Limits",
    "MirrorWish",
    "Period",
    "Principal",
    "Role",
    "Scope",
    "User",
    "VirtualKey",
    "fits",
)

LARGEST = 2**53 - 1
"""The largest number that JSON readers and the database represent exactly."""

Role = Literal["admin", "user"]
Scope = Literal["inference", "admin"]
Period = Literal["lifetime", "month", "day"]
"""The period of a quota; months and days are in UTC."""

MirrorWish = Literal["", "off", "details", "think"]
"""A user's own value of an upstream's `mirror`; empty: the upstream's."""


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """Limits of a user or a key; None means no limit."""

    quota_tokens: int | None = None
    """Tokens, prompt and completion together, per period."""

    quota_cost_micros: int | None = None
    """Millionths of a US dollar per period."""

    period: Period = "lifetime"
    rpm: int | None = None
    """Requests per minute."""

    tpm: int | None = None
    """Tokens per minute."""

    concurrency: int | None = None
    """Concurrent exchanges."""


class User(msgspec.Struct, frozen=True, kw_only=True):
    """An account."""

    id: int
    username: str
    role: Role
    disabled: bool
    epoch: int
    """Incremented to end all of the user's sessions; a JWT carries the value at its issue."""

    must_change_password: bool
    """Whether the password is well known, so that nothing but changing it is allowed."""

    created_at: int
    """Epoch milliseconds."""

    models: tuple[str, ...] = ()
    """Patterns of the allowed models, with `*` for any characters; empty: every model."""

    limits: Limits = Limits()
    mirror: MirrorWish = ""


class VirtualKey(msgspec.Struct, frozen=True, kw_only=True):
    """A key `sk-…` of a user; only its SHA-256 digest is stored."""

    id: int
    user_id: int
    name: str
    suffix: str
    """Its last four characters, to recognise it by."""

    scope: Scope
    created_at: int
    expires_at: int | None
    revoked_at: int | None
    models: tuple[str, ...] = ()
    """Like a user's, which apply as well."""

    limits: Limits = Limits()


class Principal(msgspec.Struct, frozen=True, kw_only=True):
    """Who the caller of the data plane is."""

    id: str
    """Stable name of the caller: `user:7`, `upstream:` and a digest for a caller with an
    upstream's own key, or `doctor:` and the name of a token of the doctor's.
    """

    name: str
    """For the log: the user's name or `passthrough` or `doctor`."""

    key_suffix: str
    """Last four characters of the caller's key; `jwt` for a session token."""

    user: User | None = None
    key: VirtualKey | None = None
    """The caller's virtual key; None for a session token or an upstream's key."""

    upstream: str | None = None
    """Set for pass-through callers and the doctor: the one upstream they may reach."""

    upstream_key: str | None = None
    """Set for the same: the key to use there."""


def fits(pattern: str, model: str) -> bool:
    """Whether a model matches a pattern in which `*` stands for any characters."""
    return re.fullmatch(".*".join(map(re.escape, pattern.split("*"))), model, re.DOTALL) is not None
