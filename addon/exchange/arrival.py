"""A request of which the headers have come: who asks, for what, and when."""

from collections.abc import Mapping
from typing import Any

import msgspec

from addon.admission import problems
from addon.exchange.services import Services
from addon.exchange.verdict import Reply
from addon.formats.neutral.problem import Problem, error_body
from addon.formats.paths import Endpoint
from addon.routing.attempts import Tried
from addon.translation.pair import ClientRequest
from shared.config.schema import Snapshot
from shared.model import Principal
from shared.security.keys import suffix
from shared.store.ledger import Entry

__all__ = ("Arrival",)


class Arrival(msgspec.Struct, frozen=True, kw_only=True):
    """What stays the same in all of an exchange."""

    services: Services
    snapshot: Snapshot
    principal: Principal
    endpoint: Endpoint
    headers: Mapping[str, str]
    """The client's, with names in lower case."""

    id: str
    at: int
    """Epoch milliseconds."""

    began: float
    """The same moment in seconds of the monotonic clock."""

    def reply(self, problem: Problem) -> Reply:
        """What the client is told of a problem, in its format."""
        headers = {"content-type": "application/json"}
        if problem.retry_after:
            headers["retry-after"] = problem.retry_after
        if problem.code == "insufficient_quota":
            headers["x-should-retry"] = "false"  # OpenAI's and Anthropic's libraries heed it
        status = self.status_for(problem.status, problem.code)
        body = error_body(self.endpoint.wire_format, problem)
        return Reply(status, headers, body, problem.code)

    def status_for(self, status: int, code: str) -> int:
        """The status with which this client gets an error."""
        return problems.status_for(status, code, self.headers.get("user-agent", ""))

    def entry(
        self, request: ClientRequest | None, conversation: str, tried: tuple[Tried, ...]
    ) -> Entry:
        """What the ledger is told of who asks for what, and of the candidate that was tried
        last; `request` is None as long as nobody knows what is asked.
        """
        known: dict[str, Any] = {}
        if user := self.principal.user:
            known["user_id"], known["username"] = user.id, user.username
        if key := self.principal.key:
            known["key_id"] = key.id
        if request is not None:
            known["model"], known["streamed"] = request.model, request.stream
        if tried:
            candidate = tried[-1].candidate
            known["upstream"], known["upstream_model"] = candidate.upstream.name, candidate.model
            known["upstream_key"] = suffix(candidate.key)
        return Entry(
            exchange=self.id,
            at=self.at,
            key_suffix=self.principal.key_suffix,
            format=self.endpoint.wire_format,
            attempts=len(tried),
            conversation=conversation,
            **known,
        )
