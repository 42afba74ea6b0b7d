"""What the routes over accounts take and give."""

from typing import Annotated, Self

import msgspec

from shared.model import Role, User

__all__ = ("NewUser", "UserView", "UserWithKey")


class NewUser(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An account to make."""

    username: Annotated[str, msgspec.Meta(max_length=64)]
    password: Annotated[str, msgspec.Meta(max_length=1024)]
    role: Role = "user"


class UserView(msgspec.Struct, frozen=True, kw_only=True):
    """An account as its owner and admins see it."""

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


class UserWithKey(UserView, frozen=True, kw_only=True):
    """A new account and, this once, its first virtual key."""

    api_key: str
