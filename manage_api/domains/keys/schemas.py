"""What the routes over virtual keys take and give."""

from typing import Annotated, Literal, Self

import msgspec
from msgspec.structs import asdict, replace

from manage_api.domains.limits import (
    LimitChanges,
    LimitFields,
    LimitsView,
    changed_limits,
    limits_view,
    sent,
)
from manage_api.paging import LARGEST
from shared.model import Scope, VirtualKey
from shared.store.ledger import Balance

__all__ = ("KeyChanges", "KeySecret", "KeyView", "KeyWithSecret", "NewKey")

Name = Annotated[str, msgspec.Meta(max_length=64)]
Expiry = Annotated[
    int, msgspec.Meta(ge=0, le=LARGEST, description="Epoch milliseconds; null: never.")
]


class NewKey(LimitFields, frozen=True, kw_only=True):
    """A virtual key to make; its limits hold beside those of its owner."""

    name: Name = "key"
    scope: Scope = "inference"
    expires_at: Expiry | None = None


class KeyChanges(LimitChanges, frozen=True, kw_only=True):
    """What shall be different about a key; what is not sent stays."""

    name: Name | msgspec.UnsetType = msgspec.UNSET
    expires_at: Expiry | msgspec.UnsetType | None = msgspec.UNSET

    def made_to(self, key: VirtualKey) -> VirtualKey:
        """The key as it shall be."""
        return replace(changed_limits(key, self), **sent(self, "name", "expires_at"))


class KeyView(LimitsView, frozen=True, kw_only=True):
    """A virtual key as its owner and admins see it."""

    id: int
    user_id: int
    username: str
    """The owner's."""

    name: str
    key: str
    """`…` and its last four characters."""

    scope: Scope
    state: Literal["usable", "expired", "revoked"]
    created_at: int
    expires_at: int | None
    revoked_at: int | None

    @classmethod
    def of(cls, key: VirtualKey, username: str, spent: Balance, now_ms: int) -> Self:
        expired = key.expires_at is not None and key.expires_at <= now_ms
        return cls(
            id=key.id,
            user_id=key.user_id,
            username=username,
            name=key.name,
            key=f"…{key.suffix}",
            scope=key.scope,
            state="revoked" if key.revoked_at is not None else "expired" if expired else "usable",
            created_at=key.created_at,
            expires_at=key.expires_at,
            revoked_at=key.revoked_at,
            **limits_view(key, spent, now_ms),
        )


class KeySecret(msgspec.Struct, frozen=True):
    """A virtual key itself, this once."""

    api_key: str


class KeyWithSecret(KeyView, frozen=True, kw_only=True):
    """A new virtual key and, this once, the key itself."""

    api_key: str

    @classmethod
    def showing(cls, view: KeyView, api_key: str) -> Self:
        return cls(**asdict(view), api_key=api_key)
