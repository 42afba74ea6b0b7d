"""The bodies of signing in and up."""

from typing import Annotated

import msgspec

from manage_api.domains.users.schemas import Password, UserDetails, Username

__all__ = ("Registered", "Registration", "SignIn", "SignInWithCode", "Token")


class SignIn(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The name and password of an account."""

    username: Username
    password: Password


class SignInWithCode(SignIn, frozen=True):
    """The name and password of an account, and its second factor's code if it has one."""

    code: Annotated[str, msgspec.Meta(max_length=64)] = ""


class Registration(SignIn, frozen=True):
    """The name and password of a new account."""

    invite_code: Annotated[str, msgspec.Meta(max_length=256)] = ""


class Token(msgspec.Struct, frozen=True):
    """A session token for `Authorization: Bearer`; browsers also get it as a cookie."""

    token: str


class Registered(UserDetails, frozen=True, kw_only=True):
    """A new account with a session token and its first virtual key, which is shown once."""

    api_key: str
    token: str
