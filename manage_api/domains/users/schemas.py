"""The bodies of the routes over accounts."""

from typing import Annotated, Self

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
    """An account to create."""

    username: Username
    password: Password | None = None
    """Null: a random one is generated."""

    role: Role = "user"


class UserChanges(LimitChanges, frozen=True, kw_only=True):
    """Changes to an account; omitted fields stay."""

    role: Role | msgspec.UnsetType = msgspec.UNSET
    disabled: bool | msgspec.UnsetType = msgspec.UNSET

    def apply(self, user: User) -> User:
        """Return the changed account."""
        return replace(changed_limits(user, self), **sent_fields(self, "role", "disabled"))


class PasswordReset(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A new password for an account."""

    password: Password | None = None
    """Null: a random one is generated."""


class NewPassword(msgspec.Struct, frozen=True):
    """The generated password, shown once; null if the request had one."""

    password: str | None


class UserView(msgspec.Struct, frozen=True, kw_only=True):
    """An account without limits and usage."""

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
    """A new account with its secrets, which are shown once."""

    api_key: str
    """Its first virtual key."""

    password: str | None
    """The generated password; null if the request had one."""
