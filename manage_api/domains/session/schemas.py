"""What signing in and up takes and gives."""

from typing import Annotated

import msgspec

from manage_api.domains.users.schemas import Password, UserDetails, Username

__all__ = ("Registered", "Registration", "SignIn", "Token")


class SignIn(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The name and password of an account."""

    username: Username
    password: Password


class Registration(SignIn, frozen=True):
    """The name and password that an account shall have."""

    invite_code: Annotated[str, msgspec.Meta(max_length=256)] = ""


class Token(msgspec.Struct, frozen=True):
    """A session token, for `Authorization: Bearer`; browsers get it as a cookie too."""

    token: str


class Registered(UserDetails, frozen=True, kw_only=True):
    """A new account, with its first virtual key, shown this once, and a session token."""

    api_key: str
    token: str
