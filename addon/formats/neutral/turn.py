"""The neutral vocabulary of messages and turns."""

from collections.abc import Callable, Iterable
from functools import cached_property
from typing import Any, Literal

import msgspec

from addon.formats.wire.pace import breathe
from addon.formats.wire.splice import MalformedJson, value

__all__ = (
    "SUMMARY",
    "Edit",
    "File",
    "Foreign",
    "Image",
    "Message",
    "Part",
    "Reasoning",
    "Refusal",
    "Role",
    "Text",
    "ToolCall",
    "Turn",
    "Usage",
    "edited",
    "marked",
    "message_of",
    "opened_message",
    "text_of",
    "text_of_part",
    "turn_of",
)

SUMMARY = "summary"
"""Field of reasoning that is summarized: no upstream takes it back as what it thought."""

type Role = Literal["system", "user", "assistant", "tool", ""]


class Text(msgspec.Struct, frozen=True):
    """Visible text."""

    text: str
    cache: str = ""
    """How long Anthropic's prompt cache keeps the prompt up to here, like `5m`; empty: not set."""


class Image(msgspec.Struct, frozen=True):
    """A picture: a `data:` or web URL, or the id of an uploaded file."""

    url: str = ""
    file_id: str = ""
    detail: str = ""
    cache: str = ""


class File(msgspec.Struct, frozen=True):
    """A document: a `data:` or web URL, or the id of an uploaded file."""

    url: str = ""
    file_id: str = ""
    name: str = ""
    cache: str = ""


class Refusal(msgspec.Struct, frozen=True):
    """The model's words when it declines."""

    text: str


class ToolCall(msgspec.Struct, frozen=True):
    """A tool call of a turn; `arguments` is the raw string the model wrote."""

    id: str
    name: str
    arguments: str
    custom: bool = False
    """The tool takes free text; `arguments` is not JSON then."""

    cache: str = ""
    """As for `Text`."""


class Reasoning(msgspec.Struct, frozen=True):
    """An upstream's reasoning; an empty `text` is a value, distinct from None."""

    text: str
    field: str
    """The upstream's name of it: `reasoning_content`, `thinking`, `summary`."""

    opaque: str = ""
    """State that only its maker can read: Responses' `encrypted_content`, Messages'
    `signature` or redacted block.
    """

    carrier: str = ""
    """Name under which `opaque` came: `encrypted_content`, `signature`,
    `redacted_thinking`, or a carrier of chat's.
    """

    id: str = ""
    """Id of the item it came in, if any."""

    @property
    def quoted(self) -> bool:
        """Whether `text` is what the model thought, word for word."""
        return self.field != SUMMARY and bool(self.text or not self.opaque)


class Foreign(msgspec.Struct, frozen=True):
    """An item of one format alone, as it came: a hosted tool's call, a compaction."""

    wire_format: str
    item: dict[str, Any]


type Part = Text | Image | File | Refusal | Reasoning | ToolCall | Foreign


class Usage(msgspec.Struct, frozen=True, kw_only=True):
    """Tokens as the upstream counted them."""

    prompt_tokens: int = 0
    completion_tokens: int = 0
    reasoning_tokens: int = 0
    """Part of `completion_tokens`."""

    cached_tokens: int = 0
    """Part of `prompt_tokens`."""

    cache_write_tokens: int = 0
    """Part of `prompt_tokens`."""


class Turn(msgspec.Struct, frozen=True, kw_only=True):
    """One assistant reply as an upstream gave it, whole or as far as it came."""

    text: str = ""
    calls: tuple[ToolCall, ...] = ()
    reasoning: Reasoning | None = None
    finish_reason: str = ""
    stop_sequence: str = ""
    """The client's stop sequence that ended it, if the upstream names one."""

    parts: tuple[Part, ...] = ()
    """Everything in its order; empty when that is reasoning, text, then calls."""

    @property
    def ordered(self) -> tuple[Part, ...]:
        """All its parts in their order."""
        if self.parts:
            return self.parts
        parts: list[Part] = []
        if self.reasoning is not None:
            parts.append(self.reasoning)
        if self.text:
            parts.append(Text(self.text))
        return (*parts, *self.calls)


class Message(msgspec.Struct, frozen=True, dict=True):
    """One message of a replayed conversation, in any format; requests share it."""

    role: Role
    content: bytes = b"null"
    """JSON text of the content, decoded only for its `text`."""

    calls: tuple[ToolCall, ...] = ()
    result_of: str = ""
    """On a tool message: id of the call it answers."""

    reasoning: tuple[tuple[str, str], ...] = ()
    """Field names and texts the client sent itself."""

    parts: tuple[Part, ...] = ()
    """A neutral message's parts in order, calls included; `content` is unused there."""

    failed: bool = False
    """On a tool message: the tool reports an error."""

    cache: str = ""
    """On a tool message: as for `Text`."""

    carried: bool = False
    """On a chat message: it brings reasoning in another shape than a plain string."""

    details: tuple[Any, ...] = ()
    """On a chat message: the items of its `reasoning_details`."""

    annexes: tuple[Any, ...] = ()
    """On a chat message: the `extra_content` of its calls, None for those without; empty when
    none has any.
    """

    def fact[T](self, learn: Callable[..., T], *of: Any) -> T:
        """What a pure function makes of it and of these; found out again only when these are
        others than the last time.
        """
        known = self._facts.get(learn)
        if known is None or known[0] != of:
            known = self._facts[learn] = (of, learn(self, *of))
        found: T = known[1]
        return found

    @cached_property
    def _facts(self) -> dict[Callable[..., Any], tuple[tuple[Any, ...], Any]]:
        """What was made of it by each function, and of what else."""
        return {}

    @property
    def thinks(self) -> bool:
        """Whether it holds reasoning in another shape than a plain string, if only as state."""
        return self.carried or any(isinstance(part, Reasoning) for part in self.parts)

    @cached_property
    def text(self) -> str:
        """The joined text of the content; parts without text count for nothing."""
        if self.parts:
            return "".join(part.text for part in self.parts if isinstance(part, Text))
        return text_of(self.content)


class Edit(msgspec.Struct):
    """The changes to one replayed message."""

    reasoning: dict[str, str] | None = None
    """Reasoning fields that replace the message's own; None leaves those alone."""

    ids: dict[str, str] = {}
    """Tool-call ids to replace, old to new."""

    parts: tuple[Part, ...] | None = None
    """Parts that replace a neutral message's own, reasoning included; None leaves those alone."""

    members: dict[str, bytes] = {}
    """Members to set in a chat message, as JSON texts; an empty text removes the member."""

    annexes: dict[int, bytes] = {}
    """The same for `extra_content` of a chat message's calls, by position: ids may repeat."""

    dropped: bool = False
    """The message must not go out."""


def message_of(
    role: Role, parts: Iterable[Part], *, result_of: str = "", failed: bool = False, cache: str = ""
) -> Message:
    """The neutral message of these parts."""
    breathe()
    parts = tuple(parts)
    return Message(
        role,
        calls=tuple(part for part in parts if isinstance(part, ToolCall)),
        result_of=result_of,
        reasoning=tuple(
            (part.field, part.text) for part in parts if isinstance(part, Reasoning) and part.quoted
        ),
        parts=parts,
        failed=failed,
        cache=cache,
    )


def turn_of(parts: Iterable[Part], finish_reason: str, stop_sequence: str = "") -> Turn:
    """The turn of these parts; `reasoning` joins all their reasoning into one text."""
    parts = tuple(parts)
    turn = Turn(
        text="".join(part.text for part in parts if isinstance(part, Text)),
        calls=tuple(part for part in parts if isinstance(part, ToolCall)),
        reasoning=_joined([part for part in parts if isinstance(part, Reasoning)]),
        finish_reason=finish_reason,
        stop_sequence=stop_sequence,
    )
    if parts == turn.ordered:
        return turn
    return msgspec.structs.replace(turn, parts=parts)


def _joined(pieces: list[Reasoning]) -> Reasoning | None:
    thoughts = [piece for piece in pieces if piece.field or piece.text]  # others are state alone
    if not thoughts:
        return None
    with_text = [thought for thought in thoughts if thought.text] or thoughts[:1]
    return Reasoning("\n\n".join(thought.text for thought in with_text), with_text[0].field)


def edited(message: Message, edit: Edit) -> Message:
    """The neutral message after the edit."""
    parts: Iterable[Part] = message.parts
    if edit.parts is not None:
        parts = marked(edit.parts, _mark_of(message.parts))
    elif edit.reasoning is not None:
        restored = [Reasoning(text, field) for field, text in edit.reasoning.items()]
        parts = [*restored, *(part for part in parts if not isinstance(part, Reasoning))]
    parts = [_renamed(part, edit.ids) for part in parts]
    result_of = edit.ids.get(message.result_of, message.result_of)
    return message_of(
        message.role, parts, result_of=result_of, failed=message.failed, cache=message.cache
    )


def opened_message(message: Message, unseal: Callable[[Reasoning], Reasoning | None]) -> Message:
    """The message with the reasoning of its sealed copies; an unusable copy is left out."""
    breathe()
    if not any(isinstance(part, Reasoning) and part.opaque for part in message.parts):
        return message
    parts: list[Part] = []
    for part in message.parts:
        opened: Part | None = part
        if isinstance(part, Reasoning) and part.opaque:
            opened = unseal(part)
        if opened is not None:
            parts.append(opened)
    return message_of(message.role, parts)


def _mark_of(parts: Iterable[Part]) -> str:
    """The last cache mark among an assistant's parts."""
    mark = ""
    for part in parts:
        if isinstance(part, Text | ToolCall):
            mark = part.cache or mark
    return mark


def marked(parts: Iterable[Part], cache: str) -> list[Part]:
    """The parts with this cache mark on the last one that can bear one."""
    parts = list(parts)
    if not cache:
        return parts
    for at, part in reversed(list(enumerate(parts))):
        if isinstance(part, Text | Image | File | ToolCall):
            parts[at] = msgspec.structs.replace(part, cache=cache)
            break
    return parts


def _renamed(part: Part, ids: dict[str, str]) -> Part:
    if isinstance(part, ToolCall) and part.id in ids:
        return msgspec.structs.replace(part, id=ids[part.id])
    return part


def text_of(content: bytes) -> str:
    """Text of a content: a string, an array of parts, or null."""
    breathe()
    try:
        decoded = value(content)
    except MalformedJson:
        return ""
    if isinstance(decoded, str):
        return decoded
    if not isinstance(decoded, list):
        return ""
    return "".join(map(text_of_part, decoded))


def text_of_part(part: Any) -> str:
    """Text of one content part: a bare string, or an object with a `text`."""
    if isinstance(part, str):
        return part
    if not isinstance(part, dict):
        return ""
    text = part.get("text")
    if isinstance(text, str):
        return text
    return ""
