"""What the routes over the installation give."""

import msgspec

__all__ = ("Health", "PublicConfig")


class PublicConfig(msgspec.Struct, frozen=True):
    """Settings that are no secret."""

    allow_registration: bool
    public_url: str
    version: str


class Health(msgspec.Struct, frozen=True):
    """The answer of a program that works."""

    status: str = "ok"
