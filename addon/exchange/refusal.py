"""What becomes of an attempt that failed: the first of these that applies and can be done.

| The upstream's error                                    | What becomes of the attempt      |
| ------------------------------------------------------- | -------------------------------- |
| text: reasoning is missing or refused, no pictures, ... | repair: the body is made anew    |
| text: the conversation is too long                      | signal: Cursor summarises it     |
| 401, 402, 403, 408, 429, 5xx; no connection             | move on: the next candidate      |
| 401, 403 of the gateway's own keys                      | blame the keys                   |
| anything else, of a body milder than was learnt         | the body that was taken before   |
| anything else                                           | tell the client                  |
"""

from collections.abc import Callable, Iterable, Mapping
from functools import cached_property

from msgspec.structs import replace

from addon.admission import problems
from addon.exchange.arrival import Arrival
from addon.exchange.compaction import hears_usage, signal
from addon.exchange.current_attempt import CurrentAttempt
from addon.exchange.upstream_request import (
    inflated,
    labelled_json,
    returned,
    without_addresses,
    without_keys,
)
from addon.exchange.verdict import Again, Reply, Verdict
from addon.formats.neutral.deltas import StreamError
from addon.formats.neutral.problem import Problem
from addon.formats.tolerant.error_body import full_text
from addon.formats.tolerant.error_words import has_shape, message_of
from addon.ledger.audit import storable
from addon.routing.attempts import Tried
from addon.routing.complaints import fault, is_context_overflow
from addon.routing.failover import CONNECT_REST, classify_status
from addon.translation.pair import ClientRequest
from shared.security.keys import mask

__all__ = ("LADDER", "FailedAttempts", "Refusal", "stream_problem")

_LONGEST_WORDS = 300
"""Characters of an upstream's words that are kept with what they taught."""


class Refusal:
    """An upstream's error."""

    def __init__(self, status: int, headers: Mapping[str, str], body: bytes) -> None:
        self.status = status
        self.headers = headers
        self.body = inflated(headers, body)

    @cached_property
    def text(self) -> str:
        """All that it says, for pattern matching."""
        return full_text(self.body)

    def words(self, tried: Iterable[Tried]) -> str:
        """What it says of the request, shortened and without the keys that were tried."""
        message = message_of(self.body)
        if not fault(message):
            message = self.text  # the message of a gateway in between may say nothing
        return storable(_clean_text(message, tried))[:_LONGEST_WORDS]


class FailedAttempts:
    """Decides on the failures of one exchange."""

    def __init__(self, arrival: Arrival, request: ClientRequest, current: CurrentAttempt) -> None:
        self._arrival = arrival
        self._request = request
        self._current = current

    def refused(self, refusal: Refusal) -> Verdict:
        """The upstream answered with an error."""
        self._current.attempts.end(str(refusal.status))
        for step in LADDER:
            verdict = step(self, refusal)
            if verdict is not None:
                return verdict
        return self.tell(refusal)

    def unreachable(self, why: str) -> Verdict:
        """The upstream could not be reached or broke off before its answer began."""
        self._current.attempts.end(f"({why})")
        self._rest(CONNECT_REST, why)
        if self._current.move_on():
            return Again()
        name = self._current.candidate.upstream.name
        return self._arrival.reply(problems.unreachable(name, why))

    def repair(self, refusal: Refusal) -> Verdict | None:
        """Text names what can be mended: the same candidate gets another body."""
        words = refusal.words(self._current.attempts.tried)
        if self._current.repair(refusal.text, words):
            return Again()
        return None

    def signal(self, refusal: Refusal) -> Verdict | None:
        """Text says that the conversation is too long: Cursor summarises it by itself when
        it hears of a usage, where that is wanted.
        """
        wanted = self._current.candidate.upstream.compact_signal and hears_usage(self._request)
        if not wanted or not is_context_overflow(refusal.text):
            return None
        headers, body = signal(self._request, self._arrival.id, self._arrival.at // 1000)
        return Reply(200, headers, body, "context_overflow")

    def move_on(self, refusal: Refusal) -> Verdict | None:
        """Status 401, 402, 403, 408, 429 or 5xx: the key rests, the next candidate is tried."""
        now = self._arrival.services.clock.now_ms() / 1000
        failure = classify_status(refusal.status, refusal.headers, now_epoch=now)
        if failure is None:
            return None
        self._rest(failure.rest, f"it was answered with {refusal.status}")
        if self._current.move_on():
            return Again()
        return None

    def blame_keys(self, refusal: Refusal) -> Verdict | None:
        """Status 401 or 403 of keys that are not the caller's own: the operator must look."""
        if refusal.status not in (401, 403) or self._arrival.principal.upstream is not None:
            return None
        name, tried = self._current.candidate.upstream.name, self._current.attempts.tried
        keys = (one.candidate.key for one in tried if one.candidate.upstream.name == name)
        masked = ", ".join(dict.fromkeys(map(mask, keys)))
        message = _clean_text(message_of(refusal.body), tried)
        problem = problems.keys_refused(name, masked, refusal.status, message)
        return self._arrival.reply(problem)

    def end_trial(self, refusal: Refusal) -> Verdict | None:
        """Anything else, when the body tried whether a lesson still holds: it seems so."""
        if self._current.end_trial(refusal.words(self._current.attempts.tried)):
            return Again()
        return None

    def tell(self, refusal: Refusal) -> Verdict:
        """Anything else: the client is told, in the upstream's own words."""
        word, status = f"upstream_{refusal.status}", refusal.status
        headers, body = returned(refusal.headers), self._clean(refusal.body)
        if self._passes(body):
            status = self._arrival.status_for(status, "upstream_error")
            return Reply(status, labelled_json(headers), body, word)
        if status < 400:
            status = 502
        reply = self._arrival.reply(problems.told_by_upstream(status, message_of(body)))
        return replace(reply, headers=headers | reply.headers, error_class=word)

    def _clean(self, body: bytes) -> bytes:
        return _clean(body, self._current.attempts.tried)

    def _passes(self, body: bytes) -> bool:
        """Whether the client can read the upstream's error as it is."""
        theirs = _error_shape(self._current.candidate.upstream.api)
        ours = _error_shape(self._arrival.endpoint.wire_format)
        return theirs == ours and has_shape(ours, body)

    def _rest(self, seconds: float, why: str) -> None:
        """Let the current key rest, on this node and for the admins to see."""
        services, candidate = self._arrival.services, self._current.candidate
        self._current.attempts.rest(services.clock.monotonic() + seconds)
        services.rests.begin(candidate.upstream.name, candidate.key, seconds, why)


LADDER: tuple[Callable[[FailedAttempts, Refusal], Verdict | None], ...] = (
    FailedAttempts.repair,
    FailedAttempts.signal,
    FailedAttempts.move_on,
    FailedAttempts.blame_keys,
    FailedAttempts.end_trial,
)


def stream_problem(error: StreamError, tried: Iterable[Tried]) -> Problem:
    """How a failure of a running stream is told, without the keys that were tried."""
    return Problem(
        status=error.status,
        message=_clean_text(error.message, tried),
        code=error.code or "upstream_error",
        type="upstream_error",
    )


def _clean_text(text: str, tried: Iterable[Tried]) -> str:
    return _clean(text.encode(errors="replace"), tried).decode()


def _clean(body: bytes, tried: Iterable[Tried]) -> bytes:
    return without_addresses(without_keys(body, (one.candidate for one in tried)))


def _error_shape(wire_format: str) -> str:
    """Chat Completions and Responses tell errors in the same shape."""
    if wire_format == "responses":
        return "chat"
    return wire_format
