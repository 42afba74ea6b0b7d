"""Requests made to fit what an upstream takes, and its answers made to fit what the client
asked for.

A custom tool takes free text; for upstreams that know functions only it becomes a function
with one string, and what is called that way comes back as the text alone.
"""

from collections.abc import Iterable
from operator import is_
from typing import Any, Literal

import msgspec

from addon.formats.neutral.deltas import CallDelta, Delta, Finish
from addon.formats.neutral.request import Request, Tool, refused
from addon.formats.neutral.turn import (
    File,
    Image,
    Message,
    Part,
    Text,
    ToolCall,
    Turn,
    message_of,
    turn_of,
)
from addon.formats.wire.lenient import record, text
from addon.formats.wire.splice import MalformedJson, scalar_text, value

__all__ = ("Abilities", "Lowered", "Raising", "Taking", "left_out", "lowered", "raised")

INPUT = "input"
"""The one argument of a function that stands for a custom tool."""

type Taking = Literal["take", "drop", "refuse"]


class Abilities(msgspec.Struct, frozen=True, kw_only=True):
    """What an upstream takes."""

    custom_tools: bool = False
    """It takes more kinds of tools than functions, as Responses has them."""

    completion_tokens: bool = False
    """Chat: it knows `max_completion_tokens` instead of `max_tokens`, as OpenAI's own
    endpoint does.
    """

    encrypted_reasoning: bool = True
    """Responses: it may be asked for `reasoning.encrypted_content`, which models that don't
    reason refuse.
    """

    max_tokens: int = 32_000
    """Messages: asked for when the client names none, since the API wants a number."""

    adaptive_thinking: bool = True
    """Messages: it decides itself how much to think when told `adaptive`; older models take
    a budget only.
    """

    budgets: bool = True
    """Messages: it takes a budget of tokens to think with, which new models refuse."""

    efforts: bool = True
    """Messages: it takes `output_config.effort`, which old models refuse."""

    unsigned_thinking: bool = False
    """Messages: it takes thinking without a signature, as DeepSeek and Kimi do and
    Anthropic doesn't.
    """

    sampling: bool = True
    """Messages: it takes `temperature`, `top_p` and `top_k`, which new models refuse."""

    system_messages: bool = False
    """Messages: it takes system messages among the others; elsewhere the user says what
    they say.
    """

    caches: bool = False
    """Messages: it caches prompts where it is told to, as Claude does; others do by themselves."""

    images: Taking = "take"
    files: Taking = "take"


class Lowered(msgspec.Struct, frozen=True):
    """A request that fits an upstream."""

    request: Request
    custom: frozenset[str]
    """Custom tools that it knows as functions."""

    notes: tuple[str, ...]
    """What the upstream does not get, in words."""


def lowered(request: Request, abilities: Abilities) -> Lowered:
    """The request as an upstream with these abilities takes it. Raises RequestError for
    what is refused.
    """
    declared = frozenset(tool.name for tool in request.tools if tool.custom)
    custom = frozenset() if abilities.custom_tools else declared
    fitting = _Fitting(abilities, declared)
    messages = [fitting.message(at, message) for at, message in enumerate(request.messages)]
    tools = tuple(
        _mended(_as_function(tool) if tool.name in custom else tool) for tool in request.tools
    )
    hosted = tuple(tool for tool in request.hosted if abilities.custom_tools or not tool.spare)
    spared = [tool.kind for tool in request.hosted if tool.spare and not abilities.custom_tools]
    notes = (
        *fitting.notes,
        *(f"the tool '{kind}' was left out: the upstream has no such kind" for kind in spared),
    )
    return Lowered(
        msgspec.structs.replace(request, messages=messages, tools=tools, hosted=hosted),
        custom,
        notes,
    )


def _as_function(tool: Tool) -> Tool:
    definition = text(record(tool.grammar).get("definition"))
    must = f"\n\nThe {INPUT} must match this grammar:\n{definition}" if definition else ""
    schema = {
        "type": "object",
        "properties": {
            INPUT: {"type": "string", "description": "The tool's whole input, as it is."}
        },
        "required": [INPUT],
        "additionalProperties": False,
    }
    return Tool(
        name=tool.name, description=tool.description + must, parameters=schema, cache=tool.cache
    )


def _mended(tool: Tool) -> Tool:
    """Some upstreams demand what is implied: the arguments of a function are an object."""
    schema = tool.parameters
    if tool.custom or (schema is not None and schema.get("type") == "object"):
        return tool
    mended = {"type": "object", "properties": {}} | {
        key: kept for key, kept in (schema or {}).items() if key != "type"
    }
    return msgspec.structs.replace(tool, parameters=mended)


class _Fitting:
    def __init__(self, abilities: Abilities, declared: frozenset[str]) -> None:
        self._abilities = abilities
        self._declared = declared
        self.notes: list[str] = []

    def message(self, at: int, message: Message) -> Message:
        parts = tuple(self._part(at, part) for part in message.parts)
        if all(map(is_, parts, message.parts)):
            return message
        held = {"result_of": message.result_of, "cache": message.cache}
        return message_of(message.role, parts, failed=message.failed, **held)

    def _part(self, at: int, part: Part) -> Part:
        match part:
            case ToolCall():
                return self._call(_raised(part, self._declared))
            case Image() if self._abilities.images != "take":
                return self._left_out(at, "image", self._abilities.images)
            case File() if self._abilities.files != "take":
                return self._left_out(at, "file", self._abilities.files)
        return part

    def _call(self, call: ToolCall) -> ToolCall:
        """Cursor replays the call of a custom tool as a function's with text that is not
        JSON; upstreams parse it.
        """
        if self._abilities.custom_tools and call.custom:
            return call
        is_text = call.custom or call.arguments.lstrip()[:1] not in ("", "{")
        return (
            ToolCall(call.id, call.name, scalar_text({INPUT: call.arguments}).decode())
            if is_text
            else call
        )

    def _left_out(self, at: int, what: str, taking: Taking) -> Text:
        remark, note = left_out(at, what, taking)
        self.notes.append(note)
        return Text(remark)


def left_out(at: int, what: str, taking: Taking) -> tuple[str, str]:
    """What stands for a picture or file that an upstream does not take, and a note on it.
    Raises RequestError.
    """
    if taking == "refuse":
        message = (
            f"This model can't read the {what} in message {at}: remove it, or choose a "
            "model that can."
        )
        raise refused("unsupported_content", message, f"messages[{at}]")
    return (
        f"[{what} left out: this model can't read it]",
        f"the {what} in message {at} was left out: the upstream takes none",
    )


class Raising:
    """Gives the calls of lowered custom tools back as what they are; each is held until it
    is whole.
    """

    def __init__(self, custom: frozenset[str]) -> None:
        self._custom = custom
        self._held: dict[tuple[int, int], list[str]] = {}

    def read(self, deltas: list[Delta]) -> list[Delta]:
        """The deltas for the client."""
        if not self._custom:
            return deltas
        return [passed for delta in deltas for passed in self._passed(delta)]

    def _passed(self, delta: Delta) -> Iterable[Delta]:
        if isinstance(delta, Finish):
            return (*self._ended(delta.choice), delta)
        if not isinstance(delta, CallDelta):
            return (delta,)
        held = self._held.get((delta.choice, delta.index))
        if held is None and delta.name not in self._custom:
            return (delta,)
        if held is None:
            self._held[delta.choice, delta.index] = [delta.arguments]
            return (msgspec.structs.replace(delta, arguments="", custom=True),)
        held.append(delta.arguments)
        return ()

    def _ended(self, choice: int) -> list[Delta]:
        ended = [
            (key, _raw("".join(self._held.pop(key))))
            for key in list(self._held)
            if key[0] == choice
        ]
        return [
            CallDelta(index, arguments=raw, choice=choice, custom=True) for (_, index), raw in ended
        ]


def raised(turn: Turn, custom: frozenset[str]) -> Turn:
    """A whole turn with the calls of lowered custom tools as what they are."""
    if not any(call.name in custom for call in turn.calls):
        return turn
    return turn_of(
        [_raised(part, custom) for part in turn.ordered], turn.finish_reason, turn.stop_sequence
    )


def _raised[P: Part](part: P, custom: frozenset[str]) -> P | ToolCall:
    if isinstance(part, ToolCall) and part.name in custom and not part.custom:
        return ToolCall(part.id, part.name, _raw(part.arguments), custom=True)
    return part


def _raw(arguments: str) -> str:
    """The text in the arguments of a lowered call; what has another shape stays as it is."""
    try:
        found: Any = value(arguments.encode(errors="replace"))
    except MalformedJson:
        return arguments
    alone = isinstance(found, dict) and list(found) == [INPUT] and isinstance(found[INPUT], str)
    return found[INPUT] if alone else arguments
