"""How hard a Messages upstream is to think, changed in a client's own members where its
model asks for that.

https://platform.claude.com/docs/en/build-with-claude/extended-thinking#important-considerations-when-using-extended-thinking
says what may stand beside thinking.
"""

from collections.abc import Mapping
from typing import Any

import msgspec

from addon.formats.messages import thinking
from addon.formats.messages.claude import is_claude
from addon.formats.neutral.adapt import Abilities
from addon.formats.neutral.request import Request, Thinking
from addon.formats.wire.lenient import as_dict, as_str, dicts_in
from addon.formats.wire.splice import (
    array_text,
    changed,
    elements,
    scalar_text,
    value,
    with_members,
)

__all__ = ("thinking_changes",)

type Changes = dict[str, bytes]
"""Top-level members by name, as JSON texts; empty ones are left out of the body."""

_DISABLED = "disabled"
_SWITCHES = ("", "adaptive", _DISABLED, "enabled")
"""The known kinds of thinking; a client's other kind stays."""

_SAMPLING = ("temperature", "top_p", "top_k")
"""Members that thinking and new models restrict."""


class _Body:
    """The members of a body, changed one after the other."""

    def __init__(self, members: Mapping[str, bytes]) -> None:
        self._members = members
        self.changes: Changes = {}

    def __getitem__(self, name: str) -> bytes:
        return self.changes.get(name, self._members.get(name, b""))

    def read(self, name: str) -> dict[str, Any]:
        """The object that a member is, or an empty one."""
        return as_dict(value(self[name] or b"null"))

    def set(self, name: str, members: dict[str, bytes]) -> None:
        """Change members of the object that a member is; the member goes when nothing is
        left of it.
        """
        held = b"{}"
        if self.read(name):
            held = self[name]
        patched = with_members(held, members)
        if not value(patched):
            patched = b""
        self.put(name, patched)

    def put(self, name: str, text: bytes) -> None:
        """Replace a member; one that is not there is not left out again."""
        if text or self[name]:
            self.changes[name] = text


def thinking_changes(
    members: Mapping[str, bytes],
    request: Request,
    *,
    model: str,
    abilities: Abilities,
    effort: str,
    override: Mapping[str, Any],
    max_tokens: int,
) -> Changes:
    """What has to change in the members of a body, so that the upstream's model takes them.

    `effort` is how hard to think, whatever the client says, `override` are members that win
    over all others, `max_tokens` is how long the answer may be. Models that are not Claude
    get what the client says: nobody knows what they take.
    """
    body = _Body(members)
    before = _switch(body)
    if effort or is_claude(model):
        said = _with_effort(request.thinking, effort)
        asked = msgspec.structs.replace(request, thinking=said)
        _set_thinking(body, thinking.written(asked, max_tokens, abilities))
    for name, given in override.items():
        if value(body[name] or b"null") != given:
            body.put(name, scalar_text(given))
    if is_claude(model):
        _drop_sampling(body, abilities)
    if _switch(body) == _DISABLED != before:
        _drop_clearing(body)
    return {name: text for name, text in body.changes.items() if text != members.get(name, b"")}


def _set_thinking(body: _Body, wanted: thinking.Written) -> None:
    _set_switch(body, wanted.thinking)
    effort = wanted.effort
    if effort == "none":
        effort = ""  # the switch says so
    if effort != as_str(body.read("output_config").get("effort")):
        body.set("output_config", {"effort": _text(effort)})


def _with_effort(said: Thinking, effort: str) -> Thinking:
    """What the client says of thinking, but for how hard."""
    if not effort:
        return said
    switch = said.switch
    if switch == _DISABLED and effort != "none":
        switch = ""
    return msgspec.structs.replace(said, effort=effort, budget=None, switch=switch)


def _set_switch(body: _Body, wanted: dict[str, Any]) -> None:
    """Members that the API may have beside these stay where the model still thinks."""
    now = body.read("thinking")
    named = {name: wanted.get(name) for name in ("type", "budget_tokens")}
    if named == {name: now.get(name) for name in named} or _switch(body) not in _SWITCHES:
        return
    if wanted.get("type") == _DISABLED:
        body.put("thinking", scalar_text(wanted))
    elif wanted:
        body.set("thinking", {name: _text(given) for name, given in named.items()})
    elif _switch(body) == _DISABLED:
        body.put("thinking", b"")


def _text(given: object) -> bytes:
    """JSON text of a value; none for one that says nothing."""
    if not given:
        return b""
    return scalar_text(given)


def _switch(body: _Body) -> str:
    return as_str(body.read("thinking").get("type"))


def _drop_sampling(body: _Body, abilities: Abilities) -> None:
    for name in _SAMPLING:
        if body[name] and not (abilities.sampling and _goes_with(body, name)):
            body.put(name, b"")


def _goes_with(body: _Body, name: str) -> bool:
    """Whether a sampling member may stand beside the body's thinking."""
    if _switch(body) in ("", _DISABLED):
        return True
    given = value(body[name])
    if name == "top_p":
        return isinstance(given, int | float) and given >= thinking.LEAST_TOP_P
    return name == "temperature" and given == 1


def _drop_clearing(body: _Body) -> None:
    """Thinking can't be cleared where there is none
    (https://platform.claude.com/docs/en/build-with-claude/context-editing).
    """
    edits = body.read("context_management").get("edits")
    if any(_clears(edit) for edit in dicts_in(edits)):
        body.put(
            "context_management", changed(body["context_management"], ("edits",), _without_clearing)
        )


def _without_clearing(edits: bytes) -> bytes:
    return array_text([edit for edit in elements(edits) if not _clears(as_dict(value(edit)))])


def _clears(edit: dict[str, Any]) -> bool:
    return as_str(edit.get("type")).startswith("clear_thinking")
