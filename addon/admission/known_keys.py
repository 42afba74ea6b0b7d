"""Virtual keys that were looked up, as long as no account or key has been changed since; pure."""

from collections.abc import Callable

from addon.admission.principal import FindKey
from shared.model import User, VirtualKey

__all__ = ("KnownKeys",)

MOST = 10_000
"""Keys that are held: some kilobytes each, and nobody sees as many within hours."""


class KnownKeys:
    """Looks each key up once for each version of the accounts. One that nobody has is looked up
    each time: it may have been made just now.
    """

    def __init__(self, find: FindKey, version: Callable[[], int]) -> None:
        """`version` changes with every account and key."""
        self._find = find
        self._version = version
        self._known: dict[str, tuple[VirtualKey, User]] = {}
        self._known_of = 0

    def find(self, digest: str) -> tuple[VirtualKey, User] | None:
        """The key with this SHA-256 digest, and its user."""
        version = self._version()
        if version != self._known_of or len(self._known) >= MOST:
            self._known, self._known_of = {}, version
        known = self._known.get(digest)
        if known is not None:
            return known
        found = self._find(digest)
        # Others may have noticed a change while this was waited for.
        if found is not None and version == self._known_of:
            self._known[digest] = found
        return found
