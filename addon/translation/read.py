"""A client's request, read once, for the pair that it will be one side of."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import msgspec

from addon.formats import cursor, translate
from addon.formats.chat import patch_request
from addon.formats.chat.patch_request import ChatRequest
from addon.formats.messages import patch_request as messages_patch
from addon.formats.messages import request as messages_request
from addon.formats.neutral.protocols import Unseal
from addon.formats.neutral.request import Request, WireFormat, outline_of
from addon.formats.neutral.request import cut as cut_body
from addon.formats.paths import Endpoint
from addon.formats.responses import patch_request as responses_patch
from addon.formats.responses import request as responses_request
from addon.formats.responses.request import Past
from addon.formats.wire.lenient import as_dict, as_str, decode_leniently
from addon.formats.wire.pieces import Cut
from addon.formats.wire.splice import Members
from addon.translation.across_formats import AcrossFormats
from addon.translation.pair import ByUpstream, ClientRequest, Identity, Pair
from addon.translation.same_format import (
    ChatOverChat,
    MessagesOverMessages,
    ResponsesOverResponses,
)
from shared.config.schema import Upstream

__all__ = ("ClientSide", "read")

_OBJECT = msgspec.json.Decoder(dict[str, Any])
_TEXT = msgspec.json.Decoder(str)


class ClientSide(msgspec.Struct, frozen=True):
    """A client's request, decoded."""

    request: ClientRequest
    pair: Callable[[Identity], Pair]
    """Joins it with the upstreams, for an answer of this identity."""

    takes: Callable[[Upstream], bool] = lambda upstream: True
    """Whether the pair has words for an upstream."""

    translated: "Callable[[], ClientSide] | None" = None
    """The same, decoded for upstreams of any kind. Raises RequestError."""

    def for_upstreams(self, upstreams: Sequence[Upstream]) -> "ClientSide":
        """The side of a pair that has words for all these upstreams. Raises RequestError."""
        if self.translated is None or all(map(self.takes, upstreams)):
            return self
        return self.translated()


def read(
    endpoint: Endpoint, body: bytes, unseal: Unseal, past: Past | None, cut: Cut | None = None
) -> ClientSide:
    """Decode a request; `past` is what it may go on from, `cut` the body in pieces if it can be
    cut so. Raises RequestError.
    """
    parts = cut_body(body) if cut is None else outline_of(cut)
    translated = partial(_translated, endpoint, body, parts, unseal, past)
    if endpoint.wire_format == "chat" and cursor.is_plain(parts, cut):
        chat = patch_request.decode(body, endpoint.deployment, parts=parts, cut=cut)
        if not chat.replays_custom_calls:
            return _chat_side(chat, translated)
    if endpoint.wire_format == "responses":
        responses = responses_patch.decode(body, past=past, unseal=unseal, parts=parts, cut=cut)
        if responses.is_native:
            return _mixed_side(ResponsesOverResponses, endpoint, responses)
    if endpoint.wire_format == "messages":
        messages = messages_patch.decode(body, unseal=unseal, parts=parts, cut=cut)
        if messages is not None:
            return _mixed_side(MessagesOverMessages, endpoint, messages)
    return translated()


def _mixed_side[Patchable: (responses_patch.PatchableRequest, messages_patch.PatchableRequest)](
    same_format: Callable[[ClientRequest, Patchable, Identity], Pair],
    endpoint: Endpoint,
    patchable: Patchable,
) -> ClientSide:
    """The side of a pair that patches for some upstreams and translates for others."""
    neutral = patchable.request
    request = _request_of(endpoint.wire_format, neutral)

    def pair(identity: Identity) -> Pair:
        same = same_format(request, patchable, identity)
        return ByUpstream(same, AcrossFormats(request, neutral, identity))

    return ClientSide(request, pair)


def _chat_side(chat: ChatRequest, translated: Callable[[], ClientSide]) -> ClientSide:
    request = _chat_request(chat)
    takes = partial(_takes_chat, chat.pictured)
    return ClientSide(request, partial(ChatOverChat, request, chat), takes, translated)


def _takes_chat(pictured: bool, upstream: Upstream) -> bool:
    """Whether a chat body may go as it is; pictures are refused by decoding them."""
    return upstream.api == "chat" and not (upstream.images == "refuse" and pictured)


def _translated(
    endpoint: Endpoint, body: bytes, parts: Members, unseal: Unseal, past: Past | None
) -> ClientSide:
    """Decode a request for upstreams of any format."""
    if endpoint.wire_format == "chat":
        neutral = cursor.decode(body, endpoint.deployment, parts)
    elif endpoint.wire_format == "responses":
        neutral = responses_request.decode(body, past=past, parts=parts)
    else:
        neutral = messages_request.decode(body, parts)
    neutral = translate.opened(neutral, unseal)
    request = _request_of(endpoint.wire_format, neutral)
    return ClientSide(request, partial(AcrossFormats, request, neutral))


def _chat_request(chat: ChatRequest) -> ClientRequest:
    found = dict(chat.parts)
    return ClientRequest(
        wire_format="chat",
        model=chat.model,
        stream=chat.stream,
        has_tools=chat.has_tools,
        messages=chat.messages,
        max_tokens=chat.max_tokens,
        choices=chat.choices,
        usage_asked=chat.usage_asked,
        structured=b"json" in found.get("response_format", b""),
        metadata=decode_leniently(_OBJECT, found.get("metadata", b"null")) or {},
        cache_key=decode_leniently(_TEXT, found.get("prompt_cache_key", b"null")) or "",
    )


def _request_of(wire_format: WireFormat, neutral: Request) -> ClientRequest:
    limit = neutral.max_tokens
    if limit is not None and limit < 0:  # some servers take -1 for no limit
        limit = None
    return ClientRequest(
        wire_format=wire_format,
        model=neutral.model,
        stream=neutral.stream,
        has_tools=bool(neutral.tools or neutral.loaded or neutral.hosted),
        messages=neutral.messages,
        max_tokens=limit,
        choices=1,
        usage_asked=neutral.usage_asked,
        structured=neutral.output_format is not None,
        metadata=neutral.metadata or as_dict(neutral.extra.get("metadata")),
        user=neutral.user,
        cache_key=as_str(neutral.extra.get("prompt_cache_key")),
    )
