"""One request from its headers to settlement, without a socket: decoded, routed, restored, answered.

`open` takes the body; `outgoing` is the attempt to make. One that fails goes to `unreachable` or `refused`, which say
what the client is told, or nothing when `outgoing` now is the next attempt. One that succeeds goes to `stream` or
`whole`.
"""

import re
from collections.abc import Callable, Iterator, Mapping

import msgspec

from addon.answer import StreamedAnswer
from addon.formats.chat import request as chat_request
from addon.formats.chat import response as chat_response
from addon.formats.chat.error_body import full_text, message_of
from addon.formats.chat.request import ChatRequest
from addon.formats.deltas import StreamError
from addon.formats.errors import Problem, RequestError, error_body, status_for
from addon.formats.inflate import Inflate, Unreadable
from addon.formats.registry import Endpoint
from addon.formats.splice import scalar_text
from addon.formats.turn import Usage
from addon.reasoning.conversation import Conversation
from addon.reasoning.lessons import Lessons, steps_down
from addon.reasoning.profiles import Profile, builtin_profiles, choose_profile, says_reasoning_is_missing
from addon.reasoning.recall import Recall
from addon.reasoning.restore import Policy, Restoration
from addon.routing.candidates import Candidate, candidates
from addon.routing.failover import CONNECT_REST, classify_status
from addon.routing.keyring import Keyring
from addon.routing.router import known_models, routes
from shared.clock import Clock
from shared.config.schema import Snapshot
from shared.model import Principal
from shared.security.keys import mask

__all__ = ("Exchange", "Outgoing", "Reply", "Services", "Tried", "returned")


class Services(msgspec.Struct, frozen=True):
    """What every exchange works with."""

    recall: Recall
    lessons: Lessons
    keyring: Keyring
    clock: Clock
    id_key: bytes
    """Authenticates minted tool-call ids."""

    random: Callable[[int], bytes]


class Outgoing(msgspec.Struct, frozen=True):
    """A request for an upstream."""

    tls: bool
    host: str
    port: int
    target: str
    headers: list[tuple[str, str]]
    body: bytes


class Reply(msgspec.Struct, frozen=True):
    """A whole answer for the client."""

    status: int
    headers: dict[str, str]
    body: bytes


class Tried(msgspec.Struct):
    """One attempt and what came of it: an HTTP status, or a word."""

    candidate: Candidate
    outcome: str = ""


class _Prepared(msgspec.Struct):
    """A candidate's request body and how it came about."""

    endpoint: str
    body: bytes
    profile: Profile
    policy: Policy
    restoration: Restoration


_FORWARDED = ("accept", "http-referer", "idempotency-key", "user-agent", "x-title")
"""Request headers that upstreams get to see; everything else stays here."""

_SECRET_HEADER = re.compile("auth|key|token|secret|cookie", re.IGNORECASE)
_SHORTEST_SECRET = 8

_RETURNED = ("content-type", "openai-processing-ms", "request-id", "retry-after", "x-request-id")
_RETURNED_PREFIXES = ("x-ratelimit-", "anthropic-ratelimit-")


class Exchange:
    """The life of one chat request."""

    def __init__(
        self,
        services: Services,
        snapshot: Snapshot,
        principal: Principal,
        endpoint: Endpoint,
        headers: Mapping[str, str],
    ) -> None:
        self._services = services
        self._snapshot = snapshot
        self._endpoint = endpoint
        self._headers = headers
        self._remaining: list[Candidate] = []
        self._prepared: _Prepared | None = None
        self._conversation: Conversation | None = None
        self._repaired = False
        self._answer: StreamedAnswer | None = None
        self._usage: Usage | None = None
        self._began = services.clock.monotonic()
        self.first_byte: float | None = None
        """Seconds until the upstream's answer began."""

        self.principal = principal
        self.request: ChatRequest | None = None
        self.tried: list[Tried] = []

    def open(self, body: bytes) -> None:
        """Decode, route and restore; `outgoing` is ready then. Raises RequestError."""
        self.request = request = chat_request.decode(body, self._endpoint.deployment)
        self._remaining = list(self._candidates(request.model))
        self._conversation = Conversation(
            recall=self._services.recall,
            clock=self._services.clock,
            id_key=self._services.id_key,
            random=self._services.random,
            principal_id=self.principal.id,
            messages=request.messages,
            has_tools=request.has_tools,
        )
        self._advance()

    @property
    def streams(self) -> bool:
        """Whether the client asked for a stream."""
        return self.request is not None and self.request.stream

    @property
    def candidate(self) -> Candidate:
        """What is being tried."""
        return self.tried[-1].candidate

    @property
    def restoration(self) -> Restoration | None:
        return self._prepared.restoration if self._prepared else None

    @property
    def usage(self) -> Usage | None:
        return self._answer.usage if self._answer else self._usage

    @property
    def trouble(self) -> str:
        """What went wrong after the answer began, in a word, or empty."""
        return self._answer.error.code or "upstream_error" if self._answer and self._answer.error else ""

    @property
    def outgoing(self) -> Outgoing:
        """The attempt to make now."""
        assert self._prepared is not None
        upstream = self.candidate.upstream
        headers = [(name, self._headers[name]) for name in _FORWARDED if name in self._headers]
        headers += [
            ("host", _authority(upstream.host, upstream.port, upstream.scheme)),
            ("accept-encoding", "identity"),
            ("content-type", "application/json"),
        ]
        if self.candidate.key:
            headers.append(("authorization", f"Bearer {self.candidate.key}"))
        headers = [(name, text) for name, text in headers if name not in {given.lower() for given in upstream.headers}]
        headers += [*upstream.headers.items(), ("content-length", str(len(self._prepared.body)))]
        tls = upstream.scheme == "https"
        return Outgoing(tls, upstream.host, upstream.port, upstream.chat_path, headers, self._prepared.body)

    def summary(self) -> Iterator[str]:
        """One line per message: what it holds and how its turn was found; for debugging."""
        if self.request is None:
            return
        found = {one.at: one for one in self.restoration.diagnoses} if self.restoration else {}
        for at, message in enumerate(self.request.messages):
            calls = ",".join(call.name for call in message.calls)
            turn = f" turn={found[at].rule} {found[at].why}" if at in found else ""
            yield f"[{at}] {message.role}{' calls=' + calls if calls else ''}{turn.rstrip()}: {message.text}"

    def unreachable(self, why: str) -> Reply | None:
        """The upstream could not be reached or broke off before its answer began."""
        self.tried[-1].outcome = f"({why})"
        self._rest(CONNECT_REST)
        if self._next():
            return None
        name = self.candidate.upstream.name
        message = f"The upstream '{name}' could not be reached ({why}): try again, or check its base_url."
        return self.reply(Problem(status=502, message=message, code="upstream_unreachable", type="upstream_error"))

    def refused(self, status: int, headers: Mapping[str, str], body: bytes) -> Reply | None:
        """The upstream answered with an error."""
        self.tried[-1].outcome = str(status)
        body = _inflated(headers, body)
        if says_reasoning_is_missing(full_text(body)) and self._repair():
            return None
        failure = classify_status(status, headers, now_epoch=self._services.clock.now_ms() / 1000)
        if failure is not None:
            self._rest(failure.rest)
            if self._next():
                return None
        if status in (401, 403) and self.principal.upstream is None:
            return self.reply(self._keys_refused(status, message_of(body)))
        return Reply(self._status(status), returned(headers), self._without_keys(body))

    def stream(self, headers: Mapping[str, str]) -> StreamedAnswer:
        """The upstream begins to stream. Raises Unreadable."""
        assert self.request is not None
        self._answer = StreamedAnswer(
            model=self.request.model,
            hide_usage=not self.request.usage_asked,
            mint=self._talk.mint,
            remember=self._talk.remember,
            content_encoding=headers.get("content-encoding", ""),
        )
        return self._answer

    def accepted(self) -> None:
        """The upstream took the request: its key works, what it was sent binds, a repair is a lesson."""
        assert self._prepared is not None
        self.tried[-1].outcome = "200"
        self.first_byte = self._services.clock.monotonic() - self._began
        self._services.keyring.worked(self.candidate.upstream, self.candidate.key)
        self._talk.accepted(self._prepared.restoration)
        if self._repaired:
            self._learn(self._prepared.policy)

    def whole(self, status: int, headers: Mapping[str, str], body: bytes) -> Reply | None:
        """The upstream's whole answer, not streamed; None as for `refused`."""
        assert self.request is not None
        try:
            body = Inflate(headers.get("content-encoding", "")).feed(body)
        except Unreadable as error:
            return self.reply(_malformed(str(error)))
        answer = chat_response.decode(body)
        if answer is None:
            return self.reply(_malformed("the upstream's answer is not a JSON object"))
        if answer.error is not None:
            return self.refused(answer.error.status, headers, body)
        self._usage = answer.usage
        self.accepted()
        self._talk.remember(answer.turns, complete=True, durable=True)
        patched = answer.patched(model=self.request.model, mint=self._talk.mint)
        if self.request.stream:  # the upstream does not stream; its client reads nothing else
            return Reply(status, {"content-type": "text/event-stream"}, chat_response.as_stream(patched))
        return Reply(status, returned(headers), patched)

    def reply(self, problem: Problem) -> Reply:
        """What the client is told of a problem, in its format."""
        headers = {"content-type": "application/json"}
        if problem.retry_after:
            headers["retry-after"] = problem.retry_after
        status = status_for(problem, self._headers.get("user-agent", ""))
        return Reply(status, headers, error_body(self._endpoint.wire_format, problem))

    def stream_problem(self, error: StreamError) -> Problem:
        """How a failure of a running stream is told."""
        message = self._without_keys(error.message.encode(errors="replace")).decode()
        return Problem(status=error.status, message=message, code=error.code or "upstream_error", type="upstream_error")

    @property
    def _talk(self) -> Conversation:
        assert self._conversation is not None
        return self._conversation

    def _candidates(self, model: str) -> list[Candidate]:
        upstreams = self._snapshot.upstreams
        if not upstreams:
            raise RequestError(_no_upstream())
        found = candidates(
            routes(upstreams, model), self._services.keyring, self.principal, self._services.clock.monotonic()
        )
        if not found:
            raise RequestError(_unknown_model(model, known_models(upstreams)))
        return list(found)

    def _advance(self) -> None:
        """Make the next candidate the current one; its body is made anew only when it differs from the last one's."""
        candidate = self._remaining.pop(0)
        self.tried.append(Tried(candidate))
        if self._prepared is None or self._prepared.endpoint != self._endpoint_name:
            profile = choose_profile(
                builtin_profiles(),
                name=candidate.upstream.profile,
                host=candidate.upstream.host,
                model=candidate.model,
            )
            self._prepared = self._prepare(profile, self._services.lessons.policy(self._endpoint_name, profile))
            self._repaired = False

    def _next(self) -> bool:
        """Move on to the next candidate; False when there is none that would take the request."""
        while self._remaining:
            try:
                self._advance()
            except RequestError:
                self.tried.pop()  # its profile rejects what is not known; what the upstream before it said is told
                continue
            return True
        return False

    def _prepare(self, profile: Profile, policy: Policy) -> _Prepared:
        assert self.request is not None
        restoration = self._talk.restore(profile, policy)
        if restoration.rejected is not None:
            raise RequestError(_reasoning_unknown(restoration.rejected.at, restoration.rejected.why))
        off = profile.off if restoration.thinking_off else {}
        extra = [(name, scalar_text(switch)) for name, switch in off.items()]
        body = chat_request.encode(self.request, model=self.candidate.model, edits=restoration.edits, extra=extra)
        return _Prepared(self._endpoint_name, body, profile, policy, restoration)

    def _repair(self) -> bool:
        """Try the same candidate once more, the mildest step further down that changes what is sent."""
        assert self._prepared is not None
        refused = self._prepared
        steps = steps_down(refused.profile, refused.policy)
        if self._repaired:
            if steps:
                self._learn(steps[0])
            return False
        for policy in steps:
            if policy.step == "reject":
                self._learn(policy)
                return False
            prepared = self._prepare(refused.profile, policy)
            if prepared.body != refused.body:
                self._prepared, self._repaired = prepared, True
                self.tried.append(Tried(self.candidate))
                return True
        return False

    def _learn(self, policy: Policy) -> None:
        assert self._prepared is not None
        self._services.lessons.learn(self._endpoint_name, self._prepared.profile, policy)

    @property
    def _endpoint_name(self) -> str:
        return f"{self.candidate.upstream.name} {self.candidate.model}"

    def _rest(self, seconds: float) -> None:
        until = self._services.clock.monotonic() + seconds
        self._services.keyring.failed(self.candidate.upstream, self.candidate.key, until)

    def _status(self, status: int) -> int:
        """Cursor shows the text of a 400 only; of an overloaded or failing upstream it retries by itself."""
        is_cursor = self._headers.get("user-agent", "").startswith("Cursor/")
        return 400 if is_cursor and 400 <= status < 500 and status != 429 else status

    def _keys_refused(self, status: int, said: str) -> Problem:
        name = self.candidate.upstream.name
        keys = (one.candidate.key for one in self.tried if one.candidate.upstream.name == name)
        tried = ", ".join(dict.fromkeys(map(mask, keys)))
        message = f"The upstream '{name}' refused the gateway's key {tried} ({status}): its api_keys need a look."
        if said:
            message += f" It says: {self._without_keys(said.encode(errors='replace')).decode()}"
        return Problem(status=502, message=message, code="upstream_auth_error", type="upstream_error")

    def _without_keys(self, body: bytes) -> bytes:
        """Upstreams echo keys in their errors."""
        for secret in {secret for one in self.tried for secret in _secrets(one.candidate)}:
            body = body.replace(secret.encode(), mask(secret).encode())
        return body


def _secrets(candidate: Candidate) -> Iterator[str]:
    """Its key, and the keys that stand in headers of its own."""
    if candidate.key:
        yield candidate.key
    for name, text in candidate.upstream.headers.items():
        secret = text.rpartition(" ")[2]
        if _SECRET_HEADER.search(name) and len(secret) >= _SHORTEST_SECRET:
            yield secret


def _authority(host: str, port: int, scheme: str) -> str:
    bare = f"[{host}]" if ":" in host else host
    return bare if port == (443 if scheme == "https" else 80) else f"{bare}:{port}"


def returned(headers: Mapping[str, str]) -> dict[str, str]:
    """The upstream's response headers that clients get to see."""
    return {name: text for name, text in headers.items() if name in _RETURNED or name.startswith(_RETURNED_PREFIXES)}


def _inflated(headers: Mapping[str, str], body: bytes) -> bytes:
    try:
        return Inflate(headers.get("content-encoding", "")).feed(body)
    except Unreadable:
        return body


def _malformed(why: str) -> Problem:
    return Problem(status=502, message=f"{why[:1].upper()}{why[1:]}.", code="upstream_malformed", type="upstream_error")


def _no_upstream() -> Problem:
    message = (
        "No upstream is configured yet: set UPSTREAM_BASE_URL and UPSTREAM_API_KEY, or [[upstreams]] in config.toml."
    )
    return Problem(status=503, message=message, code="no_upstream", type="server_error")


def _unknown_model(model: str, known: list[str]) -> Problem:
    there = ", ".join(known[:50]) or "none by name"
    message = f"The model '{model[:200]}' is not served here. Models there are: {there}."
    return Problem(status=400, message=message, code="model_not_found", param="model")


def _reasoning_unknown(at: int, why: str) -> Problem:
    message = f"The reasoning of message {at} is not known ({why}): start a new chat, or remove that message."
    return Problem(status=400, message=message, code="reasoning_not_known", param=f"messages[{at}]")
