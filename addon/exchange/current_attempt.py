"""The attempt that is being made: a candidate, and the body that it gets."""

import msgspec

from addon.exchange.upstream_bodies import UpstreamBodies, UpstreamBody
from addon.formats.neutral.problem import RequestError
from addon.recall.commits import Storing
from addon.recall.replay import Replay
from addon.routing.attempts import Attempts
from addon.routing.candidates import Candidate
from addon.translation.pair import Pair

__all__ = ("CurrentAttempt", "Prepared")


class CurrentAttempt:
    """Moves on to the next candidate, or to a repaired body for the same."""

    def __init__(self, attempts: Attempts, bodies: UpstreamBodies) -> None:
        """Begins with the first candidate. Raises RequestError when it can't get a body."""
        self.attempts = attempts
        self._bodies = bodies
        attempts.advance()
        self.body: UpstreamBody = bodies.make(attempts.candidate, None)

    @property
    def candidate(self) -> Candidate:
        return self.attempts.candidate

    def move_on(self) -> bool:
        """Take the next candidate; False when none is left that can get a body."""
        while self.attempts.advance():
            try:
                self.body = self._bodies.make(self.candidate, self.body)
            except RequestError:
                # Its profile rejects what is not known; what the one before said is told.
                self.attempts.withdraw()
                continue
            return True
        return False

    def renew(self) -> None:
        """Take the body that fits what has been reserved since it was made. Raises RequestError."""
        self.body = self._bodies.make(self.candidate, self.body)

    def repair(self, complaint: str, words: str) -> bool:
        """Take the same candidate once more, if what its error says in full (`full_text`)
        can be mended; `words` is that for people.
        """
        body = self._bodies.repaired(self.candidate, self.body, complaint, words)
        if body is None:
            return False
        self.body = body
        self.attempts.repeat()
        return True

    def end_trial(self, words: str) -> bool:
        """Take the same candidate once more, with what it is known to take, if it refused
        something milder in these words.
        """
        body = self._bodies.end_trial(self.candidate, self.body, words)
        if body is None:
            return False
        self.body = body
        self.attempts.repeat()
        return True

    def accepted(self) -> bool:
        """The upstream took the body, and what it was sent binds; whether its key had
        rested before.
        """
        self._bodies.accepted(self.body)
        return self.attempts.succeed()


class Prepared(msgspec.Struct, frozen=True, kw_only=True):
    """A request that is ready for its upstreams."""

    pair: Pair
    replay: Replay
    current: CurrentAttempt
    conversation_id: str
    """As in `conversation_of`."""

    storing: Storing
    """What the end of the answer waits for."""
