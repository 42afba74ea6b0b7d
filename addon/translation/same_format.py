"""Clients whose upstream speaks their own format: the client's bytes pass, patched where they
have to change.
"""

from collections.abc import Callable
from functools import partial
from typing import Protocol

from addon.formats.chat import patch_request as chat_request
from addon.formats.chat import patch_response as chat_response
from addon.formats.chat.carriers import Quirks
from addon.formats.chat.events import whole_of
from addon.formats.chat.fitting import fitted_tools
from addon.formats.chat.patch_request import ChatRequest
from addon.formats.chat.patch_stream import PatchStream as ChatStream
from addon.formats.messages import patch_request as messages_request
from addon.formats.messages import patch_response as messages_response
from addon.formats.messages.patch_stream import PatchStream as MessagesStream
from addon.formats.neutral.adapt import few_stops
from addon.formats.neutral.deltas import StreamError
from addon.formats.neutral.problem import Problem
from addon.formats.neutral.protocols import Relay
from addon.formats.neutral.turn import Turn, Usage
from addon.formats.responses import patch_request as responses_request
from addon.formats.responses import patch_response as responses_response
from addon.formats.responses.patch_stream import PatchStream as ResponsesStream
from addon.formats.wire.splice import Members, array_elements, array_text
from addon.formats.wire.sse import holds_events
from addon.mirror.stream import Mirroring
from addon.translation.abilities import (
    abilities_of,
    fit,
    is_anthropic,
    is_openai,
    limit_name,
    most_stops,
)
from addon.translation.call_ids import with_fitting_ids
from addon.translation.effort import chat_changes, overriding
from addon.translation.pair import Answered, ClientRequest, Encoded, Identity, Wanted, Whole

__all__ = ("ChatOverChat", "MessagesOverMessages", "ResponsesOverResponses")

_LIMITS = ("max_completion_tokens", "max_tokens")
"""Names of the limit of an answer's tokens; of both the first counts, as at OpenAI."""

_OPENAI = ("api.openai.com", ".openai.azure.com")
"""Models that reason know `max_completion_tokens` alone there
(https://platform.openai.com/docs/api-reference/chat).
"""


class ChatOverChat:
    """Chat Completions; no mixed body."""

    def __init__(self, request: ClientRequest, chat: ChatRequest, identity: Identity) -> None:
        self.request = request
        self._chat = chat
        self._identity = identity

    def body_for(self, wanted: Wanted) -> Encoded:
        wanted = with_fitting_ids(wanted, self._chat.messages)
        parts = self._chat.parts
        changes = chat_changes(wanted, parts) | _limit(parts, wanted) | _tools(parts, wanted)
        stops, notes = _stops(parts, wanted)
        changes |= stops
        edits = wanted.edits
        if not is_openai(wanted.upstream):
            edits = chat_request.with_system_role(self._chat, edits)
        body = chat_request.encode(
            self._chat, model=wanted.model, edits=edits, extra=list(changes.items())
        )
        return fit(Encoded(body, notes=notes), wanted, self.request)

    def relay(self, answered: Answered) -> Relay:
        relay = self._stream(answered.quirks)
        if answered.mirror:
            return Mirroring(relay, answered.mirror)
        return relay

    def whole(self, answered: Answered, body: bytes) -> Whole | None:
        def patched(answer: chat_response.Answer) -> bytes:
            body = answer.patched(model=self.request.model, mint=self._identity.mint)
            if answered.mirror:
                return answered.mirror.whole(body, answer.turns)
            return body

        as_stream = partial(chat_response.as_stream, hide_usage=not self.request.usage_asked)
        if holds_events(body):
            body = whole_of(body)
        answer = chat_response.decode(body, answered.quirks)
        return _whole(self.request, answer, patched, as_stream)

    def failed_end(self, problem: Problem) -> bytes:
        return self._stream(Quirks()).fail(problem)

    def _stream(self, quirks: Quirks) -> ChatStream:
        return ChatStream(
            model=self.request.model,
            hide_usage=not self.request.usage_asked,
            mint=self._identity.mint,
            quirks=quirks,
        )


class ResponsesOverResponses:
    """Responses; no body with items of another format."""

    def __init__(
        self,
        request: ClientRequest,
        patchable: responses_request.PatchableRequest,
        identity: Identity,
    ) -> None:
        self.request = request
        self._patchable = patchable
        self._identity = identity

    def body_for(self, wanted: Wanted) -> Encoded:
        wanted = with_fitting_ids(wanted, self.request.messages)
        target = responses_request.Target(
            model=wanted.model,
            abilities=abilities_of(wanted),
            edits=wanted.edits,
            unusable=wanted.unusable,
            effort=wanted.effort,
            override=overriding(wanted),
        )
        patched = self._patchable.body(target)
        return fit(Encoded(patched.body, notes=patched.notes), wanted, self.request)

    def relay(self, answered: Answered) -> Relay:
        return self._stream()

    def whole(self, answered: Answered, body: bytes) -> Whole | None:
        def patched(answer: responses_response.Answer) -> bytes:
            identity = self._identity
            return answer.patched(
                self._patchable.request, identity.head, mint=identity.mint, seal=identity.seal
            )

        answer = responses_response.decode(body)
        return _whole(self.request, answer, patched, responses_response.as_stream)

    def failed_end(self, problem: Problem) -> bytes:
        return self._stream().fail(problem)

    def _stream(self) -> ResponsesStream:
        identity = self._identity
        return ResponsesStream(
            self._patchable.request, identity.head, mint=identity.mint, seal=identity.seal
        )


class MessagesOverMessages:
    """Messages; no body with messages or tools of another format."""

    def __init__(
        self,
        request: ClientRequest,
        patchable: messages_request.PatchableRequest,
        identity: Identity,
    ) -> None:
        self.request = request
        self._patchable = patchable
        self._identity = identity

    def body_for(self, wanted: Wanted) -> Encoded:
        target = messages_request.Target(
            model=wanted.model,
            abilities=abilities_of(wanted),
            edits=wanted.edits,
            unusable=wanted.unusable,
            effort=wanted.effort,
            override=overriding(wanted),
            counts=wanted.counts,
            reads_billing_line=is_anthropic(wanted.upstream),
        )
        patched = self._patchable.body(target)
        return fit(Encoded(patched.body, notes=patched.notes), wanted, self.request)

    def relay(self, answered: Answered) -> Relay:
        return self._stream()

    def whole(self, answered: Answered, body: bytes) -> Whole | None:
        def patched(answer: messages_response.Answer) -> bytes:
            identity = self._identity
            return answer.patched(model=self.request.model, mint=identity.mint, seal=identity.seal)

        answer = messages_response.decode(body)
        return _whole(self.request, answer, patched, messages_response.as_stream)

    def failed_end(self, problem: Problem) -> bytes:
        return self._stream().fail(problem)

    def _stream(self) -> MessagesStream:
        identity = self._identity
        return MessagesStream(model=self.request.model, mint=identity.mint, seal=identity.seal)


class _Answer(Protocol):
    """What a format reads of an upstream's whole answer."""

    @property
    def turns(self) -> dict[int, Turn]: ...
    @property
    def usage(self) -> Usage | None: ...
    @property
    def error(self) -> StreamError | None: ...


def _whole[Answer: _Answer](
    request: ClientRequest,
    answer: Answer | None,
    patched: Callable[[Answer], bytes],
    as_stream: Callable[[bytes], bytes],
) -> Whole | None:
    """A whole answer that is patched once it goes to the client; None stays None."""
    if answer is None:
        return None

    def client_body() -> bytes:
        body = patched(answer)
        if request.stream:
            return as_stream(body)
        return body

    return Whole(answer.turns, answer.usage, answer.error, client_body)


def _limit(parts: Members, wanted: Wanted) -> dict[str, bytes]:
    """The limit of tokens under the name that the upstream knows, and under no other."""
    name = limit_name(wanted)
    limits = {name: raw for name, raw in parts if name in _LIMITS and raw != b"null"}
    if wanted.upstream.is_azure and not wanted.upstream.host.endswith(_OPENAI):
        return {}  # older versions of its API know `max_tokens` alone
    if not name or not limits.keys() - {name}:
        return {}
    given = limits.get(_LIMITS[0]) or limits[_LIMITS[1]]
    return dict.fromkeys(limits, b"") | {name: given}


def _stops(parts: Members, wanted: Wanted) -> tuple[dict[str, bytes], tuple[str, ...]]:
    """The stop sequences, no more than the upstream is known to take, and a note on the rest."""
    most = most_stops(wanted)
    given = array_elements(dict(parts).get("stop", b""))
    if not wanted.sure or most is None or len(given) <= most:
        return {}, ()
    return {"stop": array_text(given[:most])}, (few_stops(len(given), most),)


def _tools(parts: Members, wanted: Wanted) -> dict[str, bytes]:
    """The tools as the upstream takes them; without any, no choice among them."""
    given = dict(parts).get("tools")
    if given is None or not array_elements(given):
        return dict.fromkeys(("tools", "tool_choice", "parallel_tool_calls"), b"")
    if (tools := fitted_tools(given, abilities_of(wanted).schema)) is given:
        return {}
    return {"tools": tools}
