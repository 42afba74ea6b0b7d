"""The bodies of the routes over second factors."""

from typing import Annotated

import msgspec

from manage_api.domains.users.schemas import Password

__all__ = ("Code", "Confirmation", "NewSecondFactor", "OwnPassword", "RecoveryCodes")

Code = Annotated[str, msgspec.Meta(max_length=64)]


class OwnPassword(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The current password of the caller's account."""

    current_password: Password


class Confirmation(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The code that the authenticator app shows."""

    code: Code


class NewSecondFactor(msgspec.Struct, frozen=True):
    """What an authenticator app needs; it counts once it is confirmed."""

    secret: str
    address: str
    """The same as an `otpauth://` address."""


class RecoveryCodes(msgspec.Struct, frozen=True):
    """Codes that each replace one of the app's, shown once."""

    recovery_codes: list[str]
    text: str
    """The same, a line each."""
