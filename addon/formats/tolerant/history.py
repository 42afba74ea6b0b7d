"""Conversations of any format as neutral messages.

Cursor sends Responses items under `messages`, Messages blocks inside chat messages and
mixtures of all three to the chat path: the item, not the path, tells its kind.
"""

from collections.abc import Iterator
from typing import Any

from addon.formats.neutral.problem import RequestError
from addon.formats.neutral.request import no_content, refuse_parts, refused
from addon.formats.neutral.turn import Message, Part, Reasoning, Refusal, Role, ToolCall, message_of
from addon.formats.tolerant.content import REASONING_FIELDS
from addon.formats.tolerant.items import call_id_of, is_result, item_parts, result_parts
from addon.formats.tolerant.parts import arguments_of, cache_of, parts_of
from addon.formats.wire.lenient import as_dict, as_str, dicts_in
from addon.formats.wire.pace import breathe

__all__ = ("messages_and_sources", "messages_of")

_ROLES: dict[str, Role] = {
    "developer": "system",
    "system": "system",
    "user": "user",
    "assistant": "assistant",
    "tool": "tool",
    "function": "tool",
}
"""Roles of the formats; `developer` is OpenAI's newer `system`, `function` its older `tool`."""

_ROLE_NAMES = "'system', 'developer', 'user', 'assistant' or 'tool'"


def messages_of(items: Any, *, joined: bool, foreign: str = "") -> list[Message]:
    """The messages of an array of messages and items, one for each assistant turn.

    `joined`: consecutive assistant messages are one turn, as Responses splits turns.
    `foreign`: as for `parts_of`. Raises RequestError.
    """
    return messages_and_sources(dicts_in(items), joined=joined, foreign=foreign)[0]


def messages_and_sources(
    items: list[Any], *, joined: bool, foreign: str = ""
) -> tuple[list[Message], list[list[int]]]:
    """The same messages, and for each of them the positions of its items.

    An item that is no object belongs to no message. Raises RequestError.
    """
    reading = _Reading(joined, foreign)
    for at, item in enumerate(items):
        if isinstance(item, dict):
            reading.take(item, at)
            refuse_parts(reading.parts)
    reading.flush()
    return reading.messages, reading.sources


class _Reading:
    def __init__(self, joined: bool, foreign: str) -> None:
        self._joined = joined
        self._foreign = foreign
        self._turn: list[Part] = []
        self._turn_items: list[int] = []
        """Positions of the items of the open turn."""

        self._has_message = False
        """Whether the open turn has a message, if only an empty one."""

        self._run_there: set[str] = set()
        """Ids of calls of a shell in the provider's container, which is no tool of the client's."""

        self.messages: list[Message] = []
        self.sources: list[list[int]] = []
        """For each message the positions of its items."""
        self._parts = 0
        """Number of parts in the whole messages."""

    @property
    def parts(self) -> int:
        """How many parts have been read."""
        return self._parts + len(self._turn)

    def take(self, item: dict[str, Any], at: int) -> None:
        """Read the message or item at this position."""
        breathe()
        kind = item.get("type", "message")
        if kind == "item_reference":
            raise _unknown(item)
        if kind == "additional_tools":
            self.flush()  # it declares tools, and says nothing
        elif is_result(item) and call_id_of(item) not in self._run_there:
            self._add(self._result(item), at)
        elif kind == "message" or as_str(item.get("role")) in _ROLES:
            self._message(item, at)
        else:
            self._turn += item_parts(item)
            self._turn_items.append(at)
            if kind == "shell_call" and not isinstance(self._turn[-1], ToolCall):
                self._run_there.add(call_id_of(item))

    def _result(self, item: dict[str, Any]) -> Message:
        parts, failed = result_parts(item, self._foreign), item.get("status") == "failed"
        return message_of("tool", parts, result_of=call_id_of(item), failed=failed)

    def flush(self) -> None:
        """Close the open turn, if any."""
        if self._turn or self._has_message:
            self.messages.append(message_of("assistant", self._turn))
            self.sources.append(self._turn_items)
            self._parts += len(self._turn)
        self._turn, self._turn_items, self._has_message = [], [], False

    def _add(self, message: Message, at: int) -> None:
        self.flush()
        self.messages.append(message)
        self.sources.append([at])
        self._parts += len(message.parts)

    def _message(self, item: dict[str, Any], at: int) -> None:
        role = _ROLES.get(as_str(item.get("role")))
        if role is None:
            raise refused("invalid_role", f"A message's role is {_ROLE_NAMES}.", "messages")
        if role == "assistant":
            if not self._joined:
                self.flush()
            self._turn += _assistant_parts(item, self._foreign)
            self._turn_items.append(at)
            self._has_message = True
        elif role == "tool":
            self._add(_tool_message(item), at)
        elif item.get("type", "message") == "message" and not _says_something(item):
            raise no_content(item["role"])
        else:
            for message in _split(role, item, self._foreign):
                self._add(message, at)


def _says_something(item: dict[str, Any]) -> bool:
    """Whether a message has a content, if only an empty one; Cursor sends null for that, too."""
    return "content" in item and isinstance(item["content"], str | list | dict | None)


def _unknown(reference: dict[str, Any]) -> RequestError:
    """The error for a reference to an unknown item: stored ones have replaced their references."""
    message = (
        f"The item '{as_str(reference.get('id'))[:80]}' is not known here: send the item "
        "itself in 'input'."
    )
    return refused("item_not_found", message, "input")


def _assistant_parts(item: dict[str, Any], foreign: str) -> Iterator[Part]:
    thought = _reasoning_member(item)
    if thought is not None:
        yield thought
    yield from parts_of(item.get("content"), foreign)
    if refusal := as_str(item.get("refusal")):
        yield Refusal(refusal)
    for call in dicts_in(item.get("tool_calls")):
        yield _call(call)
    if legacy := as_dict(item.get("function_call")):
        yield _call({"function": legacy})


def _reasoning_member(item: dict[str, Any]) -> Reasoning | None:
    """The first reasoning member with text, else the first one, if any."""
    empty = None
    for field in REASONING_FIELDS:
        thought = item.get(field)
        if isinstance(thought, str):
            if thought:
                return Reasoning(thought, field)
            empty = empty or Reasoning("", field)
    return empty


def _call(call: dict[str, Any]) -> ToolCall:
    call_id, custom = as_str(call.get("id")), as_dict(call.get("custom"))
    if custom:
        return ToolCall(
            call_id, as_str(custom.get("name")), as_str(custom.get("input")), custom=True
        )
    function = as_dict(call.get("function"))
    return ToolCall(call_id, as_str(function.get("name")), arguments_of(function.get("arguments")))


def _tool_message(item: dict[str, Any]) -> Message:
    result_of = (
        as_str(item.get("tool_call_id"))
        or as_str(item.get("call_id"))
        or as_str(item.get("tool_use_id"))
    )
    return message_of("tool", parts_of(item.get("content")), result_of=result_of)


def _split(role: Role, item: dict[str, Any], foreign: str) -> Iterator[Message]:
    """The message's tool results as messages of their own, then the rest of it."""
    content = item.get("content")
    results = [block for block in dicts_in(content) if _is_result(block)]
    if not results:
        yield message_of(role, parts_of(content, foreign))
        return
    for block in results:
        yield message_of(
            "tool",
            parts_of(block.get("content"), foreign),
            result_of=as_str(block.get("tool_use_id")) or as_str(block.get("id")),
            failed=block.get("is_error") is True,
            cache=cache_of(block),
        )
    rest = [part for part in content or () if not _is_result(part)]
    if rest:
        yield message_of(role, parts_of(rest, foreign))


def _is_result(block: Any) -> bool:
    return isinstance(block, dict) and block.get("type") == "tool_result"
