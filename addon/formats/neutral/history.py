"""A conversation as every upstream takes it: the results of calls follow the message with the
calls, each call has one, and none stands alone.

Clients let the user speak between a call and its result, compact one of the two away, or number
the calls of each turn anew; OpenAI, Anthropic and most others refuse that.
"""

from collections import Counter, defaultdict, deque
from collections.abc import Iterator, Sequence

from msgspec.structs import replace

from addon.formats.neutral.turn import Message, Part, Text, ToolCall, message_of
from addon.formats.wire.pace import breathe

__all__ = ("well_formed",)

_LOST = "[The result of this tool call is not in the conversation.]"
_ORPHAN = "[Result of a tool call that is not in the conversation]\n"


def well_formed(messages: Sequence[Message], *, unique_ids: bool = False) -> list[Message]:
    """The messages in the order that upstreams demand, with remarks for what is missing.

    `unique_ids`: a call whose id an earlier one has gets another, and so does its result.
    """
    if not any(message.role == "tool" or message.calls for message in messages):
        return list(messages)
    return list(_Arranged(messages, unique_ids=unique_ids).messages())


class _Arranged:
    def __init__(self, messages: Sequence[Message], *, unique_ids: bool) -> None:
        self._messages = messages
        self._unique_ids = unique_ids
        self._results: defaultdict[str, deque[int]] = defaultdict(deque)
        """Places of the results that no call has taken yet, by call id."""

        for at, message in enumerate(messages):
            if message.role == "tool":
                self._results[message.result_of].append(at)
        self._taken: set[int] = set()
        self._ids: set[str] = set()
        self._copies: Counter[str] = Counter()
        """How many calls have had an id: the next looks for a free name from there on."""

    def messages(self) -> Iterator[Message]:
        for at, message in enumerate(self._messages):
            if message.role == "tool":
                if at not in self._taken:
                    yield _as_words(message)
            elif not message.calls:
                yield message
            else:
                yield from self._turn(at, message)

    def _turn(self, at: int, message: Message) -> Iterator[Message]:
        """The message, and the results of its calls."""
        ids = [self._id(call) for call in message.calls]
        if ids == [call.id for call in message.calls]:
            yield message
        else:
            yield message_of("assistant", _renamed(message.parts, ids), cache=message.cache)
        for call, call_id in zip(message.calls, ids, strict=True):
            result = self._result(at, call)
            if call_id != call.id:
                result = replace(result, result_of=call_id)
            yield result

    def _id(self, call: ToolCall) -> str:
        breathe()
        call_id = call.id
        while self._unique_ids and call_id in self._ids:
            self._copies[call.id] += 1
            call_id = f"{call.id}_{self._copies[call.id] + 1}"
        self._ids.add(call_id)
        return call_id

    def _result(self, at: int, call: ToolCall) -> Message:
        """The call's result: the first one after it that no other call has taken."""
        places = self._results[call.id]
        while places and places[0] < at:
            places.popleft()
        if not places:
            return message_of("tool", [Text(_LOST)], result_of=call.id)
        self._taken.add(places[0])
        return self._messages[places.popleft()]


def _as_words(result: Message) -> Message:
    """A result without its call, as what the user says."""
    return message_of("user", [Text(_ORPHAN), *result.parts], cache=result.cache)


def _renamed(parts: Sequence[Part], ids: list[str]) -> Iterator[Part]:
    names = iter(ids)
    for part in parts:
        yield replace(part, id=next(names)) if isinstance(part, ToolCall) else part
