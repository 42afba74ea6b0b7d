"""Hosted tools, which only the maker of their format runs, kept from other upstreams.

A model does without a search as well as it can. Where the search is what was asked for, an answer
without it would be made up: that is refused in words.
"""

from collections.abc import Iterable
from typing import Literal

from msgspec.structs import replace

from addon.formats.neutral.request import Hosted, Request, ToolChoice, WireFormat, unsupported_tool

__all__ = ("HostedTaking", "is_named", "without_foreign_tools")

type HostedTaking = Literal["drop", "refuse"]
"""What becomes of a hosted tool that an upstream can't run."""


def without_foreign_tools(
    request: Request, api: WireFormat, taking: HostedTaking
) -> tuple[Request, list[str]]:
    """The request without the hosted tools of other formats than the upstream's, and a note on
    each. Raises RequestError where they are refused, one of them is asked for, or nothing else
    is offered.
    """
    foreign = [hosted for hosted in request.hosted if hosted.wire_format != api]
    if not foreign:
        return request, []
    own = tuple(hosted for hosted in request.hosted if hosted.wire_format == api)
    choice = request.tool_choice
    needed = _chosen(choice, foreign)
    tools = (*own, *request.tools, *request.loaded)
    is_alone = not tools and (choice is None or choice.mode != "none")
    if taking == "refuse" or is_alone or needed is not None:
        raise unsupported_tool(needed or foreign[0])
    notes = [f"the tool '{one.kind}' was left out: the upstream can't run it" for one in foreign]
    return replace(request, hosted=own, tool_choice=_without(choice, foreign)), notes


def is_named(hosted: Hosted, name: str) -> bool:
    """Whether a choice of this name means the tool: Messages says its name, Responses its kind,
    without the date that some kinds end in.
    """
    return bool(name) and (name == hosted.tool.get("name") or hosted.kind.startswith(name))


def _chosen(choice: ToolChoice | None, foreign: Iterable[Hosted]) -> Hosted | None:
    """The foreign tool to which the choice leaves no alternative, if any."""
    if choice is None or not choice.names:
        return None
    named = [_named(name, foreign) for name in choice.names]
    if None in named:
        return None
    return named[0]


def _without(choice: ToolChoice | None, foreign: Iterable[Hosted]) -> ToolChoice | None:
    if choice is None or not choice.names:
        return choice
    names = tuple(name for name in choice.names if _named(name, foreign) is None)
    return ToolChoice(choice.mode, names)


def _named(name: str, foreign: Iterable[Hosted]) -> Hosted | None:
    return next((hosted for hosted in foreign if is_named(hosted, name)), None)
