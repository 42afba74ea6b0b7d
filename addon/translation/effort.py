"""How hard a model is to think, in the members that its upstream's profile names."""

from collections.abc import Mapping
from typing import Any

from msgspec.structs import replace

from addon.formats.messages.thinking import effort_of
from addon.formats.neutral.request import Request, Thinking
from addon.formats.wire.splice import Members, members, scalar_text, value, with_members
from addon.translation.pair import Wanted
from shared.config.schema import EFFORTS
from shared.profiles import Profile, kept_members, thinking_members

__all__ = ("chat_changes", "overriding", "tuned", "with_effort")

_EFFORT = "reasoning_effort"

type Changes = dict[str, Any]
"""Values of members by name."""


def chat_changes(wanted: Wanted, parts: Members) -> dict[str, bytes]:
    """The changes to the members of a chat client's own body, as JSON texts; empty ones are
    to be left out.
    """
    named = ""
    if wanted.sure:
        named = _named_effort(wanted.profile, parts)
    changes = _thinking(wanted, wanted.effort or named)
    if named and changes == {_EFFORT: named}:
        changes = {}  # it says so already
    return _texts(wanted.profile, parts, changes)


def tuned(body: bytes, request: Request, wanted: Wanted) -> bytes:
    """A translated body that tells the upstream in its own members how hard to think."""
    if wanted.upstream.api != "chat":
        changes = {name: scalar_text(given) for name, given in overriding(wanted).items()}
    else:
        changes = _translated_changes(body, request, wanted)
    if not changes:
        return body
    return with_members(body, changes)


def overriding(wanted: Wanted) -> Mapping[str, Any]:
    """The members that win over all others in a body that is no chat body."""
    if wanted.thinking_off:
        return wanted.profile.off
    return {}


def with_effort(thinking: Thinking, effort: str) -> Thinking:
    """What the client says of thinking, but for how hard."""
    switch = thinking.switch
    if switch == "disabled" and effort != "none":
        switch = ""
    return replace(thinking, effort=effort, budget=None, switch=switch)


def _translated_changes(body: bytes, request: Request, wanted: Wanted) -> dict[str, bytes]:
    changes: Changes = {}
    if wanted.sure or wanted.effort or wanted.thinking_off:
        changes = _thinking(wanted, _asked_effort(request))
    return _texts(wanted.profile, members(body), changes)


def _texts(profile: Profile, parts: Members, changes: Changes) -> dict[str, bytes]:
    """The changes and the profile's members to keep, in the place of the client's effort."""
    left_out = {}
    if changes and _EFFORT not in changes:
        left_out = {_EFFORT: b""}
    kept = _kept(profile, [part for part in parts if part[0] not in left_out], changes)
    return left_out | {name: scalar_text(given) for name, given in (changes | kept).items()}


def _named_effort(profile: Profile, parts: Members) -> str:
    """The effort that a client names by itself, unless it uses members of the upstream's own."""
    own = {name for switches in (profile.off, *profile.efforts.values()) for name in switches}
    named = {name: raw for name, raw in parts if name == _EFFORT or name in own}
    if named.keys() != {_EFFORT}:
        return ""
    effort = value(named[_EFFORT])
    if isinstance(effort, str) and effort in EFFORTS:
        return effort
    return ""


def _asked_effort(request: Request) -> str:
    """The effort that a translated request asks for; a chat client's own switch is passed
    on as it is.
    """
    if request.origin == "chat" and request.thinking.switch:
        return ""
    effort = effort_of(request.thinking)
    if request.thinking.switch == "disabled":
        effort = "none"
    if effort in EFFORTS:
        return effort
    return ""


def _thinking(wanted: Wanted, effort: str) -> Changes:
    """The members that tell a chat upstream how hard to think; empty: what the client says
    is passed on.
    """
    if wanted.thinking_off:
        return dict(wanted.profile.off)
    named = thinking_members(wanted.profile, effort)
    if not named and effort:
        return {_EFFORT: effort}
    return named


def _kept(profile: Profile, parts: Members, changes: Changes) -> Changes:
    """The profile's members to keep, as far as the body and the changes leave them open."""
    named = {name: value(raw) for name, raw in parts if name in profile.keep}
    keep = {name: kept for name, kept in profile.keep.items() if name not in changes}
    return kept_members(keep, named)
