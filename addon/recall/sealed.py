"""Reasoning that clients carry: a sealed copy that only this installation opens, for the
caller it was made for.
"""

import base64
import binascii

import msgspec

from addon.formats.neutral.turn import Reasoning
from shared.security.sealing import SealError, seal, unseal

__all__ = ("Carried", "opened", "sealed")

_MARK = "tb1."
_LONGEST = 16 * 1024 * 1024


class Carried(msgspec.Struct, frozen=True, array_like=True):
    """What a copy holds."""

    reasoning: Reasoning
    origin: str
    """Whose state the reasoning's `opaque` is: an upstream's account."""


_CARRIED = msgspec.json.Decoder(Carried)


def sealed(secret: bytes, carried: Carried, principal_id: str) -> str:
    """The copy, as text; empty for reasoning that can't be put into words (lone surrogates)."""
    try:
        plain = msgspec.json.encode(carried)
    except UnicodeEncodeError:
        return ""
    return _MARK + base64.urlsafe_b64encode(seal(secret, plain, bound_to=principal_id)).decode()


def opened(secret: bytes, copy: str, principal_id: str) -> Carried | None:
    """What a copy of ours holds; None for what is none, or was made for another caller."""
    if not copy.startswith(_MARK) or len(copy) > _LONGEST:
        return None
    try:
        return _CARRIED.decode(
            unseal(
                secret, base64.urlsafe_b64decode(copy.removeprefix(_MARK)), bound_to=principal_id
            )
        )
    except (binascii.Error, ValueError, SealError):
        return None
