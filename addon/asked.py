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
from addon.formats.messages.claude import is_claude, takes_budgets, takes_budgets_only, takes_sampling
from addon.formats.messages.thinking import effort_of
from addon.formats.registry import Endpoint
from addon.formats.request import Request, Thinking, WireFormat
from addon.formats.responses import request as responses_request
from addon.formats.responses.request import Past
from addon.formats.splice import Members, members, object_text, scalar_text, value
from addon.formats.turn import Edit, Message, Reasoning
from shared.config.schema import EFFORTS, Upstream
from shared.profiles import Profile, kept_members, thinking_members

__all__ = ("Asked", "Encoded", "abilities_of", "is_patched_for", "read", "read_neutral")


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
        profile: Profile,
        thinking_off: bool,
        effort: str,
        abilities: Abilities,
        unusable: frozenset[str],
    ) -> Encoded:
        """The body for an upstream of the profile. Raises RequestError.

        `effort`, if any, wins over the client's; state in `unusable` stays here.
        """
        if self.plain is not None:
            knobs = _knobs(profile, effort or _said_by(self.plain, profile), thinking_off=thinking_off)
            parts = _without(self.plain.parts, _EFFORT if knobs else "")
            added = _texts(knobs | _kept(profile, parts, knobs))
            return Encoded(chat_request.encode(replace(self.plain, parts=parts), model=model, edits=edits, extra=added))
        assert self.neutral is not None
        request = translate.opened(translate.restored(self.neutral, edits), partial(_usable, unusable))
        if effort:
            request = replace(request, thinking=_told(request.thinking, effort))
        fit = lowered(request, abilities)
        body = translate.UPSTREAMS[upstream].encode(fit.request, model, abilities)
        return Encoded(self._tuned(body, upstream, profile, request, thinking_off), fit.custom, fit.notes)

    def _tuned(
        self, body: bytes, upstream: WireFormat, profile: Profile, request: Request, thinking_off: bool
    ) -> bytes:
        """The body that tells the upstream in its own members how hard to think."""
        chat = upstream == "chat"
        wanted = _wanted(request) if chat else ""
        changes = _knobs(profile, wanted, thinking_off=thinking_off) if chat else profile.off if thinking_off else {}
        parts = members(body) if changes or (chat and profile.keep) else []
        if chat:
            parts = _without(parts, _EFFORT if changes else "")
            changes = changes | _kept(profile, parts, changes)
        return object_text([*(one for one in parts if one[0] not in changes), *_texts(changes)]) if changes else body


_EFFORT = "reasoning_effort"


def _told(thinking: Thinking, effort: str) -> Thinking:
    """What the client says of thinking, but for how hard."""
    switch = "" if thinking.switch == "disabled" and effort != "none" else thinking.switch
    return replace(thinking, effort=effort, budget=None, switch=switch)


def _knobs(profile: Profile, effort: str, *, thinking_off: bool) -> dict[str, Any]:
    """The members that tell a chat upstream how hard to think; empty: what the client says is passed on."""
    if thinking_off:
        return profile.off
    return thinking_members(profile, effort) or ({_EFFORT: effort} if effort else {})


def _said_by(plain: ChatRequest, profile: Profile) -> str:
    """The effort that a client names by itself, unless it uses members of the upstream's own."""
    own = {name for members in (profile.off, *profile.efforts.values()) for name in members} - {_EFFORT}
    said = {name: raw for name, raw in plain.parts if name == _EFFORT or name in own}
    found = value(said[_EFFORT]) if said.keys() == {_EFFORT} else ""
    return found if isinstance(found, str) and found in EFFORTS else ""


def _wanted(request: Request) -> str:
    """The effort that a translated request asks for; a chat client's own switch is passed on as it is."""
    if request.origin == "chat" and request.thinking.switch:
        return ""
    effort = "none" if request.thinking.switch == "disabled" else effort_of(request.thinking)
    return effort if effort in EFFORTS else ""


def _without(parts: Members, name: str) -> Members:
    return [part for part in parts if part[0] != name] if name else parts


def _texts(changes: Mapping[str, Any]) -> Members:
    return [(name, scalar_text(given)) for name, given in changes.items()]


def _kept(profile: Profile, given: Members, changes: Mapping[str, Any]) -> dict[str, Any]:
    """The profile's members to keep, as far as the `given` ones and the changes leave them open."""
    named = {name: value(raw) for name, raw in given if name in profile.keep}
    return kept_members({name: kept for name, kept in profile.keep.items() if name not in changes}, named)


def abilities_of(upstream: Upstream, model: str) -> Abilities:
    """What an upstream takes of a request for a model, as configured and as is known of its host."""
    claude = is_claude(model)
    return Abilities(
        custom_tools=upstream.api == "responses",
        completion_tokens=upstream.is_azure or upstream.host == "api.openai.com",
        adaptive_thinking=claude and not takes_budgets_only(model),
        budgets=not claude or takes_budgets(model),
        efforts=not claude or not takes_budgets_only(model),
        unsigned_thinking=not claude,
        sampling=not claude or takes_sampling(model),
        caches=claude,
        images=upstream.images,
        files=upstream.images,
    )


def is_patched_for(upstream: Upstream, body: bytes) -> bool:
    """Whether an upstream gets a plain Chat Completions body as it is, but for what is restored."""
    pictures = upstream.images != "take" and (b'"image_url"' in body or b'"file"' in body)
    return upstream.api == "chat" and not pictures


def _usable(unusable: frozenset[str], reasoning: Reasoning) -> Reasoning | None:
    """The piece without state that the upstream can't use; None when nothing is left of it."""
    if reasoning.opaque not in unusable:
        return reasoning
    return replace(reasoning, opaque="", carrier="", id="") if reasoning.quoted else None


def read(endpoint: Endpoint, body: bytes, unseal: Unseal, past: Past | None) -> Asked:
    """Read a request, as text that can be patched where that may do; `past` is what it may go on from.

    Raises RequestError.
    """
    if endpoint.wire_format == "chat" and chat_neutral.is_plain(body):
        found = chat_request.decode(body, endpoint.deployment)
        # Cursor replays the calls of a custom tool after a switch to a mode that no longer declares it.
        if all(call.arguments.lstrip()[:1] in ("", "{") for message in found.messages for call in message.calls):
            return _plain(found)
    return read_neutral(endpoint, body, unseal, past)


def read_neutral(endpoint: Endpoint, body: bytes, unseal: Unseal, past: Past | None) -> Asked:
    """Read a request that some upstream gets in another format. Raises RequestError."""
    if endpoint.wire_format == "chat":
        found = chat_neutral.decode(body, endpoint.deployment)
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
