"""A client's request, read once: as text that can be patched, or as a neutral request.

Plain Chat Completions for upstreams that speak it are patched, so that all else stays byte
for byte. Every other combination goes through the neutral request.
"""

import re

import msgspec

from addon.formats import cursor, translate
from addon.formats.chat import patch_request
from addon.formats.chat.patch_request import ChatRequest
from addon.formats.neutral.protocols import Unseal
from addon.formats.neutral.request import Request, WireFormat
from addon.formats.neutral.turn import Message
from addon.formats.paths import Endpoint
from addon.formats.responses import request as responses_request
from addon.formats.responses.request import Past
from shared.config.schema import Upstream

__all__ = ("Asked", "is_patched_for", "read", "read_neutral")


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
    structured: bool
    """Whether the answer's text must have a shape, like JSON's."""

    plain: ChatRequest | None = None
    neutral: Request | None = None


def is_patched_for(upstream: Upstream, body: bytes) -> bool:
    """Whether an upstream gets a plain Chat Completions body as it is, but for what is restored."""
    refused = upstream.images == "refuse" and _PICTURE.search(body)
    return upstream.api == "chat" and not refused


_PICTURE = re.compile(rb'"type"\s*:\s*"(image|image_url|input_image|file|input_file)"')


def read(endpoint: Endpoint, body: bytes, unseal: Unseal, past: Past | None) -> Asked:
    """Read a request, as text that can be patched where that may do; `past` is what it may
    go on from.

    Raises RequestError.
    """
    if endpoint.wire_format == "chat" and cursor.is_plain(body):
        found = patch_request.decode(body, endpoint.deployment)
        # Cursor replays the calls of a custom tool after a switch to a mode that no longer
        # declares it.
        if all(
            call.arguments.lstrip()[:1] in ("", "{")
            for message in found.messages
            for call in message.calls
        ):
            return _plain(found)
    return read_neutral(endpoint, body, unseal, past)


def read_neutral(endpoint: Endpoint, body: bytes, unseal: Unseal, past: Past | None) -> Asked:
    """Read a request that some upstream gets in another format. Raises RequestError."""
    if endpoint.wire_format == "chat":
        found = cursor.decode(body, endpoint.deployment)
    elif endpoint.wire_format == "responses":
        found = responses_request.decode(body, past=past)
    else:
        found = translate.CLIENTS[endpoint.wire_format].decode(body)
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
        structured=any(name == "response_format" and b"json" in raw for name, raw in found.parts),
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
        structured=found.output_format is not None,
        neutral=found,
    )
