"""The candidates of one request: what was tried, what is being tried, and what is left."""

from collections.abc import Sequence

import msgspec

from addon.routing.candidates import Candidate
from addon.routing.keyring import Keyring

__all__ = ("Attempts", "Tried")


class Tried(msgspec.Struct):
    """One attempt and what came of it."""

    candidate: Candidate
    outcome: str = ""
    """An HTTP status or a word; empty as long as it is under way."""


class Attempts:
    """Moves through the candidates; `keyring` notes whose keys rest."""

    def __init__(self, candidates: Sequence[Candidate], keyring: Keyring) -> None:
        self._left = list(candidates)
        self._keyring = keyring
        self._tried: list[Tried] = []

    @property
    def tried(self) -> tuple[Tried, ...]:
        return tuple(self._tried)

    @property
    def candidate(self) -> Candidate:
        """What is being tried."""
        return self._tried[-1].candidate

    def advance(self) -> bool:
        """Try the next candidate; False when none is left."""
        if not self._left:
            return False
        self._tried.append(Tried(self._left.pop(0)))
        return True

    def repeat(self) -> None:
        """Try the same candidate once more."""
        self._tried.append(Tried(self.candidate))

    def withdraw(self) -> None:
        """The candidate was not tried after all."""
        self._tried.pop()

    def end(self, outcome: str) -> None:
        """Note what came of the attempt."""
        self._tried[-1].outcome = outcome

    def rest(self, until: float) -> None:
        """Let the candidate's key rest until then, in seconds of the monotonic clock."""
        self._keyring.failed(self.candidate.upstream, self.candidate.key, until)

    def succeed(self) -> bool:
        """The upstream took the attempt; whether its key had rested before."""
        self.end("200")
        return self._keyring.worked(self.candidate.upstream, self.candidate.key)
