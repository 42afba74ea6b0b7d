"""Requests lowered to an upstream's abilities, and its answers raised to the client's tools.

A custom tool takes free text. For an upstream that has only functions it becomes a function of
one string, and a call of that function comes back as the text alone.
"""

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from operator import is_
from typing import Any, Literal

import msgspec

from addon.formats.neutral.deltas import CallDelta, Delta, Finish, StreamError, UsageReport
from addon.formats.neutral.foreign_words import words_of
from addon.formats.neutral.history import well_formed
from addon.formats.neutral.hosted_tools import HostedTaking, without_foreign_tools
from addon.formats.neutral.names import shortened, ungrouped
from addon.formats.neutral.request import Request, Tool, ToolChoice, WireFormat, refused
from addon.formats.neutral.schemas import flat, plain
from addon.formats.neutral.turn import (
    Edit,
    File,
    Foreign,
    Image,
    Message,
    Part,
    Text,
    ToolCall,
    Turn,
    message_of,
    turn_of,
)
from addon.formats.wire.lenient import as_dict, as_str, is_object_in
from addon.formats.wire.pace import breathe
from addon.formats.wire.splice import MalformedJson, scalar_text, value

__all__ = (
    "Abilities",
    "Lowered",
    "PatchedBody",
    "Raising",
    "Taking",
    "Target",
    "few_stops",
    "left_out",
    "lowered",
    "raised",
)

INPUT = "input"
"""The one argument of a function that stands for a custom tool."""

type Taking = Literal["take", "drop", "refuse"]
"""`drop`: put a remark in its place."""


class Abilities(msgspec.Struct, frozen=True, kw_only=True):
    """What an upstream takes."""

    api: WireFormat = "chat"
    """The format that it speaks."""

    hosted_tools: HostedTaking = "drop"
    """What becomes of tools that only the maker of another format runs."""

    custom_tools: bool = False
    """It takes more kinds of tools than functions, as Responses has them."""

    completion_tokens: bool = False
    """Chat: it knows `max_completion_tokens` instead of `max_tokens`, as OpenAI's own
    endpoint does.
    """

    dated_tools: bool = True
    """Messages: it knows Anthropic's kinds of tools that the client runs, like `bash_20250124`."""

    longest_name: int = 64
    """Characters that the name of a tool may have."""

    unique_ids: bool = False
    """It refuses a call whose id an earlier call has."""

    most_stops: int | None = None
    """Stop sequences that it takes; None: any number."""

    encrypted_reasoning: bool = True
    """Responses: it may be asked for `reasoning.encrypted_content`, which models that don't
    reason refuse.
    """

    max_tokens: int = 32_000
    """Messages: the number for a client that names none, since the API demands one."""

    adaptive_thinking: bool = True
    """Messages: it decides itself how much to think when told `adaptive`; older models take
    a budget only.
    """

    budgets: bool = True
    """Messages: it takes a budget of tokens to think with, which new models refuse."""

    efforts: bool = True
    """Messages: it takes `output_config.effort`, which old models refuse."""

    efforts_beside_budgets: bool = False
    """Messages: it takes that effort from any client, beside a budget, as DeepSeek does."""

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

    flat_schemas: bool = False
    """It takes no choice at the top of a tool's schema."""

    plain_schemas: bool = False
    """It takes few keywords in a tool's schema, as Gemini does."""

    images: Taking = "take"
    files: Taking = "take"

    def schema(self, given: dict[str, Any]) -> dict[str, Any]:
        """The schema of a tool's arguments as it takes it."""
        if self.flat_schemas:
            given = flat(given)
        if self.plain_schemas:
            given = plain(given)
        return given


class Target(msgspec.Struct, frozen=True, kw_only=True):
    """The upstream of a patched request, and the changes for it."""

    model: str
    """Its own name of the model."""

    abilities: Abilities
    edits: Mapping[int, Edit] = {}
    """By the indexes of the neutral request's messages."""

    unusable: frozenset[str] = frozenset()
    """State that it can't use: another account made it, or it has refused it."""

    effort: str = ""
    """The effort that replaces the client's; empty: the client's."""

    override: Mapping[str, Any] = {}
    """Members that win over all others, like those that switch thinking off for once."""


class PatchedBody(msgspec.Struct, frozen=True):
    """A body for an upstream."""

    body: bytes
    notes: tuple[str, ...]
    """What the upstream does not get, in words."""


class Lowered(msgspec.Struct, frozen=True):
    """A request that fits an upstream."""

    request: Request
    custom: frozenset[str]
    """Custom tools that it knows as functions."""

    notes: tuple[str, ...]
    """What the upstream does not get, in words."""

    names: dict[str, str] = {}
    """Tools' own names by those under which it knows or calls them, where they differ."""


def lowered(request: Request, abilities: Abilities) -> Lowered:
    """The request as an upstream with these abilities takes it. Raises RequestError for
    what is refused.
    """
    request, notes = without_foreign_tools(request, abilities.api, abilities.hosted_tools)
    alone = _names_alone((*request.tools, *request.loaded))
    request = msgspec.structs.replace(request, tools=tuple(_offered(request, abilities)))
    declared = frozenset(tool.name for tool in request.tools if tool.custom)
    arranged = well_formed(request.messages, unique_ids=abilities.unique_ids)
    called = (call.name for message in arranged for call in message.calls)
    names = shortened([*(tool.name for tool in request.tools), *called], abilities.longest_name)
    fitting = _Fitting(abilities, declared, names, notes)
    messages = [fitting.message(at, message) for at, message in enumerate(arranged)]
    custom, tools = declared, tuple(_as_function(tool, declared) for tool in request.tools)
    if abilities.custom_tools:
        custom, tools = frozenset[str](), request.tools
    fitted = msgspec.structs.replace(
        request,
        messages=messages,
        tools=tuple(map(fitting.tool, fitting.once(tools))),
        tool_choice=fitting.choice(request.tool_choice),
        stop=fitting.stops(request.stop),
    )
    return Lowered(fitted, custom, tuple(fitting.notes), alone | names)


def _names_alone(tools: Iterable[Tool]) -> dict[str, str]:
    """The names of tools of a group by what is left of them without the group's, where that names
    no other tool: some models leave it out.
    """
    pairs = {(ungrouped(tool.group, tool.name), tool.name) for tool in tools}
    counts = Counter(alone for alone, _ in pairs)
    return {alone: name for alone, name in pairs if counts[alone] == 1 and alone != name}


def _offered(request: Request, abilities: Abilities) -> Iterator[Tool]:
    """All tools as functions or custom tools, those of the conversation included; Messages' own
    kinds stay for upstreams that know them.
    """
    knows_dated = abilities.api == "messages" and abilities.dated_tools
    names = {tool.name for tool in request.tools}
    found = [tool for tool in request.loaded if tool.name not in names]
    for tool in (*request.tools, *found):
        if not tool.declared or (knows_dated and _DATED.fullmatch(as_str(tool.declared["type"]))):
            yield tool
        else:
            yield msgspec.structs.replace(tool, group="", declared={})


_DATED = re.compile(r"\w+_20\d{6}")
"""Kinds of Messages end in a date
(https://platform.claude.com/docs/en/agents-and-tools/tool-use/overview).
"""

_INPUT_SCHEMA = {
    "type": "object",
    "properties": {INPUT: {"type": "string", "description": "The tool's whole input, as it is."}},
    "required": [INPUT],
    "additionalProperties": False,
}
"""Parameters of a function that stands for a custom tool."""


def _as_function(tool: Tool, custom: frozenset[str]) -> Tool:
    """The function that stands for a tool of these names; any other tool stays as it is."""
    if tool.name not in custom:
        return tool
    description = tool.description
    grammar = as_str(as_dict(tool.grammar).get("definition"))
    if grammar:
        description += f"\n\nThe {INPUT} must match this grammar:\n{grammar}"
    return Tool(name=tool.name, description=description, parameters=_INPUT_SCHEMA, cache=tool.cache)


def _with_typed_schema(tool: Tool) -> Tool:
    """Some upstreams demand what is implied: the arguments of a function are an object."""
    schema = tool.parameters or {}
    if tool.custom or schema.get("type") == "object":
        return tool
    typed = {"type": "object", "properties": {}} | schema | {"type": "object"}
    return msgspec.structs.replace(tool, parameters=typed)


class _Fitting:
    def __init__(
        self,
        abilities: Abilities,
        declared: frozenset[str],
        names: dict[str, str],
        notes: list[str],
    ) -> None:
        self._abilities = abilities
        self._declared = declared
        self._names = {name: short for short, name in names.items()}
        self.notes = notes

    def once(self, tools: Iterable[Tool]) -> Iterator[Tool]:
        """The tools without a second one of a name, which upstreams refuse."""
        names: set[str] = set()
        for tool in tools:
            if tool.name in names:
                self.notes.append(f"the second declaration of the tool '{tool.name}' was left out")
            else:
                names.add(tool.name)
                yield tool

    def tool(self, tool: Tool) -> Tool:
        breathe()
        tool = _with_typed_schema(tool)
        if tool.parameters is not None:
            fitting = self._abilities.schema(tool.parameters)
            tool = msgspec.structs.replace(tool, parameters=fitting)
        if tool.name not in self._names:
            return tool
        return msgspec.structs.replace(tool, name=self._names[tool.name])

    def choice(self, choice: ToolChoice | None) -> ToolChoice | None:
        if choice is None or self._names.keys().isdisjoint(choice.names):
            return choice
        names = tuple(self._names.get(name, name) for name in choice.names)
        return ToolChoice(choice.mode, names)

    def stops(self, stops: tuple[str, ...]) -> tuple[str, ...]:
        stops = tuple(filter(None, stops))
        most = self._abilities.most_stops
        if most is None or len(stops) <= most:
            return stops
        self.notes.append(few_stops(len(stops), most))
        return stops[:most]

    def message(self, at: int, message: Message) -> Message:
        parts = tuple(self._part(at, part) for part in message.parts)
        if all(map(is_, parts, message.parts)):
            return message
        held = {"result_of": message.result_of, "cache": message.cache}
        return message_of(message.role, parts, failed=message.failed, **held)

    def _part(self, at: int, part: Part) -> Part:
        breathe()
        match part:
            case ToolCall():
                call = self._call(_raised_part(part, self._declared))
                if call.name in self._names:
                    return msgspec.structs.replace(call, name=self._names[call.name])
                return call
            case Image() if self._abilities.images != "take":
                return self._left_out(at, "image", self._abilities.images)
            case File() if self._abilities.files != "take":
                return self._left_out(at, "file", self._abilities.files)
            case Foreign() if part.wire_format != self._abilities.api:
                return Text(words_of(part.item))
        return part

    def _call(self, call: ToolCall) -> ToolCall:
        """Cursor replays the call of a custom tool as a function's with text that is not
        JSON; upstreams parse it.
        """
        if self._abilities.custom_tools and call.custom:
            return call
        if not call.custom and call.arguments.lstrip()[:1] in ("", "{"):
            return call
        return ToolCall(call.id, call.name, scalar_text({INPUT: call.arguments}).decode())

    def _left_out(self, at: int, what: str, taking: Taking) -> Text:
        remark, note = left_out(what, taking, place=f"message {at}", param=f"messages[{at}]")
        self.notes.append(note)
        return Text(remark)


def few_stops(given: int, taken: int) -> str:
    """A note on stop sequences that an upstream does not take."""
    return f"of {given} stop sequences the first {taken} were passed on"


def left_out(what: str, taking: Taking, *, place: str, param: str) -> tuple[str, str]:
    """The remark that stands for a picture or file that an upstream does not take, and a
    note on it. Raises RequestError where it is refused.
    """
    if taking == "refuse":
        message = (
            f"This model can't read the {what} in {place}: remove it, or choose a model that can."
        )
        raise refused("unsupported_content", message, param)
    return (
        f"[{what} left out: this model can't read it]",
        f"the {what} in {place} was left out: the upstream takes none",
    )


class Raising:
    """Turns the streamed calls of lowered custom tools back into custom calls, each once it is
    known to be whole; `names` are those of `Lowered`.
    """

    def __init__(self, custom: frozenset[str], names: Mapping[str, str] = {}) -> None:
        self._custom = custom
        self._names = names
        self._held: dict[tuple[int, int], list[str]] = {}

    def read(self, deltas: list[Delta]) -> list[Delta]:
        """The deltas for the client."""
        if self._names:
            deltas = [self._renamed(delta) for delta in deltas]
        if not self._custom:
            return deltas
        return [raised for delta in deltas for raised in self._raise(delta)]

    def _renamed(self, delta: Delta) -> Delta:
        if isinstance(delta, CallDelta) and delta.name in self._names:
            return msgspec.structs.replace(delta, name=self._names[delta.name])
        return delta

    def _raise(self, delta: Delta) -> Iterator[Delta]:
        if not isinstance(delta, CallDelta):
            yield from self._released(delta)
            yield delta
            return
        place = delta.choice, delta.index
        if place in self._held:
            self._held[place].append(delta.arguments)
            return
        yield from self._released(delta)
        if delta.name not in self._custom:
            yield delta
            return
        self._held[place] = [delta.arguments]
        yield msgspec.structs.replace(delta, arguments="", custom=True)

    def _released(self, delta: Delta) -> Iterator[Delta]:
        """The inputs of the held calls that are whole now that something else is said of their
        choice: each is when it ends, or an object before that.
        """
        if not self._held or isinstance(delta, UsageReport | StreamError):
            return
        ended = isinstance(delta, Finish)
        for place, pieces in list(self._held.items()):
            if place[0] == delta.choice and (ended or is_object_in(pieces)):
                del self._held[place]
                raw = _raw("".join(pieces))
                yield CallDelta(place[1], arguments=raw, choice=place[0], custom=True)


def raised(turn: Turn, custom: frozenset[str], names: Mapping[str, str] = {}) -> Turn:
    """A whole turn with the calls of lowered custom tools as custom calls, under the tools' own
    names.
    """
    if not any(call.name in custom or call.name in names for call in turn.calls):
        return turn
    parts = [_raised_part(_renamed(part, names), custom) for part in turn.ordered]
    return turn_of(parts, turn.finish_reason, turn.stop_sequence)


def _renamed[P: Part](part: P, names: Mapping[str, str]) -> P | ToolCall:
    if isinstance(part, ToolCall) and part.name in names:
        return msgspec.structs.replace(part, name=names[part.name])
    return part


def _raised_part[P: Part](part: P, custom: frozenset[str]) -> P | ToolCall:
    if isinstance(part, ToolCall) and part.name in custom and not part.custom:
        return ToolCall(part.id, part.name, _raw(part.arguments), custom=True)
    return part


def _raw(arguments: str) -> str:
    """The text in the arguments of a lowered call; arguments of another shape stay as they are."""
    try:
        decoded: Any = value(arguments.encode(errors="replace"))
    except MalformedJson:
        return arguments
    if not isinstance(decoded, dict) or list(decoded) != [INPUT]:
        return arguments
    raw = decoded[INPUT]
    if isinstance(raw, str):
        return raw
    return arguments
