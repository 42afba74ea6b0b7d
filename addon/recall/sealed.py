"""Reasoning that clients carry: a sealed copy that only this installation opens, for the
caller it was made for.
"""

import base64
import binascii
from collections.abc import Mapping, Sequence

import msgspec

from addon.formats.chat.carriers import is_bound
from addon.formats.neutral.turn import Reasoning
from shared.security.sealing import SealError, seal, unseal

__all__ = ("Copies", "Copy", "open_copy", "seal_copy")

_MARK = "tb1."
"""Copies begin with it: "Thinkback, first form"."""

_LONGEST = 16 * 1024 * 1024
"""Characters that are tried: no upstream thinks as much in one turn."""


class Copy(msgspec.Struct, frozen=True, array_like=True):
    """What a copy holds."""

    reasoning: Reasoning
    origin: str
    """Whose state the reasoning's `opaque` is: an upstream's account; empty for state that
    any account may send.
    """

    family: str = ""
    """The provider family of the model that thought it; empty in copies that were made before
    they had it.
    """


_COPY = msgspec.json.Decoder(Copy)


class Copies:
    """The copies of one exchange: who made those that came, and what goes into new ones."""

    def __init__(self, secret: bytes, principal_id: str, retired: Sequence[bytes] = ()) -> None:
        """`retired` secrets sealed before this one, and open what clients still carry."""
        self._secret = secret
        self._retired = retired
        self._principal_id = principal_id
        self._origins: dict[str, str] = {}
        self._families: dict[Reasoning, set[str]] = {}
        self.account = ""
        """The upstream's account whose answer is sealed now."""

        self.family = ""
        """The provider family of that answer."""

    @property
    def origins(self) -> Mapping[str, str]:
        """The accounts of the state that came."""
        return self._origins

    def foreign(self, origin: str) -> frozenset[str]:
        """State that came and another account made."""
        return frozenset(opaque for opaque, made_by in self._origins.items() if made_by != origin)

    def of_others(self, family: str) -> frozenset[Reasoning]:
        """What copies held that the models of other families have thought."""
        return frozenset(
            thought
            for thought, families in self._families.items()
            if families.isdisjoint((family, ""))
        )

    def seal(self, reasoning: Reasoning) -> str:
        """The copy of what the account answers."""
        origin = ""
        if is_bound(reasoning):
            origin = self.account
        copy = Copy(reasoning, origin, self.family)
        return seal_copy(self._secret, copy, self._principal_id)

    def open(self, reasoning: Reasoning) -> Reasoning | None:
        """What a copy holds; None for what is none of this caller's."""
        opened = (
            open_copy(secret, reasoning.opaque, self._principal_id)
            for secret in (self._secret, *self._retired)
        )
        copy = next(filter(None, opened), None)
        if copy is None:
            return None
        if is_bound(copy.reasoning):
            self._origins[copy.reasoning.opaque] = copy.origin
        self._families.setdefault(copy.reasoning, set()).add(copy.family)
        return copy.reasoning


def seal_copy(secret: bytes, copy: Copy, principal_id: str) -> str:
    """The copy, as text; empty for reasoning that can't be put into words (lone surrogates)."""
    try:
        plain = msgspec.json.encode(copy)
    except UnicodeEncodeError:
        return ""
    return _MARK + base64.urlsafe_b64encode(seal(secret, plain, bound_to=principal_id)).decode()


def open_copy(secret: bytes, copy: str, principal_id: str) -> Copy | None:
    """What a copy of ours holds; None for what is none, or was made for another caller."""
    if not copy.startswith(_MARK) or len(copy) > _LONGEST:
        return None
    try:
        return _COPY.decode(
            unseal(
                secret, base64.urlsafe_b64decode(copy.removeprefix(_MARK)), bound_to=principal_id
            )
        )
    except (binascii.Error, ValueError, SealError):
        return None
