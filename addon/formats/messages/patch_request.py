"""Messages requests for Messages upstreams: the client's bytes wherever nothing has to change.

What changes, and why, is told in docs/formats.md. Beside it stands the neutral request that
recall, metering and the audit read.
"""

from collections.abc import Iterator
from itertools import takewhile
from typing import Any

import msgspec

from addon.formats.messages.billing import MARK, without_billing_line
from addon.formats.messages.claude import is_claude
from addon.formats.messages.patch_blocks import (
    Fitting,
    array_or_nothing,
    as_blocks,
    is_blank,
    raw_blocks,
    without_blanks,
    without_trailing_blanks,
)
from addon.formats.messages.patch_messages import RawMessage, known_message, read_message
from addon.formats.messages.patch_thinking import thinking_changes
from addon.formats.messages.request import described, items_of, request_of
from addon.formats.neutral import adapt
from addon.formats.neutral.adapt import Abilities, PatchedBody
from addon.formats.neutral.problem import Problem, RequestError
from addon.formats.neutral.protocols import Unseal
from addon.formats.neutral.request import Request, refuse_duplicates, refuse_parts, refused
from addon.formats.neutral.schemas import CHOICES, flat
from addon.formats.tolerant.client_tools import as_function
from addon.formats.tolerant.malformed import refuse_malformed
from addon.formats.wire.lenient import as_dict, as_str, dicts_in
from addon.formats.wire.pace import between_breaths, breathe
from addon.formats.wire.pieces import Cut, Piece
from addon.formats.wire.splice import (
    MalformedJson,
    Members,
    Stretch,
    array_elements,
    array_pieces,
    array_text,
    changed,
    elements,
    members,
    object_in_pieces,
    replaced,
    scalar_text,
    utf8_text,
    value,
    with_members,
)
from addon.formats.wire.surrogates import without_lone_surrogates

__all__ = ("PatchableRequest", "PatchedBody", "Target", "decode")

type Changes = dict[str, bytes]
"""Top-level members by name, as JSON texts; empty ones are left out of the body."""

_UNLIMITED = 10**9
"""More than any budget of thinking: a question for tokens names no limit."""

_OTHERS_TOOLS = frozenset(("function", "namespace"))
"""Kinds of tools that only other formats have."""

_UNCOUNTED = (
    "max_tokens",
    "metadata",
    "service_tier",
    "stop_sequences",
    "stream",
    "temperature",
    "top_k",
    "top_p",
)
"""Members that the API refuses beside a question for tokens
(https://platform.claude.com/docs/en/api/messages-count-tokens).
"""


class Target(adapt.Target, frozen=True, kw_only=True):
    """The upstream of a patched Messages request, and the changes for it."""

    counts: bool = False
    """It counts the tokens of the request instead of answering it."""

    reads_billing_line: bool = False
    """It takes Claude Code's billing line out itself, as Anthropic does."""


class PatchableRequest(msgspec.Struct):
    """A Messages request with its text."""

    request: Request
    """The same in neutral words, copies of reasoning opened."""

    _body: bytes
    _parts: Members
    """The members; the messages stand in `_messages`."""

    _messages: list[RawMessage]
    _span: Stretch
    """The text of the array of messages."""

    def body(self, target: Target) -> PatchedBody:
        """The body for an upstream. Raises RequestError for what it does not take."""
        fitting = Fitting(
            abilities=target.abilities,
            edits=target.edits,
            unusable=target.unusable,
            strict=is_claude(target.model),
        )
        system, messages = self._conversation(target, fitting)
        body = self._patched(self._changes(target, fitting) | system, messages)
        return PatchedBody(body, tuple(fitting.notes))

    def _changes(self, target: Target, fitting: Fitting) -> Changes:
        found = dict(self._parts)
        changes = thinking_changes(
            found,
            self.request,
            model=target.model,
            abilities=target.abilities,
            effort=target.effort,
            override=target.override,
            max_tokens=self._limit(target),
        )
        changes |= _tools(found, target.abilities, strict=fitting.strict)
        if value(found["model"]) != target.model:
            changes["model"] = scalar_text(target.model)
        if fitting.strict:
            changes |= _strict(found)
        if target.counts:
            changes |= dict.fromkeys(_UNCOUNTED, b"")
        elif value(found.get("max_tokens", b"null")) is None:
            changes["max_tokens"] = scalar_text(target.abilities.max_tokens)
        return changes

    def _limit(self, target: Target) -> int:
        """Tokens that the answer may have."""
        if self.request.max_tokens is not None:
            return self.request.max_tokens
        if target.counts:
            return _UNLIMITED
        return target.abilities.max_tokens

    def _conversation(
        self, target: Target, fitting: Fitting
    ) -> tuple[Changes, list[Stretch] | None]:
        """The `system` and, in pieces, the array of messages that go out, as far as they change."""
        lowers = not target.abilities.system_messages
        leading = list(
            takewhile(lambda message: lowers and message.role == "system", self._messages)
        )
        given = dict(self._parts).get("system", b"")
        system = _system(given, leading, target, fitting)
        entries = list(_entries(self._messages, len(leading), fitting, lowers=lowers))
        if fitting.strict and entries and entries[-1].role == "assistant":
            entries[-1].raw = without_trailing_blanks(entries[-1].raw)
        changes: Changes = {}
        if system != given:
            changes["system"] = system
        if [entry.raw for entry in entries] == [message.raw for message in self._messages]:
            return changes, None
        return changes, array_pieces(_joined(entries))

    def _patched(self, changes: Changes, messages: list[Stretch] | None) -> bytes:
        outline = [(name, b"[]" if name == "messages" else raw) for name, raw in self._parts]
        parts = [
            (_well_formed(name), without_lone_surrogates(raw))
            for name, raw in replaced(outline, changes)
        ]
        if parts == outline and messages is None:
            return self._body
        return object_in_pieces(parts, "messages", messages or [self._span])


def _well_formed(name: str) -> str:
    """The name with U+FFFD in the place of each lone surrogate."""
    if name.isascii():
        return name
    return name.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


# -- reading ---------------------------------------------------------------------------------------


def decode(
    body: bytes, *, unseal: Unseal, parts: Members | None = None, cut: Cut | None = None
) -> PatchableRequest | None:
    """Read a Messages request, or one that asks for a count of its tokens.

    It may have been cut and checked before: `parts` are its members then, `cut` is the body in
    pieces. `unseal` opens the copies of reasoning that the client carries, each once. None for a
    request that says something in the words of another format: that has to be translated.
    Raises RequestError.
    """
    try:
        if parts is None:
            utf8_text(body)
            refuse_duplicates(parts := members(body))
        return _read(body, parts, cut, unseal)
    except MalformedJson as error:
        raise refused("invalid_json", f"The request is refused: {error}.") from error


def _messages_in(parts: Members, cut: Cut | None) -> tuple[list[Piece], Stretch]:
    """The messages, and the text of their array. Raises MalformedJson and RequestError."""
    if cut is not None and cut.name == "messages":
        return cut.pieces, cut.span
    span = dict(parts).get("messages", b"")
    if not span.startswith(b"["):
        items_of({name: None for name, _ in parts})  # which is refused
    return [Piece(raw) for raw in between_breaths(elements(span))], span


def _read(body: bytes, parts: Members, cut: Cut | None, unseal: Unseal) -> PatchableRequest | None:
    found = {name: value(raw) for name, raw in parts if name != "messages"}
    pieces, span = _messages_in(parts, cut)
    known = [piece.fact(known_message) for piece in pieces]
    if any(isinstance(one, Problem) and one.code == "malformed_message" for one in known):
        refuse_malformed([value(piece.raw) for piece in pieces], "messages")
    if any(_is_others_tool(tool) for tool in dicts_in(found.get("tools"))):
        return None
    request = request_of(found, [])
    read: list[RawMessage] = []
    count = 0
    for piece, one in zip(pieces, known, strict=True):
        if one is None:
            return None
        if isinstance(one, Problem):
            raise RequestError(one)
        message = read_message(piece, one, len(request.messages), unseal)
        read.append(message)
        request.messages += message.messages
        count += sum([len(part.parts) for part in message.messages])
        refuse_parts(count)
    return PatchableRequest(request, body, parts, read, span)


def _is_others_tool(tool: dict[str, Any]) -> bool:
    kind = as_str(tool.get("type"))
    return (
        kind in _OTHERS_TOOLS
        or "function" in tool
        or (kind == "custom" and "input_schema" not in tool)
    )


# -- the conversation ------------------------------------------------------------------------------


class _Entry(msgspec.Struct):
    """A message that goes out, and where it stood."""

    raw: bytes
    role: str
    at: int
    lowered: bool = False
    """The user says what the system has said."""


def _entries(
    messages: list[RawMessage], begin: int, fitting: Fitting, *, lowers: bool
) -> Iterator[_Entry]:
    for at, message in enumerate(messages[begin:], begin):
        raw = message.fitted(fitting)
        if raw is None:
            continue
        if message.role == "system" and lowers:
            yield _Entry(with_members(raw, {"role": b'"user"'}), "user", at, lowered=True)
        else:
            yield _Entry(raw, message.role, at)


def _joined(entries: list[_Entry]) -> Iterator[bytes]:
    """The messages; two of one role that have come to stand beside each other are one, as
    some upstreams demand.
    """
    run: list[_Entry] = []
    for entry in entries:
        if run and not _belongs(run[-1], entry):
            yield _merged(run)
            run = []
        run.append(entry)
    if run:
        yield _merged(run)


def _belongs(before: _Entry, entry: _Entry) -> bool:
    moved = before.lowered or entry.lowered or entry.at != before.at + 1
    return moved and before.role == entry.role


def _merged(run: list[_Entry]) -> bytes:
    """The entries of one role as one message."""
    if len(run) == 1:
        return run[0].raw
    blocks = [block for entry in run for block in raw_blocks(entry.raw)]
    # Results come first:
    # https://platform.claude.com/docs/en/agents-and-tools/tool-use/handle-tool-calls
    blocks.sort(key=lambda raw: as_dict(value(raw)).get("type") != "tool_result")
    return with_members(run[0].raw, {"content": array_text(blocks)})


def _system(system: bytes, leading: list[RawMessage], target: Target, fitting: Fitting) -> bytes:
    """The system prompt that goes out; empty when there is none."""
    if MARK.encode() in system and not target.reads_billing_line:
        system = _without_billing_lines(system)
    fitted = [message.fitted(fitting) for message in leading]
    raws = [raw for raw in fitted if raw is not None]
    if raws:
        blocks = [raw for raw in as_blocks(system) if value(raw) != {"type": "text", "text": ""}]
        blocks += [block for raw in raws for block in raw_blocks(raw)]
        system = array_text(blocks)
    if fitting.strict and system[:1] in (b"[", b'"'):
        system = without_blanks(system)
    return system


def _without_billing_lines(system: bytes) -> bytes:
    if not system.startswith(b"["):
        kept = _without_billing_line(system)
        if not value(kept):
            return b""
        return kept
    blocks = [_without_billing_block(raw) for raw in elements(system)]
    return array_or_nothing([raw for raw in blocks if raw])


def _without_billing_block(raw: bytes) -> bytes:
    """The block without the line; empty when it says nothing else."""
    if not raw.startswith(b"{"):
        return raw
    patched = changed(raw, ("text",), _without_billing_line)
    if patched != raw and is_blank(as_dict(value(patched))):
        return b""
    return patched


def _without_billing_line(said: bytes) -> bytes:
    given = as_str(value(said))
    kept = without_billing_line(given)
    if kept == given:
        return said
    return scalar_text(kept)


# -- what models refuse ----------------------------------------------------------------------------


def _tools(found: dict[str, bytes], abilities: Abilities, *, strict: bool) -> Changes:
    """Each name stands once and every schema says that it is an object's, as upstreams demand;
    Claude's has no choices. Other models don't know the tools that have no schema.
    """
    given = array_elements(found.get("tools", b""))
    typed = [_typed_tool(tool) for tool in _once(given)]
    if not abilities.dated_tools:
        typed = [_with_schema(tool) for tool in typed]
    if strict:
        typed = [_flat_tool(tool) for tool in typed]
    if typed == given:
        return {}
    return {"tools": array_text(typed)}


def _once(tools: list[bytes]) -> list[bytes]:
    """The first tool of each name."""
    names: set[str] = set()
    kept: list[bytes] = []
    for raw in tools:
        name = as_str(as_dict(value(raw)).get("name"))
        if not name or name not in names:
            kept.append(raw)
        names.add(name)
    return kept


def _typed_tool(tool: bytes) -> bytes:
    breathe()
    if not tool.startswith(b"{"):
        return tool
    return changed(tool, ("input_schema",), _typed)


def _with_schema(tool: bytes) -> bytes:
    """The tool; one of Anthropic's kinds that the client runs as a function."""
    if b"_20" not in tool or not tool.startswith(b"{"):
        return tool
    function = as_function(as_dict(value(tool)))
    if function is None:
        return tool
    return scalar_text(described(function))


def _typed(schema: bytes) -> bytes:
    if not schema.startswith(b"{") or value(dict(members(schema)).get("type", b"null")) == "object":
        return schema
    return with_members(schema, {"type": b'"object"'})


def _flat_tool(tool: bytes) -> bytes:
    if not tool.startswith(b"{"):
        return tool
    return changed(tool, ("input_schema",), _flat)


def _flat(schema: bytes) -> bytes:
    if not any(b'"%b"' % keyword.encode() in schema for keyword in CHOICES):
        return schema
    given = as_dict(value(schema))
    if given.keys().isdisjoint(CHOICES):
        return schema
    return scalar_text(flat(given))


def _strict(found: dict[str, bytes]) -> Changes:
    """What Claude refuses: sequences of blanks to stop at, and a choice among no tools."""
    changes: Changes = {}
    stops = array_elements(found.get("stop_sequences", b""))
    kept = [raw for raw in stops if as_str(value(raw)).strip()]
    if kept != stops:
        changes["stop_sequences"] = array_or_nothing(kept)
    if "tool_choice" in found and not value(found.get("tools", b"null")):
        changes["tool_choice"] = b""
    return changes
