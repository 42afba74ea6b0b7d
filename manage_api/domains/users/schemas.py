"""What the routes over accounts take and give."""

from typing import Annotated, Self

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
from shared.model import Role, User
from shared.store.ledger import Balance

__all__ = (
    "USER_FIELDS",
    "NewPassword",
    "NewUser",
    "Password",
    "PasswordReset",
    "UserChanges",
    "UserDetails",
    "UserView",
    "UserWithKey",
    "Username",
)

Username = Annotated[str, msgspec.Meta(max_length=64)]
Password = Annotated[str, msgspec.Meta(max_length=1024)]


class NewUser(LimitFields, frozen=True, kw_only=True):
    """An account to make."""

    username: Username
    password: Password | None = None
    """Null: a random one is made."""

    role: Role = "user"


class UserChanges(LimitChanges, frozen=True, kw_only=True):
    """What shall be different about an account; what is not sent stays."""

    role: Role | msgspec.UnsetType = msgspec.UNSET
    disabled: bool | msgspec.UnsetType = msgspec.UNSET

    def made_to(self, user: User) -> User:
        """The account as it shall be."""
        return replace(changed_limits(user, self), **sent(self, "role", "disabled"))


class PasswordReset(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Another password for an account."""

    password: Password | None = None
    """Null: a random one is made."""


class NewPassword(msgspec.Struct, frozen=True):
    """A password that was made, this once; null when it was given."""

    password: str | None


class UserView(msgspec.Struct, frozen=True, kw_only=True):
    """Who an account is."""

    id: int
    username: str
    role: Role
    disabled: bool
    must_change_password: bool
    created_at: int
    """Epoch milliseconds."""

    @classmethod
    def of(cls, user: User) -> Self:
        return msgspec.convert(user, cls, from_attributes=True)


class UserDetails(LimitsView, frozen=True, kw_only=True):
    """An account as its owner and admins see it."""

    id: int
    username: str
    role: Role
    disabled: bool
    must_change_password: bool
    created_at: int
    """Epoch milliseconds."""

    @classmethod
    def of(cls, user: User, spent: Balance, now_ms: int) -> Self:
        return cls(**asdict(UserView.of(user)), **limits_view(user, spent, now_ms))


USER_FIELDS = (
    *UserView.__struct_fields__,
    *(name for name in LimitsView.__struct_fields__ if name != "models"),
)
"""The columns of the export."""


class UserWithKey(UserDetails, frozen=True, kw_only=True):
    """A new account and, this once, its secrets."""

    api_key: str
    """Its first virtual key."""

    password: str | None
    """Null when it was given."""
