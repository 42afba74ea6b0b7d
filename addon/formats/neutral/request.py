"""The neutral request, which any format's client makes and any upstream can be sent."""

from typing import Any, Literal

import msgspec

from addon.formats.neutral.problem import Problem, RequestError
from addon.formats.neutral.turn import Message
from addon.formats.wire.pieces import Cut
from addon.formats.wire.splice import MalformedJson, Members, members, utf8_text, value

__all__ = (
    "SHARED",
    "Hosted",
    "OutputFormat",
    "Request",
    "Thinking",
    "Tool",
    "ToolChoice",
    "WireFormat",
    "cut",
    "malformed",
    "model_of",
    "no_content",
    "opened",
    "outline_of",
    "refuse_duplicates",
    "refuse_parts",
    "refused",
    "too_many",
    "too_much_in_it",
    "unsupported_tool",
)

type WireFormat = Literal["chat", "responses", "messages"]

SHARED = frozenset(
    ("prompt_cache_key", "prompt_cache_retention", "safety_identifier", "service_tier")
)
"""Members without a neutral name that Chat Completions and Responses both have."""

_ROUTING_KEYS = ("model", "stream", "messages", "input")
"""Members whose duplicates could make the gateway and an upstream read two different requests."""

_LONGEST_MODEL = 256
"""Characters of a model's name: real ones have far fewer, and it is stored with every request."""

_MOST_PARTS = 100_000
"""Content parts and tool calls that a request may have; each costs some microseconds."""


class Tool(msgspec.Struct, frozen=True, kw_only=True):
    """A tool that the client runs."""

    name: str
    description: str = ""
    parameters: dict[str, Any] | None = None
    """JSON schema of a function's arguments, or None."""

    strict: bool | None = None
    custom: bool = False
    """It takes free text instead of JSON arguments."""

    grammar: dict[str, Any] | None = None
    """The grammar of a custom tool's text: `{"type": "grammar", "syntax": "lark",
    "definition": …}`.
    """

    extra: dict[str, Any] = {}
    """Members that only Messages has for a tool."""

    nested: bool = True
    """On a custom tool: Chat Completions' documented shape, whose calls may come back as
    `custom` calls.
    """

    group: str = ""
    """The `namespace` of Responses that it belongs to; its name begins with that."""

    declared: dict[str, Any] = {}
    """How the client declared it or its group, where its format has a kind of its own for that;
    empty: as a function or custom tool.
    """

    cache: str = ""
    """As for `Text`."""


class Hosted(msgspec.Struct, frozen=True):
    """A tool that the upstream runs itself, as only upstreams of the same format take it."""

    wire_format: WireFormat
    kind: str
    tool: dict[str, Any]
    """Its declaration; empty: it is declared beside the tools."""


class ToolChoice(msgspec.Struct, frozen=True):
    """Which tools may be called: only `names` if there are any; `required` and one name force
    that tool.
    """

    mode: Literal["auto", "none", "required"]
    names: tuple[str, ...] = ()


class OutputFormat(msgspec.Struct, frozen=True, kw_only=True):
    """The shape the answer's text must have: any JSON object, or one that a schema describes."""

    schema: dict[str, Any] | None = None
    """None: any JSON object."""

    name: str = ""
    description: str = ""
    strict: bool | None = None


class Thinking(msgspec.Struct, frozen=True, kw_only=True):
    """How much the model thinks, and how much of it the client sees; empty fields: not set."""

    effort: str = ""
    """`none minimal low medium high xhigh max`, in the client's word."""

    budget: int | None = None
    """Tokens."""

    switch: str = ""
    """`enabled`, `adaptive` or `disabled`."""

    display: str = ""
    """`summarized` or `omitted`, for Messages; `summary` is the other formats' word."""

    summary: str = ""
    """`auto`, `concise` or `detailed`."""


class Request(msgspec.Struct, kw_only=True):
    """A client's request."""

    origin: WireFormat
    """The client's format, which `extra` belongs to."""

    model: str
    messages: list[Message]
    tools: tuple[Tool, ...] = ()
    loaded: tuple[Tool, ...] = ()
    """Tools that Responses declares within the conversation."""

    hosted: tuple[Hosted, ...] = ()
    tool_choice: ToolChoice | None = None
    parallel_tool_calls: bool | None = None
    max_tokens: int | None = None
    temperature: float | None = None
    top_p: float | None = None
    top_k: int | None = None
    presence_penalty: float | None = None
    frequency_penalty: float | None = None
    seed: int | None = None
    stop: tuple[str, ...] = ()
    output_format: OutputFormat | None = None
    verbosity: str = ""
    thinking: Thinking = Thinking()
    stream: bool = False
    usage_asked: bool = False
    """Whether the client wants streamed usage; only Chat Completions lets it choose."""

    store: bool | None = None
    previous_response_id: str = ""
    own_items: list[dict[str, Any]] | None = None
    """A Responses client's own input, without the stored past; None: its answer is not stored."""

    include: tuple[str, ...] = ()
    metadata: dict[str, Any] | None = None
    user: str = ""
    extra: dict[str, Any] = {}
    """Top-level members of `origin` that have no neutral name."""


def cut(body: bytes) -> Members:
    """A request body's members. Raises RequestError when it is malformed or names a routing
    key twice.
    """
    try:
        utf8_text(body)
        parts = members(body)
        refuse_duplicates(parts)
    except MalformedJson as error:
        raise malformed(error) from error
    return parts


def outline_of(body: Cut) -> Members:
    """The members of a body in pieces. Raises RequestError when it names a routing key twice."""
    try:
        refuse_duplicates(body.outline)
    except MalformedJson as error:
        raise malformed(error) from error
    return body.outline


def opened(body: bytes, parts: Members | None = None) -> dict[str, Any]:
    """A request body as Python objects; `parts` are its members when it was `cut` before.
    Raises RequestError as `cut` does.
    """
    if parts is None:
        cut(body)
    try:
        found: dict[str, Any] = value(body.removeprefix(b"\xef\xbb\xbf"))
    except MalformedJson as error:
        raise malformed(error) from error
    return found


def malformed(error: MalformedJson) -> RequestError:
    """What to raise for a body that can't be read."""
    return refused("invalid_json", f"The request is refused: {error}.")


def refuse_duplicates(parts: Members) -> None:
    """Raise MalformedJson for a body with two members of one routing key."""
    # Go's encoding/json takes the last key whatever its case, so that `Model` would be
    # another second one.
    keys = [key.casefold() for key, _ in parts]
    for key in _ROUTING_KEYS:
        if keys.count(key) > 1:
            raise MalformedJson(f"the key '{key}' stands in the body more than once")


def too_many(what: str, count: int, most: int, remedy: str) -> RequestError:
    """The error for a request that has more of something than the gateway takes."""
    message = f"The request has {count:,} {what}, and at most {most:,} are taken: {remedy}."
    return RequestError(Problem(status=413, message=message, code="request_too_large"))


def too_much_in_it(most: int, remedy: str) -> RequestError:
    """The error for a request with more JSON values than the gateway takes."""
    message = f"The request has too many JSON values, and at most {most:,} are taken: {remedy}."
    return RequestError(Problem(status=413, message=message, code="request_too_large"))


def refuse_parts(count: int) -> None:
    """Raise RequestError for more content parts and tool calls than a request may have."""
    if count > _MOST_PARTS:
        raise too_many("content parts and tool calls", count, _MOST_PARTS, "start a new chat")


def model_of(name: Any) -> str:
    """The model a request names. Raises RequestError."""
    if not isinstance(name, str) or not name:
        raise refused("missing_model", "The request names no 'model'.", "model")
    if not name.isprintable() or len(name) > _LONGEST_MODEL:
        message = f"A model's name is printable and has at most {_LONGEST_MODEL} characters."
        raise refused("invalid_model", message, "model")
    return name


def refused(code: str, message: str, param: str | None = None) -> RequestError:
    """The error for a request that can't be served."""
    return RequestError(Problem(status=400, code=code, message=message, param=param))


def no_content(role: str) -> RequestError:
    """The error for a message of the user or the system without content, which no API takes."""
    message = f"A message of the role '{role[:40]}' has no 'content'."
    return refused("missing_content", message, "messages")


def unsupported_tool(hosted: Hosted) -> RequestError:
    """The error for a tool that the chosen upstream can't run."""
    message = (
        f"The tool '{hosted.kind}' does not exist for this model: its upstream can't "
        "run it. Leave it out, or choose a model that has it."
    )
    return refused("unsupported_tool", message, "tools")
