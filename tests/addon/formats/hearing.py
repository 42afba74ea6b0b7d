"""How to hear again what a client said, whatever format it came in."""

from collections.abc import Callable
from typing import Any

import msgspec

from addon.formats.neutral.request import Request
from addon.formats.neutral.turn import Foreign

type Json = dict[str, Any]
type Says = Callable[[Request, Json], Any]
"""What a body says of something: the request that it is, and its members."""


class Saying(msgspec.Struct, frozen=True):
    """Members to put into a request, and what they mean."""

    members: Json
    says: Says


def field(name: str) -> Says:
    return lambda request, body: getattr(request, name)


def member(*path: str) -> Says:
    """A member that is called the same everywhere, or is known in one format only."""

    def says(request: Request, body: Json) -> Any:
        found: Any = body
        for key in path:
            found = (found or {}).get(key)
        return found

    return says


def thinking(name: str) -> Says:
    return lambda request, body: getattr(request.thinking, name)


def first_tool(name: str) -> Says:
    return lambda request, body: getattr(request.tools[0], name)


def first_declared(request: Request, body: Json) -> Any:
    """The name of the first tool, and whether it has a kind of its own."""
    tools = (*request.tools, *request.loaded)
    return [(tool.name, bool(tool.declared)) for tool in tools[:1]]


def output(name: str) -> Says:
    return lambda request, body: request.output_format and getattr(request.output_format, name)


def parts(kind: str, *names: str) -> Says:
    """These fields of all parts of a kind."""

    def says(request: Request, body: Json) -> Any:
        found = [
            part
            for message in request.messages
            for part in message.parts
            if type(part).__name__ == kind
        ]
        held = [tuple(getattr(part, name) for name in names) for part in found]
        return [one for one in held if any(one)]

    return says


def roles(request: Request, body: Json) -> Any:
    """Who says what."""
    return [(message.role, message.text) for message in request.messages]


def results(name: str) -> Says:
    def says(request: Request, body: Json) -> Any:
        return [
            found
            for message in request.messages
            if message.role == "tool"
            if (found := getattr(message, name))
        ]

    return says


def hosted(word: str) -> Says:
    """How often a word comes, and the kinds of items and blocks that only one format has."""

    def says(request: Request, body: Json) -> Any:
        parts = [part for message in request.messages for part in message.parts]
        kinds = [part.item["type"] for part in parts if isinstance(part, Foreign)]
        count = str(body).count(word)
        return (count, kinds) if count else None

    return says


def declined(request: Request, body: Json) -> Any:
    """How the words are said with which the model declined."""
    return parts("Refusal", "text")(request, body) or [
        one for one in roles(request, body) if "I decline" in one[1]
    ]


def offered(request: Request, body: Json) -> Any:
    """The tools that may be called."""
    named = request.tool_choice.names if request.tool_choice else ()
    return named or tuple(tool.name for tool in request.tools)


def marks(request: Request, body: Json) -> Any:
    """The parts that bear cache marks."""
    return [
        getattr(part, "text", "")
        for one in request.messages
        for part in one.parts
        if getattr(part, "cache", "")
    ]


def result_pictures(request: Request, body: Json) -> Any:
    found = [
        part for message in request.messages if message.role == "tool" for part in message.parts
    ]
    return [part for part in found if type(part).__name__ == "Image"] or parts("Image", "url")(
        request, body
    )
