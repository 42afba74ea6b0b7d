"""Conversations that no API takes: what stands in the place of a message, a part or a call is no
such thing. The client is told which, instead of an upstream that gets less than was said.
"""

from collections.abc import Iterable, Iterator
from typing import Any

from addon.formats.neutral.problem import RequestError
from addon.formats.neutral.request import refused
from addon.formats.wire.pace import breathe

__all__ = ("refuse_malformed", "refuse_malformed_one")

_SPEAKERS = ("developer", "system", "user")
"""Without a content these have said nothing, which is told in words of its own."""


def refuse_malformed(items: Iterable[Any], name: str) -> None:
    """Raise RequestError for a malformed one among the messages or items of the member `name`."""
    for at, item in enumerate(items):
        refuse_malformed_one(item, f"{name}[{at}]")


def refuse_malformed_one(item: Any, place: str) -> None:
    """The same for one that stands at this place of the request."""
    breathe()
    if not isinstance(item, dict):
        raise _malformed(place, "is no object")
    _refuse_calls(item.get("tool_calls"), f"{place}.tool_calls")
    if isinstance(item.get("content"), list) or item.get("role") not in _SPEAKERS:
        _refuse_parts(item.get("content"), f"{place}.content")


def _malformed(place: str, what: str) -> RequestError:
    return refused("malformed_message", f"The conversation is malformed: '{place}' {what}.", place)


def _refuse_calls(calls: Any, place: str) -> None:
    if calls is None:
        return
    if not isinstance(calls, list):
        raise _malformed(place, "is no array of calls")
    for at, call in enumerate(calls):
        if not isinstance(call, dict):
            raise _malformed(f"{place}[{at}]", "is no object")


def _refuse_parts(content: Any, place: str) -> None:
    """A content is a text, null, a part or an array of these; so is the one of a tool's result."""
    if not isinstance(content, str | list | dict | None):
        raise _malformed(place, "is neither a text nor an array of parts")
    for inner, part in _parts(content, place):
        if not isinstance(part, str | dict):
            raise _malformed(inner, "is no part of a content")
        if isinstance(part, dict) and part.get("type") == "tool_result":
            _refuse_parts(part.get("content"), f"{inner}.content")


def _parts(content: Any, place: str) -> Iterator[tuple[str, Any]]:
    if isinstance(content, list):
        for at, part in enumerate(content):
            yield f"{place}[{at}]", part
