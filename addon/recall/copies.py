"""Reasoning that one caller carries for us, sealed on the way out and opened on the way in."""

from addon.formats.neutral.turn import Reasoning
from addon.recall import sealed as carried

__all__ = ("Copies",)


class Copies:
    """The copies of one exchange; `foreign` knows whose state was in those that came."""

    def __init__(self, secret: bytes, principal_id: str) -> None:
        self._secret = secret
        self._principal_id = principal_id
        self._origins: dict[str, str] = {}

    @property
    def latest_origin(self) -> str:
        """The account whose state came last; empty when none came."""
        return next(reversed(self._origins.values()), "")

    def foreign(self, origin: str) -> frozenset[str]:
        """State that came and another account made."""
        return frozenset(opaque for opaque, made_by in self._origins.items() if made_by != origin)

    def seal(self, reasoning: Reasoning, origin: str) -> str:
        """The copy of what the account answered."""
        copy = carried.Carried(reasoning, origin if reasoning.opaque else "")
        return carried.sealed(self._secret, copy, self._principal_id)

    def open(self, reasoning: Reasoning) -> Reasoning | None:
        """What a copy holds; None for what is none of this caller's."""
        found = carried.opened(self._secret, reasoning.opaque, self._principal_id)
        if found is None:
            return None
        if found.reasoning.opaque:
            self._origins[found.reasoning.opaque] = found.origin
        return found.reasoning
