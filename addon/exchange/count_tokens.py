"""A question for the tokens of a request: the upstream that would answer it is asked when
it counts, else they are estimated. It uses no tokens and is in no books, but it is work:
its caller's limits hold, and no spent quota asks.

https://platform.claude.com/docs/en/api/messages-count-tokens,
https://platform.openai.com/docs/api-reference/responses/input-tokens
"""

from collections.abc import Mapping

from msgspec.structs import replace

from addon.exchange.answer import StreamedAnswer
from addon.exchange.arrival import Arrival
from addon.exchange.current_attempt import Prepared
from addon.exchange.estimate import prompt_tokens
from addon.exchange.refusal import stream_problem
from addon.exchange.upstream_request import Outgoing, inflated, outgoing_to
from addon.exchange.verdict import Reply, Verdict
from addon.formats.messages.listing import decode_count, encode_count
from addon.formats.neutral.deltas import StreamError
from addon.formats.neutral.problem import Problem, RequestError, error_body
from addon.formats.responses.listing import encode_input_tokens
from addon.ledger.limiter import Ticket
from addon.ledger.outcome import Outcome
from addon.recall.commits import Storing
from addon.routing.candidates import Candidate

__all__ = ("CountTokens",)

_JSON = {"content-type": "application/json"}

_PATHS = {"messages": "count_tokens", "responses": "input_tokens"}
"""Where upstreams of a format are asked, below where they answer."""


class CountTokens:
    """One such question; whatever goes wrong at the upstream, there is an estimate."""

    streams = False
    storing = Storing()
    """Nothing of it is remembered."""

    def __init__(self, arrival: Arrival, ticket: Ticket, prepared: Prepared) -> None:
        self._arrival = arrival
        self._ticket = ticket
        self._request = prepared.pair.request
        self._current = prepared.current
        self._conversation_id = prepared.conversation_id

    def estimate_unless_counted(self) -> Reply | None:
        """The reply when no upstream is to be asked, as none that counts would answer."""
        if self.candidate.upstream.api in ("messages", self._arrival.endpoint.wire_format):
            return None
        return self._estimate()

    @property
    def reserved(self) -> bool:
        """Whether it may be sent: its caller's limits have let it begin."""
        return self._ticket.begun

    @property
    def candidate(self) -> Candidate:
        """Who is asked."""
        return self._current.candidate

    @property
    def outgoing(self) -> Outgoing:
        """The question as it goes to the upstream."""
        body = self._current.body.encoded.body
        request = outgoing_to(self.candidate, self._arrival.headers, body)
        path, mark, query = request.target.partition("?")
        below = _PATHS[self.candidate.upstream.api]
        return replace(request, target=f"{path}/{below}{mark}{query}")

    def unreachable(self, why: str) -> Verdict:
        return self._estimate()

    def refused(self, status: int, headers: Mapping[str, str], body: bytes) -> Verdict:
        return self._estimate()

    def whole(self, status: int, headers: Mapping[str, str], body: bytes) -> Verdict:
        """The upstream's count."""
        body = inflated(headers, body)
        tokens = decode_count(body)
        if tokens is None:
            return self._estimate()
        if self.candidate.upstream.api == self._arrival.endpoint.wire_format:
            return Reply(200, _JSON, body)  # with what else it says, like `context_management`
        return Reply(200, _JSON, self._told(tokens))

    def reserve(self, *, give_up: bool) -> Reply | None:
        """Try again to let it begin; the reply when a limit does not, or it is given up."""
        try:
            self._arrival.services.meter.begin(self._ticket, give_up=give_up)
        except RequestError as error:
            return self._arrival.reply(error.problem)
        return None

    def stream(self, headers: Mapping[str, str]) -> StreamedAnswer:
        raise RuntimeError("a count is not streamed")

    def accepted(self) -> None:
        """Nothing binds: the model has seen none of it."""

    def stream_problem(self, error: StreamError) -> Problem:
        """What is wrong with an answer that broke off."""
        return stream_problem(error, self._current.attempts.tried)

    def failed_end(self, problem: Problem) -> bytes:
        return error_body(self._arrival.endpoint.wire_format, problem)

    def outcome(self) -> Outcome:
        """What the log is told of it."""
        tried = self._current.attempts.tried
        return Outcome(
            entry=self._arrival.entry(self._request, self._conversation_id, tried),
            restoration=self._current.body.restoration,
            tries=tried,
            messages=self._request.messages,
        )

    def _estimate(self) -> Reply:
        ratio = self._arrival.services.meter.ratio(self.candidate.model)
        body = self._current.body.encoded.body
        tokens = prompt_tokens(self._request.messages, body, ratio)
        return Reply(200, _JSON | {"x-thinkback-tokens": "estimated"}, self._told(tokens))

    def _told(self, tokens: int) -> bytes:
        """The count as the client's format tells it."""
        if self._arrival.endpoint.wire_format == "responses":
            return encode_input_tokens(tokens)
        return encode_count(tokens)
