"""What an attempt comes to: another one, or a reply for the client."""

from collections.abc import Mapping
from typing import Protocol

import msgspec

from addon.exchange.answer import StreamedAnswer
from addon.exchange.upstream_request import Outgoing
from addon.formats.neutral.deltas import StreamError
from addon.formats.neutral.problem import Problem
from addon.ledger.outcome import Outcome
from addon.recall.commits import Storing
from addon.routing.candidates import Candidate

__all__ = ("Again", "Reply", "UpstreamCall", "Verdict")


class Reply(msgspec.Struct, frozen=True):
    """A whole answer for the client."""

    status: int
    headers: dict[str, str]
    body: bytes
    error_class: str = ""
    """Why it is no answer of a model, in a word; empty when it is one."""


class Again(msgspec.Struct, frozen=True):
    """The call's `outgoing` is the next attempt now."""


type Verdict = Again | Reply


class UpstreamCall(Protocol):
    """What an upstream is asked for a client: `outgoing` is the attempt to make, and every
    way in which it ends has a method.
    """

    @property
    def reserved(self) -> bool:
        """Whether it may be sent: the caller's quota allows it."""

    def reserve(self, *, give_up: bool) -> Reply | None:
        """Try again to reserve what it may use; the reply when that is refused, or given up."""

    @property
    def candidate(self) -> Candidate:
        """What is being tried."""

    @property
    def outgoing(self) -> Outgoing:
        """The attempt to make now."""

    @property
    def streams(self) -> bool:
        """Whether the client asked for a stream."""

    @property
    def storing(self) -> Storing:
        """What the end of the answer waits for."""

    def stream(self, headers: Mapping[str, str]) -> StreamedAnswer:
        """The upstream begins to stream. Raises Unreadable."""

    def accepted(self) -> None:
        """The upstream took the request."""

    def whole(self, status: int, headers: Mapping[str, str], body: bytes) -> Verdict:
        """The upstream's whole answer, not streamed."""

    def refused(self, status: int, headers: Mapping[str, str], body: bytes) -> Verdict:
        """The upstream answered with an error."""

    def unreachable(self, why: str) -> Verdict:
        """The upstream could not be reached or broke off before its answer began."""

    def stream_problem(self, error: StreamError) -> Problem:
        """How a failure of a running stream is told."""

    def failed_end(self, problem: Problem) -> bytes:
        """The end of a running stream that failed, in the client's format."""

    def outcome(self) -> Outcome:
        """What it has come to."""
