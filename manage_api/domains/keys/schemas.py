"""The bodies of the routes over virtual keys."""

from typing import Annotated, Literal, Self

import msgspec
from msgspec.structs import asdict, replace

from manage_api.domains.limits import (
    LimitChanges,
    LimitFields,
    LimitsView,
    changed_limits,
    limits_view,
    sent_fields,
)
from shared.model import LARGEST, Scope, VirtualKey
from shared.store.ledger import Balance

__all__ = ("KeyChanges", "KeySecret", "KeyView", "KeyWithSecret", "NewKey")

Name = Annotated[str, msgspec.Meta(max_length=64)]
Expiry = Annotated[
    int, msgspec.Meta(ge=0, le=LARGEST, description="Epoch milliseconds; null: never.")
]


type State = Literal["usable", "expired", "revoked"]


class NewKey(LimitFields, frozen=True, kw_only=True):
    """A virtual key to create; its owner's limits apply as well."""

    name: Name = "key"
    scope: Scope = "inference"
    expires_at: Expiry | None = None


class KeyChanges(LimitChanges, frozen=True, kw_only=True):
    """Changes to a key; omitted fields stay."""

    name: Name | msgspec.UnsetType = msgspec.UNSET
    expires_at: Expiry | msgspec.UnsetType | None = msgspec.UNSET

    def apply(self, key: VirtualKey) -> VirtualKey:
        """Return the changed key."""
        return replace(changed_limits(key, self), **sent_fields(self, "name", "expires_at"))


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
    state: State
    created_at: int
    expires_at: int | None
    revoked_at: int | None

    @classmethod
    def of(cls, key: VirtualKey, username: str, spent: Balance, now_ms: int) -> Self:
        return cls(
            id=key.id,
            user_id=key.user_id,
            username=username,
            name=key.name,
            key=f"…{key.suffix}",
            scope=key.scope,
            state=_state(key, now_ms),
            created_at=key.created_at,
            expires_at=key.expires_at,
            revoked_at=key.revoked_at,
            **limits_view(key, spent, now_ms),
        )


def _state(key: VirtualKey, now_ms: int) -> State:
    if key.revoked_at is not None:
        return "revoked"
    if key.expires_at is not None and key.expires_at <= now_ms:
        return "expired"
    return "usable"


class KeySecret(msgspec.Struct, frozen=True):
    """The secret of a virtual key, shown once."""

    api_key: str


class KeyWithSecret(KeyView, frozen=True, kw_only=True):
    """A new virtual key with its secret, which is shown once."""

    api_key: str

    @classmethod
    def showing(cls, view: KeyView, api_key: str) -> Self:
        return cls(**asdict(view), api_key=api_key)
