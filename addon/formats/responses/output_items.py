"""Each kind of output item, and the events with which it is added, filled and done."""

from typing import Any, Protocol

from addon.formats.neutral.deltas import OpaqueDelta
from addon.formats.neutral.protocols import Seal
from addon.formats.neutral.request import Tool
from addon.formats.neutral.turn import Reasoning, ToolCall
from addon.formats.responses.client_calls import kind_of, members_of, named
from addon.formats.wire.lenient import is_object_in
from addon.formats.wire.splice import scalar_text

__all__ = (
    "CallItem",
    "ClientCallItem",
    "CustomCallItem",
    "ForeignOutput",
    "Item",
    "MessageItem",
    "Sent",
    "ThoughtItem",
)

type Sent = list[tuple[str, bytes]]
"""Types of events with the text of their members, without their number."""


class Item(Protocol):
    """An output item; `done` once it is whole."""

    index: int
    done: bool

    @property
    def over(self) -> bool:
        """Whether it may end once another item follows."""

    @property
    def sink(self) -> list[str] | None:
        """What more pieces are added to if each is told by itself or none is; None if they may
        change what is told.
        """

    def begin(self, out: Sent) -> None:
        """Append the event that announces it."""

    def end(self, status: str, out: Sent) -> None:
        """Append the events that end it; `status` is `completed` or `incomplete`."""

    def whole(self) -> dict[str, Any]:
        """The whole item, as the client gets it."""


class MessageItem:
    """Visible texts and refusals."""

    over = True

    def __init__(self, index: int, name: str, part: int) -> None:
        self.index = index
        self.part = part
        self.done = False
        self._item: dict[str, Any] = {
            "type": "message",
            "id": f"msg_{name}",
            "status": "in_progress",
            "role": "assistant",
            "content": [],
        }
        self._kind = ""
        self._where = b""
        self._pieces: list[str] = []

    @property
    def sink(self) -> list[str] | None:
        return self._pieces

    def begin(self, out: Sent) -> None:
        tell(self, "added", out)

    def add_text(self, text: str, out: Sent) -> None:
        """Take one more piece of text."""
        if self._kind != "output_text":
            self._begin_part("output_text", out)
        self._pieces.append(text)
        members = b'%b,"logprobs":[],"delta":%b' % (self._where, scalar_text(text))
        out.append(("response.output_text.delta", members))

    def add_refusal(self, text: str, out: Sent) -> None:
        """Take one more piece of a refusal."""
        if self._kind != "refusal":
            self._begin_part("refusal", out)
        self._pieces.append(text)
        out.append(("response.refusal.delta", b'%b,"delta":%b' % (self._where, scalar_text(text))))

    def end(self, status: str, out: Sent) -> None:
        self._end_part(out)
        self._item["status"], self.done = status, True
        tell(self, "done", out)

    def whole(self) -> dict[str, Any]:
        return self._item

    def _begin_part(self, kind: str, out: Sent) -> None:
        self._end_part(out)
        self._kind, self._pieces = kind, []
        self._where = b'"item_id":%b,"output_index":%d,"content_index":%d' % (
            scalar_text(self._item["id"]),
            self.index,
            len(self._item["content"]),
        )
        part = scalar_text(self._part())
        out.append(("response.content_part.added", b'%b,"part":%b' % (self._where, part)))

    def _end_part(self, out: Sent) -> None:
        if not self._kind:
            return
        part = self._part()
        if self._kind == "refusal":
            refusal = scalar_text(part["refusal"])
            out.append(("response.refusal.done", b'%b,"refusal":%b' % (self._where, refusal)))
        else:
            text = b'%b,"logprobs":[],"text":%b' % (self._where, scalar_text(part["text"]))
            out.append(("response.output_text.done", text))
        done = b'%b,"part":%b' % (self._where, scalar_text(part))
        out.append(("response.content_part.done", done))
        self._item["content"].append(part)
        self._kind = ""

    def _part(self) -> dict[str, Any]:
        text = "".join(self._pieces)
        if self._kind == "refusal":
            return {"type": "refusal", "refusal": text}
        return {"type": "output_text", "text": text, "annotations": [], "logprobs": []}


class ThoughtItem:
    """A piece of reasoning, with its text as a summary if the client asked for one.

    `carried`: the client gets the state, too; a stored item has it in any case.
    """

    over = True

    def __init__(
        self, index: int, name: str, part: int, *, shown: bool, carried: bool, seal: Seal | None
    ) -> None:
        self.index = index
        self.part = part
        self.done = False
        self.opaque: OpaqueDelta | None = None
        self._seal = seal
        self._shown = shown
        self._carried = carried
        self._state = ""
        self._item: dict[str, Any] = {"type": "reasoning", "id": f"rs_{name}", "summary": []}
        self._where = b'"item_id":%b,"output_index":%d,"summary_index":0' % (
            scalar_text(self._item["id"]),
            index,
        )
        self._pieces: list[str] = []
        self._field = ""

    @property
    def sink(self) -> list[str] | None:
        return self._pieces

    def begin(self, out: Sent) -> None:
        tell(self, "added", out)

    def add(self, text: str, field: str, out: Sent) -> None:
        """Take one more piece of reasoning; an empty text only names its field."""
        self._field = field
        if not text:
            return
        if self._shown:
            self._show(text, out)
        self._pieces.append(text)

    def end(self, status: str, out: Sent) -> None:
        text = "".join(self._pieces)
        if self._shown and text:
            part = {"type": "summary_text", "text": text}
            whole = b'%b,"text":%b' % (self._where, scalar_text(text))
            out.append(("response.reasoning_summary_text.done", whole))
            done = b'%b,"part":%b' % (self._where, scalar_text(part))
            out.append(("response.reasoning_summary_part.done", done))
            self._item["summary"] = [part]
        if self._seal is not None:
            self._state = self._seal(self._reasoning(text))
        if self._carried:
            self._item = self.stored()
        self.done = True
        tell(self, "done", out)

    def whole(self) -> dict[str, Any]:
        return self._item

    def stored(self) -> dict[str, Any]:
        """The whole item, as it is stored."""
        if not self._state:
            return self._item
        return self._item | {"encrypted_content": self._state}

    def _show(self, text: str, out: Sent) -> None:
        if not self._pieces:
            added = b'%b,"part":{"type":"summary_text","text":""}' % self._where
            out.append(("response.reasoning_summary_part.added", added))
        delta = b'%b,"delta":%b' % (self._where, scalar_text(text))
        out.append(("response.reasoning_summary_text.delta", delta))

    def _reasoning(self, text: str) -> Reasoning:
        if self.opaque is None:
            return Reasoning(text, self._field)
        return Reasoning(text, self._field, self.opaque.opaque, self.opaque.carrier, self.opaque.id)


class CallItem:
    """A tool call, which begins once its name has come and is over once its arguments are whole."""

    kind = "function_call"
    prefix = "fc"
    """Prefix of the item's id."""

    member = "arguments"
    """The member with the call's arguments."""

    event = "response.function_call_arguments"

    def __init__(self, index: int) -> None:
        self.index = index
        self.done = False
        self._item: dict[str, Any] = {}
        self._where = b""
        self._pieces: list[str] = []
        self._unsent = 0
        """How many of the pieces, the last ones, have not been sent."""

        self._judged = (0, False)
        """The number of pieces at the last look at them, and whether they were whole then."""

    @property
    def has_begun(self) -> bool:
        return bool(self._item)

    @property
    def over(self) -> bool:
        if self._judged[0] != len(self._pieces):
            self._judged = len(self._pieces), self._is_whole
        return self.has_begun and self._judged[1]

    @property
    def sink(self) -> list[str] | None:
        if not self.has_begun:
            return None
        return self._pieces

    @property
    def arguments(self) -> str:
        """What has come of the arguments."""
        return "".join(self._pieces)

    def identify(self, name: str, call: ToolCall, tool: Tool | None) -> None:
        """Set the call's ids and name; `tool` is what it calls."""
        item_id = f"{self.prefix}_{name}"
        self._item = {"type": self.kind, "id": item_id, "call_id": call.id}
        self._item |= named(call.name, tool)
        self._item[self.member] = ""
        self._set_status("in_progress")
        self._where = b'"item_id":%b,"output_index":%d' % (scalar_text(item_id), self.index)

    def begin(self, out: Sent) -> None:
        tell(self, "added", out)
        self._tell_pieces(out)

    def add(self, arguments: str, out: Sent) -> None:
        """Take one more piece of the arguments, or of a custom tool's text."""
        if arguments:
            self._pieces.append(arguments)
            self._unsent += 1
        if self.has_begun:
            self._tell_pieces(out)

    def end(self, status: str, out: Sent) -> None:
        arguments = self.arguments
        self._item[self.member] = arguments
        self._set_status(status)
        whole = b'%b,"%b":%b' % (self._where, self.member.encode(), scalar_text(arguments))
        out.append((f"{self.event}.done", whole))
        self.done = True
        tell(self, "done", out)

    def whole(self) -> dict[str, Any]:
        return self._item

    @property
    def _is_whole(self) -> bool:
        return is_object_in(self._pieces)

    def _set_status(self, status: str) -> None:
        self._item["status"] = status

    def _tell_pieces(self, out: Sent) -> None:
        event = f"{self.event}.delta"
        for piece in self._pieces[len(self._pieces) - self._unsent :]:
            out.append((event, b'%b,"delta":%b' % (self._where, scalar_text(piece))))
        self._unsent = 0


class CustomCallItem(CallItem):
    """The call of a custom tool, whose input is free text."""

    kind = "custom_tool_call"
    prefix = "ctc"
    member = "input"
    event = "response.custom_tool_call_input"

    @property
    def _is_whole(self) -> bool:
        """Those that mix calls have no custom ones, or give their text at once."""
        return True

    def _set_status(self, status: str) -> None:
        """Nothing: the API gives it no status."""


class ClientCallItem(CallItem):
    """The call of a tool that has a kind of its own, told as a whole."""

    def __init__(self, index: int, tool: Tool) -> None:
        super().__init__(index)
        self.kind, self.prefix = kind_of(tool)
        self._tool = tool

    def identify(self, name: str, call: ToolCall, tool: Tool | None) -> None:
        self._item = {"type": self.kind, "id": f"{self.prefix}_{name}", "call_id": call.id}
        self._item |= members_of(self._tool, "")
        self._set_status("in_progress")

    def end(self, status: str, out: Sent) -> None:
        self._item |= members_of(self._tool, self.arguments)
        if status == "completed" or self.kind != "apply_patch_call":  # which is never incomplete
            self._set_status(status)
        self.done = True
        tell(self, "done", out)

    def _tell_pieces(self, out: Sent) -> None:
        """Nothing: there are no events for them."""


class ForeignOutput:
    """An item of Responses alone, passed on as it came."""

    over = True
    sink = None

    def __init__(self, index: int, item: dict[str, Any]) -> None:
        self.index = index
        self.done = False
        self._item = item

    def begin(self, out: Sent) -> None:
        tell(self, "added", out)

    def end(self, status: str, out: Sent) -> None:
        self.done = True
        tell(self, "done", out)

    def whole(self) -> dict[str, Any]:
        return self._item


def tell(item: Item, step: str, out: Sent) -> None:
    """Append the event that an item is `added`, or `done`."""
    members = b'"output_index":%d,"item":%b' % (item.index, scalar_text(item.whole()))
    out.append((f"response.output_item.{step}", members))
