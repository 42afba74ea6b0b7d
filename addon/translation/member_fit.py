"""What an upstream has refused of a request's members, kept from it: members that it does not
know, limits that its model can't reach, efforts that it has no word for.
"""

from collections.abc import Mapping
from typing import Any

from addon.formats.neutral.member_rules import MemberRules
from addon.formats.neutral.request import WireFormat
from addon.formats.wire.lenient import as_int, as_str
from addon.formats.wire.splice import (
    array_elements,
    array_text,
    changed,
    members,
    scalar_text,
    value,
    with_members,
)

__all__ = ("effort_in", "fitted_members", "limit_in", "nearest", "optional_in", "shortened")

_OTHER_NAMES = {"max_completion_tokens": "max_tokens", "max_tokens": "max_completion_tokens"}
"""Names of the limit of a chat answer's tokens, each with its other one."""

_LIMITS: dict[WireFormat, tuple[str, ...]] = {
    "chat": tuple(_OTHER_NAMES),
    "responses": ("max_output_tokens",),
    "messages": ("max_tokens",),
}
"""Names of that limit."""

_EFFORTS: dict[WireFormat, tuple[str, ...]] = {
    "chat": ("reasoning_effort", "reasoning.effort"),
    "responses": ("reasoning.effort",),
    "messages": ("output_config.effort",),
}
"""Places of the effort."""

ENCRYPTED = "reasoning.encrypted_content"
"""What `include` asks for, which models that don't reason refuse."""

_SAMPLING = ("temperature", "top_p")
_OPENAIS = (
    *("metadata", "parallel_tool_calls", "prompt_cache_key", "prompt_cache_retention"),
    *("safety_identifier", "service_tier", "store", "user"),
)
_OPTIONAL: dict[WireFormat, tuple[str, ...]] = {
    "chat": (
        *_OTHER_NAMES,
        *_OPENAIS,
        *_SAMPLING,
        *_EFFORTS["chat"],
        *("top_k", "presence_penalty", "frequency_penalty", "seed", "stop"),
        *("stream_options", "verbosity"),
    ),
    "responses": (
        *_LIMITS["responses"],
        *_OPENAIS,
        *_SAMPLING,
        *_EFFORTS["responses"],
        *("reasoning.summary", "text.verbosity", "truncation", ENCRYPTED),
    ),
    "messages": (
        *_SAMPLING,
        *_EFFORTS["messages"],
        *("top_k", "metadata", "service_tier", "context_management"),
    ),
}
"""Members that have another name, that a translation leaves out, too, or that the answer is nearly
the same without: where an upstream does not take one, the request goes without it.
"""

_LEAST_BUDGET = 1024
"""The least budget of thinking that Messages takes
(https://platform.claude.com/docs/en/build-with-claude/extended-thinking).
"""

_NO_THINKING = b'{"type":"disabled"}'

_STRENGTHS = ("none", "minimal", "low", "medium", "high", "xhigh", "max")


def optional_in(body: bytes, api: WireFormat) -> list[str]:
    """The members of a body that may be left out; dots part the steps to one within another."""
    found = dict(members(body))
    return [name for name in _OPTIONAL[api] if _holds(found, name)]


def limit_in(body: bytes, api: WireFormat) -> int | None:
    """The answer's most tokens, as a body says it."""
    found = dict(members(body))
    limits = (as_int(value(found[name])) for name in _LIMITS[api] if name in found)
    return next((limit for limit in limits if limit is not None), None)


def effort_in(body: bytes, api: WireFormat) -> str:
    """The effort that a body names; empty: none."""
    found = dict(members(body))
    efforts = (as_str(_value(found, place)) for place in _EFFORTS[api])
    return next(filter(None, efforts), "")


def nearest(effort: str, offered: tuple[str, ...]) -> str:
    """The effort of those offered that is nearest to this one, rather more than less; empty:
    none is.
    """
    levels = [one for one in _STRENGTHS if one in offered and (one != "none" or effort == "none")]
    if effort not in _STRENGTHS or effort in offered or not levels:
        return effort if effort in offered else ""
    higher = [one for one in levels if _STRENGTHS.index(one) > _STRENGTHS.index(effort)]
    return (higher or levels[-1:])[0]


def fitted_members(body: bytes, api: WireFormat, rules: MemberRules) -> bytes:
    """The body without what its upstream refused before; all else keeps its bytes."""
    if rules.most_tokens is not None:
        body = _limited(body, api, rules.most_tokens)
    if rules.efforts:
        for place in _EFFORTS[api]:
            body = changed(body, tuple(place.split(".")), lambda raw: _offered(raw, rules.efforts))
    for name in sorted(rules.without & {*_OPTIONAL[api]}):
        body = _without(body, name, rules.without)
    return body


def shortened(body: bytes, api: WireFormat, longest: int, name: str = "") -> bytes:
    """The body of a request whose answer has no more than `longest` tokens; one that sets no limit
    gets it under this name, or the one that most upstreams know.
    """
    given = limit_in(body, api)
    if given is None or given < 0:
        return with_members(body, {name or _LIMITS[api][-1]: scalar_text(longest)})
    body = _limited(body, api, longest)
    if longest > _LEAST_BUDGET:
        return body
    return changed(body, ("thinking",), _without_budget)


def _without_budget(thinking: bytes) -> bytes:
    """No thinking, where it has a budget that leaves no room for an answer."""
    given = value(thinking)
    if isinstance(given, dict) and as_int(given.get("budget_tokens")) is not None:
        return _NO_THINKING
    return thinking


def _holds(found: Mapping[str, bytes], name: str) -> bool:
    if name == ENCRYPTED:
        return ENCRYPTED.encode() in found.get("include", b"")
    return _value(found, name) is not None


def _value(found: Mapping[str, bytes], place: str) -> Any:
    name, _, inner = place.partition(".")
    held = value(found.get(name, b"null"))
    if not inner:
        return held
    if isinstance(held, dict):
        return held.get(inner)
    return None


def _limited(body: bytes, api: WireFormat, most: int) -> bytes:
    found = dict(members(body))
    changes: dict[str, bytes] = {}
    for name in _LIMITS[api]:
        given = as_int(value(found.get(name, b"null")))
        if given is not None and given > most:
            changes[name] = scalar_text(most)
    if not changes:
        return body
    # A budget of thinking is less than the limit:
    # https://platform.claude.com/docs/en/build-with-claude/extended-thinking
    body = with_members(body, changes)
    return changed(body, ("thinking", "budget_tokens"), lambda raw: _less(raw, most))


def _less(budget: bytes, most: int) -> bytes:
    given = as_int(value(budget))
    if given is None or given < most:
        return budget
    fitting = most * 4 // 5
    if most > _LEAST_BUDGET:
        fitting = max(fitting, _LEAST_BUDGET)
    return scalar_text(fitting)


def _offered(effort: bytes, offered: tuple[str, ...]) -> bytes:
    given = as_str(value(effort))
    if not given or given in offered:
        return effort
    return scalar_text(nearest(given, offered) or None)


def _without(body: bytes, name: str, without: frozenset[str]) -> bytes:
    found = dict(members(body))
    if not _holds(found, name):
        return body
    if name == ENCRYPTED:
        return changed(body, ("include",), _without_encrypted)
    outer, _, inner = name.partition(".")
    if inner:
        rest = with_members(found[outer], {inner: b""})
        return with_members(body, {outer: rest if members(rest) else b""})
    changes = {name: b""}
    other = _OTHER_NAMES.get(name, "")
    if other and other not in without and other not in found:
        changes[other] = found[name]
    return with_members(body, changes)


def _without_encrypted(include: bytes) -> bytes:
    kept = [raw for raw in array_elements(include) if value(raw) != ENCRYPTED]
    return array_text(kept)
