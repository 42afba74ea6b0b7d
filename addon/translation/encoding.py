"""How an upstream gets a request: in its format, with what is restored, and told in its own
words how hard to think.
"""

from collections.abc import Mapping
from functools import partial
from typing import Any

import msgspec
from msgspec.structs import replace

from addon.formats import translate
from addon.formats.chat import patch_request
from addon.formats.chat.fitting import fitted, typed
from addon.formats.chat.patch_request import ChatRequest
from addon.formats.messages.claude import (
    is_claude,
    takes_budgets,
    takes_budgets_only,
    takes_sampling,
)
from addon.formats.messages.thinking import effort_of
from addon.formats.neutral.adapt import Abilities, lowered
from addon.formats.neutral.request import Request, Thinking
from addon.formats.neutral.turn import Edit, Reasoning
from addon.formats.wire.splice import Members, members, object_text, scalar_text, value
from addon.translation.read import Asked
from shared.config.schema import EFFORTS, Upstream
from shared.profiles import Profile, kept_members, thinking_members

__all__ = ("Encoded", "Wanted", "abilities_of", "encode")

_EFFORT = "reasoning_effort"
_LIMITS = ("max_completion_tokens", "max_tokens")
_OPENAI = ("api.openai.com", ".openai.azure.com")
"""Models that reason know `max_completion_tokens` alone there
(https://platform.openai.com/docs/api-reference/chat).
"""


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """What is to go to whom."""

    upstream: Upstream
    model: str
    profile: Profile
    sure: bool
    """Whether the upstream is known to speak as the profile says, not only guessed by the
    model's name.
    """

    edits: dict[int, Edit]
    effort: str
    """How hard to think, whatever the client says; empty: as it says."""

    thinking_off: bool
    unusable: frozenset[str]
    """State that stays here."""

    pictures: bool
    in_a_row: bool
    """What a chat upstream takes: pictures, two messages of the user in a row."""


class Encoded(msgspec.Struct, frozen=True):
    """A body for an upstream."""

    body: bytes
    custom: frozenset[str] = frozenset()
    """Custom tools that the upstream knows as functions."""

    notes: tuple[str, ...] = ()
    """What the upstream does not get, in words."""


def encode(asked: Asked, wanted: Wanted) -> Encoded:
    """The body for the upstream. Raises RequestError."""
    abilities = abilities_of(wanted.upstream, wanted.model)
    if asked.plain is not None:
        found = Encoded(_patched(asked.plain, wanted, abilities))
    else:
        assert asked.neutral is not None
        found = _translated(asked.neutral, wanted, abilities)
    pictures = wanted.pictures and abilities.images == "take"
    if wanted.upstream.api != "chat" or (pictures and wanted.in_a_row):
        return found
    body, notes = fitted(found.body, pictures=pictures, in_a_row=wanted.in_a_row)
    return replace(found, body=body, notes=(*found.notes, *notes))


def abilities_of(upstream: Upstream, model: str) -> Abilities:
    """What an upstream takes of a request for a model, as configured and as is known of its
    host.
    """
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


# -- plain Chat Completions ------------------------------------------------------------------------


def _patched(plain: ChatRequest, wanted: Wanted, abilities: Abilities) -> bytes:
    said = _said_by(plain, wanted.profile) if wanted.sure else ""
    knobs = _knobs(wanted, wanted.effort or said)
    if said and knobs == {_EFFORT: said}:
        knobs = {}  # it says so already
    parts = _without(plain.parts, _EFFORT if knobs else "")
    limits = {name: raw for name, raw in parts if name in _LIMITS}
    renamed = list(limits) == ["max_tokens"] and wanted.upstream.host.endswith(_OPENAI)
    parts = _without(parts, "max_tokens" if renamed else "")
    added = _texts(knobs | _kept(wanted.profile, parts, knobs))
    added += [("max_completion_tokens", limits["max_tokens"])] if renamed else []
    added += [
        ("tools", tools)
        for name, raw in parts
        if name == "tools" and (tools := typed(raw)) is not raw
    ]
    return patch_request.encode(
        replace(plain, parts=parts), model=wanted.model, edits=wanted.edits, extra=added
    )


def _said_by(plain: ChatRequest, profile: Profile) -> str:
    """The effort that a client names by itself, unless it uses members of the upstream's own."""
    own = {name for members in (profile.off, *profile.efforts.values()) for name in members} - {
        _EFFORT
    }
    said = {name: raw for name, raw in plain.parts if name == _EFFORT or name in own}
    found = value(said[_EFFORT]) if said.keys() == {_EFFORT} else ""
    return found if isinstance(found, str) and found in EFFORTS else ""


# -- everything else -------------------------------------------------------------------------------


def _translated(neutral: Request, wanted: Wanted, abilities: Abilities) -> Encoded:
    request = translate.opened(
        translate.restored(neutral, wanted.edits), partial(_usable, wanted.unusable)
    )
    if wanted.effort:
        request = replace(request, thinking=_told(request.thinking, wanted.effort))
    fit = lowered(request, abilities)
    body = translate.UPSTREAMS[wanted.upstream.api].encode(fit.request, wanted.model, abilities)
    return Encoded(_tuned(body, request, wanted), fit.custom, fit.notes)


def _usable(unusable: frozenset[str], reasoning: Reasoning) -> Reasoning | None:
    """The piece without state that the upstream can't use; None when nothing is left of it."""
    if reasoning.opaque not in unusable:
        return reasoning
    return replace(reasoning, opaque="", carrier="", id="") if reasoning.quoted else None


def _told(thinking: Thinking, effort: str) -> Thinking:
    """What the client says of thinking, but for how hard."""
    switch = "" if thinking.switch == "disabled" and effort != "none" else thinking.switch
    return replace(thinking, effort=effort, budget=None, switch=switch)


def _tuned(body: bytes, request: Request, wanted: Wanted) -> bytes:
    """The body that tells the upstream in its own members how hard to think."""
    if wanted.upstream.api != "chat":
        changes = wanted.profile.off if wanted.thinking_off else {}
        parts = members(body) if changes else []
    else:
        changes = (
            _knobs(wanted, _effort_in(request))
            if wanted.sure or wanted.effort or wanted.thinking_off
            else {}
        )
        parts = _without(members(body), _EFFORT if changes else "")
        changes = changes | _kept(wanted.profile, parts, changes)
    return (
        object_text([*(one for one in parts if one[0] not in changes), *_texts(changes)])
        if changes
        else body
    )


def _effort_in(request: Request) -> str:
    """The effort that a translated request asks for; a chat client's own switch is passed
    on as it is.
    """
    if request.origin == "chat" and request.thinking.switch:
        return ""
    effort = "none" if request.thinking.switch == "disabled" else effort_of(request.thinking)
    return effort if effort in EFFORTS else ""


# -- how hard to think -----------------------------------------------------------------------------


def _knobs(wanted: Wanted, effort: str) -> dict[str, Any]:
    """The members that tell a chat upstream how hard to think; empty: what the client says
    is passed on.
    """
    if wanted.thinking_off:
        return wanted.profile.off
    return thinking_members(wanted.profile, effort) or ({_EFFORT: effort} if effort else {})


def _kept(profile: Profile, given: Members, changes: Mapping[str, Any]) -> dict[str, Any]:
    """The profile's members to keep, as far as the `given` ones and the changes leave them open."""
    named = {name: value(raw) for name, raw in given if name in profile.keep}
    return kept_members(
        {name: kept for name, kept in profile.keep.items() if name not in changes}, named
    )


def _without(parts: Members, name: str) -> Members:
    return [part for part in parts if part[0] != name] if name else parts


def _texts(changes: Mapping[str, Any]) -> Members:
    return [(name, scalar_text(given)) for name, given in changes.items()]
