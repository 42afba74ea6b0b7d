"""The output of a response: its items, and the events with which they come.

One item is open at a time, as in OpenAI's own streams: clients hold the current one. Chat
upstreams mix them: the events of a later item are held until the one before it is over.
"""

from collections.abc import Iterable
from typing import Any

from addon.formats.neutral.deltas import (
    CallDelta,
    Delta,
    ForeignItem,
    OpaqueDelta,
    ReasoningDelta,
    RefusalDelta,
    TextDelta,
    Words,
)
from addon.formats.neutral.protocols import Mint, OneField, Seal
from addon.formats.neutral.request import Tool
from addon.formats.neutral.turn import ToolCall
from addon.formats.responses.client_calls import kind_of, tools_by_name
from addon.formats.responses.output_items import (
    CallItem,
    ClientCallItem,
    CustomCallItem,
    ForeignOutput,
    Item,
    MessageItem,
    Sent,
    ThoughtItem,
)

__all__ = ("Output", "Sent")


class Output:
    """The output items of one response, in their order; one is open at a time."""

    def __init__(
        self,
        name: str,
        *,
        tools: Iterable[Tool],
        mint: Mint,
        seal: Seal | None,
        shows_thoughts: bool,
        carries_state: bool,
    ) -> None:
        self._name = name
        self._tools = tools_by_name(tools)
        self._mint = mint
        self._seal = seal
        self._shows_thoughts = shows_thoughts
        self._carries_state = carries_state
        self._items: list[Item] = []
        self._live = 0
        """Place of the first item that is not done: the only one whose events go out."""

        self._held: dict[int, Sent] = {}
        """The events of the items after it."""

        self._calls: dict[int, CallItem] = {}
        self._thoughts = 0
        """The first part of the reasoning that has not begun: some servers name the field
        in every event.
        """

        self._one_field = OneField()

    def whole(self) -> list[dict[str, Any]]:
        """The items that are done, as the client gets them."""
        return [item.whole() for item in self._items if item.done]

    def stored(self) -> list[dict[str, Any]]:
        """The items that are done, as they are stored."""
        return [_stored(item) for item in self._items if item.done]

    def take(self, delta: Delta, out: Sent) -> None:
        """Add one delta of the answer, and append the events that can be sent."""
        match delta:
            case TextDelta():
                message = self._message(delta.part)
                message.add_text(delta.text, self._events_of(message, out))
            case CallDelta():
                self._call(delta, out)
            case ReasoningDelta():
                if self._one_field.takes(delta) and (delta.text or delta.part == self._thoughts):
                    thought = self._thought(delta.part)
                    thought.add(delta.text, delta.field, self._events_of(thought, out))
            case OpaqueDelta():
                self._thought(delta.part).opaque = delta
            case RefusalDelta():
                message = self._message(delta.part)
                message.add_refusal(delta.text, self._events_of(message, out))
            case ForeignItem(wire_format="responses"):
                self._begin(ForeignOutput(len(self._items), delta.item))
        self._go_on(out)

    def sinks(self, delta: Words) -> list[list[str]] | None:
        """All that more of the delta, the one taken last, is added to; None if it may do more."""
        if isinstance(delta, ReasoningDelta) and not self._one_field.takes(delta):
            return []
        if self._live != len(self._items) - 1:
            return None
        last = self._items[-1]
        if isinstance(delta, CallDelta) and last is not self._calls[delta.index]:
            return None
        return None if last.sink is None else [last.sink]

    def end(self, status: str, out: Sent) -> None:
        """Append the events that end all items."""
        for index, call in self._calls.items():
            if not call.has_begun:
                self._identify(call, CallDelta(index), self._events_of(call, out))
        for item in self._items[self._live :]:
            out += self._held.pop(item.index, ())
            item.end(status, out)
        self._live = len(self._items)

    def _go_on(self, out: Sent) -> None:
        """End each item that is over and followed by another; the one after them goes on."""
        out += self._held.pop(self._live, ())
        while self._live < len(self._items) and self._may_end(self._items[self._live]):
            self._items[self._live].end("completed", out)
            self._live += 1
            out += self._held.pop(self._live, ())

    def _may_end(self, item: Item) -> bool:
        is_last = item is self._items[-1]
        return item.over and (not is_last or isinstance(item, ForeignOutput))

    def _events_of(self, item: Item, out: Sent) -> Sent:
        """Where the item's events go: out, unless another is open before it."""
        if item.index in self._held or item.index != self._live:
            return self._held.setdefault(item.index, [])
        return out

    def _message(self, part: int) -> MessageItem:
        """The last item if it is this message, or a new one."""
        last = self._last
        if isinstance(last, MessageItem) and last.part == part:
            return last
        message = MessageItem(len(self._items), self._next_name, part)
        self._begin(message)
        return message

    def _thought(self, part: int) -> ThoughtItem:
        """The last item if it is this piece of reasoning, or a new one."""
        last = self._last
        if isinstance(last, ThoughtItem) and last.part == part:
            return last
        self._thoughts = max(self._thoughts, part + 1)
        thought = ThoughtItem(
            len(self._items),
            self._next_name,
            part,
            shown=self._shows_thoughts,
            carried=self._carries_state,
            seal=self._seal,
        )
        self._begin(thought)
        return thought

    def _call(self, delta: CallDelta, out: Sent) -> None:
        call = self._calls.get(delta.index)
        if call is None or (delta.name and not call.has_begun):
            call = self._place(self._new_call(delta, call), delta.index)
        events = self._events_of(call, out)
        if not call.has_begun and delta.name:
            self._identify(call, delta, events)
        call.add(delta.arguments, events)

    def _new_call(self, delta: CallDelta, nameless: CallItem | None) -> CallItem:
        """The item for a call; `nameless`: what has come of it before its name."""
        index = len(self._items) if nameless is None else nameless.index
        call, tool = CallItem(index), self._tools.get(delta.name)
        if delta.custom:
            call = CustomCallItem(index)
        elif tool is not None and kind_of(tool)[0]:
            call = ClientCallItem(index, tool)
        if nameless is not None:
            call.add(nameless.arguments, [])
        return call

    def _place(self, call: CallItem, number: int) -> CallItem:
        """Put the call last, or where it was before it had a name."""
        self._calls[number] = call
        self._items[call.index : call.index + 1] = [call]
        return call

    def _identify(self, call: CallItem, delta: CallDelta, events: Sent) -> None:
        call_id, tool = self._mint(0, delta.index, delta.id), self._tools.get(delta.name)
        call.identify(f"{self._name}{call.index}", ToolCall(call_id, delta.name, ""), tool)
        call.begin(events)

    def _begin(self, item: Item) -> None:
        self._items.append(item)
        item.begin(self._held.setdefault(item.index, []))

    @property
    def _last(self) -> Item | None:
        """The last item, as long as it is not done."""
        if self._live < len(self._items):
            return self._items[-1]
        return None

    @property
    def _next_name(self) -> str:
        return f"{self._name}{len(self._items)}"


def _stored(item: Item) -> dict[str, Any]:
    if isinstance(item, ThoughtItem):
        return item.stored()
    return item.whole()
