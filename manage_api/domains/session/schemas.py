"""What signing in takes and gives."""

from typing import Annotated

import msgspec

__all__ = ("SignIn", "Token")


class SignIn(msgspec.Struct, frozen=True):
    """The name and password of an account."""

    username: Annotated[str, msgspec.Meta(max_length=64)]
    password: Annotated[str, msgspec.Meta(max_length=1024)]


class Token(msgspec.Struct, frozen=True):
    """A session token, for `Authorization: Bearer`."""

    token: str
