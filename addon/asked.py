"""A client's request, read once, and how each upstream gets it.

Plain Chat Completions for upstreams that speak it are patched, so that all else stays byte for byte. Every other
combination goes through the neutral request.
"""

from collections.abc import Mapping
from functools import partial
from typing import Any

import msgspec
from msgspec.structs import replace

from addon.formats import translate
from addon.formats.answering import Unseal
from addon.formats.chat import neutral as chat_neutral
from addon.formats.chat import request as chat_request
from addon.formats.chat.request import ChatRequest
from addon.formats.lowering import Abilities, lowered
from addon.formats.messages.claude import is_claude, takes_budgets_only, takes_sampling
from addon.formats.registry import Endpoint
from addon.formats.request import Request, WireFormat, refused
from addon.formats.splice import members, object_text, scalar_text
from addon.formats.turn import Edit, Message, Reasoning
from shared.config.schema import Upstream

__all__ = ("Asked", "Encoded", "abilities_of", "read", "read_neutral")


class Encoded(msgspec.Struct, frozen=True):
    """A body for an upstream."""

    body: bytes
    custom: frozenset[str] = frozenset()
    """Custom tools that the upstream knows as functions."""

    notes: tuple[str, ...] = ()
    """What the upstream does not get, in words."""


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """One request; exactly one of `plain` and `neutral` is set."""

    client: WireFormat
    """The format it is answered in."""

    model: str
    stream: bool
    has_tools: bool
    messages: list[Message]
    max_tokens: int | None
    usage_asked: bool
    plain: ChatRequest | None = None
    neutral: Request | None = None

    def encode(
        self,
        upstream: WireFormat,
        *,
        model: str,
        edits: dict[int, Edit],
        extra: Mapping[str, Any],
        effort: str,
        abilities: Abilities,
        unusable: frozenset[str],
    ) -> Encoded:
        """The body for an upstream; `extra` members replace or extend its top level. Raises RequestError.

        `effort`, if any, wins over the client's; state in `unusable` stays here.
        """
        added = [(name, scalar_text(given)) for name, given in extra.items()]
        if self.plain is not None:
            if effort:
                added.append(("reasoning_effort", scalar_text(effort)))
            return Encoded(chat_request.encode(self.plain, model=model, edits=edits, extra=added))
        assert self.neutral is not None
        request = translate.opened(translate.restored(self.neutral, edits), partial(_usable, unusable))
        if effort:
            request = replace(request, thinking=replace(request.thinking, effort=effort))
        fit = lowered(request, abilities)
        body = translate.UPSTREAMS[upstream].encode(fit.request, model, abilities)
        if added:
            body = object_text([*(part for part in members(body) if part[0] not in extra), *added])
        return Encoded(body, fit.custom, fit.notes)


def abilities_of(upstream: Upstream, model: str) -> Abilities:
    """What an upstream takes of a request for a model, as configured and as is known of its host."""
    claude = is_claude(model)
    return Abilities(
        custom_tools=upstream.api == "responses",
        completion_tokens=upstream.is_azure or upstream.host == "api.openai.com",
        adaptive_thinking=claude and not takes_budgets_only(model),
        unsigned_thinking=not claude,
        sampling=not claude or takes_sampling(model),
        caches=claude,
        images=upstream.images,
        files=upstream.images,
    )


def _usable(unusable: frozenset[str], reasoning: Reasoning) -> Reasoning | None:
    """The piece without state that the upstream can't use; None when nothing is left of it."""
    if reasoning.opaque not in unusable:
        return reasoning
    return replace(reasoning, opaque="", carrier="", id="") if reasoning.quoted else None


def read(endpoint: Endpoint, body: bytes, unseal: Unseal) -> Asked:
    """Read a request, as text that can be patched where that may do. Raises RequestError."""
    if endpoint.wire_format == "chat" and chat_neutral.is_plain(body):
        return _plain(chat_request.decode(body, endpoint.deployment))
    return read_neutral(endpoint, body, unseal)


def read_neutral(endpoint: Endpoint, body: bytes, unseal: Unseal) -> Asked:
    """Read a request that some upstream gets in another format. Raises RequestError."""
    if endpoint.wire_format == "chat":
        found = chat_neutral.decode(body, endpoint.deployment)
    else:
        found = translate.CLIENTS[endpoint.wire_format].decode(body)
    if found.previous_response_id:
        message = "Answers are not stored here: send the whole conversation instead of 'previous_response_id'."
        raise refused("unsupported_parameter", message, "previous_response_id")
    return _neutral(endpoint.wire_format, translate.opened(found, unseal))


def _plain(found: ChatRequest) -> Asked:
    return Asked(
        client="chat",
        model=found.model,
        stream=found.stream,
        has_tools=found.has_tools,
        messages=found.messages,
        max_tokens=found.max_tokens,
        usage_asked=found.usage_asked,
        plain=found,
    )


def _neutral(client: WireFormat, found: Request) -> Asked:
    return Asked(
        client=client,
        model=found.model,
        stream=found.stream,
        has_tools=bool(found.tools or found.hosted),
        messages=found.messages,
        max_tokens=found.max_tokens,
        usage_asked=found.usage_asked,
        neutral=found,
    )
