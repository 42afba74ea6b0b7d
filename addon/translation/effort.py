"""How hard a model is to think, in the members that its upstream's profile names."""

from collections.abc import Mapping
from typing import Any

from msgspec.structs import replace

from addon.formats.chat import thinking as chat
from addon.formats.messages.thinking import effort_of
from addon.formats.neutral.request import Request, Thinking
from addon.formats.wire.lenient import as_dict
from addon.formats.wire.splice import Members, members, scalar_text, value, with_members
from addon.translation.pair import Wanted
from shared.config.schema import EFFORTS
from shared.profiles import Profile, budget_members, kept_members, thinking_members

__all__ = ("chat_changes", "overriding", "tuned", "with_effort")

_UNNAMED = "high"
"""The effort of a client that only wants its model to think: Anthropic's default
(https://platform.claude.com/docs/en/build-with-claude/effort).
"""

_HOW_HARD = frozenset(("budget_tokens", "effort", "enabled", "max_tokens", "type"))
"""Members of an upstream's word for thinking that say how hard; others in it stay."""

type Changes = dict[str, Any]
"""Values of members by name."""


def chat_changes(wanted: Wanted, parts: Members) -> dict[str, bytes]:
    """The changes to the members of a chat client's own body, as JSON texts; empty ones are
    to be left out.
    """
    changes = _ordered(wanted, parts)
    if wanted.sure and not changes:
        changes = _told(wanted.profile, _words(parts))
    return _texts(wanted.profile, parts, changes)


def tuned(body: bytes, request: Request, wanted: Wanted) -> bytes:
    """A translated body that tells the upstream in its own members how hard to think."""
    if wanted.upstream.api != "chat":
        changes = {name: scalar_text(given) for name, given in overriding(wanted).items()}
    elif request.origin == "chat":
        changes = chat_changes(wanted, members(body))
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
    parts = members(body)
    changes = _ordered(wanted, parts)
    if wanted.sure and not changes:
        changes = _asked(wanted.profile, request.thinking)
    return _texts(wanted.profile, parts, changes)


def _ordered(wanted: Wanted, parts: Members) -> Changes:
    """The members that win over what the client says."""
    if wanted.thinking_off:
        return dict(wanted.profile.off)
    if not wanted.rules.forces_thinking and _forces_tool(parts):
        return thinking_members(wanted.profile, "none")
    if not wanted.effort:
        return {}
    return thinking_members(wanted.profile, wanted.effort) or {chat.EFFORT: wanted.effort}


def _forces_tool(parts: Members) -> bool:
    """Whether a chat body says that a tool has to be called, or which."""
    choice = value(dict(parts).get("tool_choice", b"null"))
    return choice == "required" or isinstance(choice, dict)


def _words(parts: Members) -> Changes:
    """What a chat body says of thinking."""
    found = {name: value(raw) for name, raw in parts if name in chat.WORDS}
    template = as_dict(found.pop(chat.TEMPLATE, None))
    if not template.keys().isdisjoint(chat.TEMPLATE_SWITCHES):
        found[chat.TEMPLATE] = template
    return {name: given for name, given in found.items() if given is not None}


def _told(profile: Profile, words: Changes) -> Changes:
    """The upstream's members for what a chat client says in other words; none where it says
    it in the upstream's own.
    """
    own = words.keys() - {chat.EFFORT}
    if own and all(_knows(profile, name, given) for name, given in words.items()):
        return {}
    return _asked(profile, chat.read(words))


def _knows(profile: Profile, name: str, given: Any) -> bool:
    """Whether an upstream has this word, and in it this effort or kind of thinking."""
    taken = _taken(profile, name)
    if isinstance(given, dict) and "type" in given:
        kinds = {as_dict(member).get("type") for member in taken}
        return given["type"] in {*kinds, *profile.kinds}
    return given in taken or (bool(taken) and name != chat.EFFORT)


def _taken(profile: Profile, name: str) -> list[Any]:
    """What an upstream may be told in this member."""
    every = (profile.off, profile.keep, profile.budget, *profile.efforts.values())
    return [members[name] for members in every if name in members]


def _asked(profile: Profile, thinking: Thinking) -> Changes:
    """The upstream's members for what a client asks for; none: it has no words for it."""
    if thinking.switch == "disabled":
        return thinking_members(profile, "none")
    if thinking.budget is not None and not thinking.effort and profile.budget:
        return budget_members(profile, thinking.budget)
    effort = effort_of(thinking)
    if not effort and thinking.switch:
        effort = _UNNAMED
    if effort not in EFFORTS:
        return {}
    return thinking_members(profile, effort)


def _texts(profile: Profile, parts: Members, changes: Changes) -> dict[str, bytes]:
    """The changes in the place of all that the client says of it, and the profile's members
    to keep.
    """
    said = _words(parts)
    left_out: dict[str, bytes] = {}
    if changes:
        left_out = dict.fromkeys(said.keys() - changes.keys(), b"")
    changes = {name: _joined(said.get(name), given) for name, given in changes.items()}
    kept = _kept(profile, [part for part in parts if part[0] not in left_out], changes)
    changed = {name: given for name, given in changes.items() if said.get(name) != given} | kept
    return left_out | {name: scalar_text(given) for name, given in changed.items()}


def _joined(said: Any, given: Any) -> Any:
    """The upstream's word with what else the client says in it."""
    if not (isinstance(said, dict) and isinstance(given, dict)):
        return given
    return {name: member for name, member in said.items() if name not in _HOW_HARD} | given


def _kept(profile: Profile, parts: Members, changes: Changes) -> Changes:
    """The profile's members to keep, as far as the body and the changes leave them open."""
    named = {name: value(raw) for name, raw in parts if name in profile.keep}
    keep = {name: kept for name, kept in profile.keep.items() if name not in changes}
    return kept_members(keep, named)
