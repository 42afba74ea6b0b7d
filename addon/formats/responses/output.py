"""The output items of a response, and the events with which each is added, filled and done."""

from typing import Any, Protocol

from addon.formats.neutral.deltas import OpaqueDelta
from addon.formats.neutral.protocols import Seal
from addon.formats.neutral.turn import Reasoning, ToolCall
from addon.formats.wire.splice import scalar_text

__all__ = ("CallItem", "ForeignOutput", "Item", "MessageItem", "Sent", "ThoughtItem")

type Sent = list[tuple[str, bytes]]
"""Types of events with the text of their members, all but their number."""


class Item(Protocol):
    """An output item; `done` once it is whole."""

    index: int
    done: bool

    def begin(self, out: Sent) -> None:
        """Say that there is such an item."""

    def end(self, status: str, out: Sent) -> None:
        """Say that it is whole; `status` is `completed` or `incomplete`."""

    def whole(self) -> dict[str, Any]:
        """The item as a whole."""


class MessageItem:
    """What the model says: texts and refusals."""

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

    def begin(self, out: Sent) -> None:
        _tell(self, "added", out)

    def add_text(self, text: str, out: Sent) -> None:
        """More text."""
        if self._kind != "output_text":
            self._begin_part("output_text", out)
        self._pieces.append(text)
        out.append(
            (
                "response.output_text.delta",
                b'%b,"logprobs":[],"delta":%b' % (self._where, scalar_text(text)),
            )
        )

    def add_refusal(self, text: str, out: Sent) -> None:
        """More of a refusal."""
        if self._kind != "refusal":
            self._begin_part("refusal", out)
        self._pieces.append(text)
        out.append(("response.refusal.delta", b'%b,"delta":%b' % (self._where, scalar_text(text))))

    def end(self, status: str, out: Sent) -> None:
        self._end_part(out)
        self._item["status"], self.done = status, True
        _tell(self, "done", out)

    def whole(self) -> dict[str, Any]:
        return self._item

    def _begin_part(self, kind: str, out: Sent) -> None:
        self._end_part(out)
        self._kind, self._pieces = kind, []
        number = len(self._item["content"])
        self._where = b'"item_id":%b,"output_index":%d,"content_index":%d' % (
            scalar_text(self._item["id"]),
            self.index,
            number,
        )
        out.append(
            (
                "response.content_part.added",
                b'%b,"part":%b' % (self._where, scalar_text(self._part())),
            )
        )

    def _end_part(self, out: Sent) -> None:
        if not self._kind:
            return
        part = self._part()
        if self._kind == "refusal":
            out.append(
                (
                    "response.refusal.done",
                    b'%b,"refusal":%b' % (self._where, scalar_text(part["refusal"])),
                )
            )
        else:
            said = scalar_text(part["text"])
            out.append(
                ("response.output_text.done", b'%b,"logprobs":[],"text":%b' % (self._where, said))
            )
        out.append(
            ("response.content_part.done", b'%b,"part":%b' % (self._where, scalar_text(part)))
        )
        self._item["content"].append(part)
        self._kind = ""

    def _part(self) -> dict[str, Any]:
        said = "".join(self._pieces)
        if self._kind == "refusal":
            return {"type": "refusal", "refusal": said}
        return {"type": "output_text", "text": said, "annotations": [], "logprobs": []}


class ThoughtItem:
    """A piece of reasoning: its text as a summary for those who want to see one, its state
    for those who carry it.

    `carried`: the client is one of the latter; what is stored has the state in any case.
    """

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

    def begin(self, out: Sent) -> None:
        _tell(self, "added", out)

    def add(self, text: str, field: str, out: Sent) -> None:
        """More reasoning; an empty text names its field."""
        self._field = field
        if not text:
            return
        if self._shown:
            if not self._pieces:
                part = b'{"type":"summary_text","text":""}'
                out.append(
                    ("response.reasoning_summary_part.added", b'%b,"part":%b' % (self._where, part))
                )
            said = b'%b,"delta":%b' % (self._where, scalar_text(text))
            out.append(("response.reasoning_summary_text.delta", said))
        self._pieces.append(text)

    def end(self, status: str, out: Sent) -> None:
        text = "".join(self._pieces)
        if self._shown and text:
            part = {"type": "summary_text", "text": text}
            said = b'%b,"text":%b' % (self._where, scalar_text(text))
            out.append(("response.reasoning_summary_text.done", said))
            done = b'%b,"part":%b' % (self._where, scalar_text(part))
            out.append(("response.reasoning_summary_part.done", done))
            self._item["summary"] = [part]
        if self._seal:
            self._state = self._seal(self._reasoning(text))
        if self._carried:
            self._item = self.kept()
        self.done = True
        _tell(self, "done", out)

    def whole(self) -> dict[str, Any]:
        return self._item

    def kept(self) -> dict[str, Any]:
        """The item as it is stored."""
        return self._item | ({"encrypted_content": self._state} if self._state else {})

    def _reasoning(self, text: str) -> Reasoning:
        if self.opaque is None:
            return Reasoning(text, self._field)
        return Reasoning(text, self._field, self.opaque.opaque, self.opaque.carrier, self.opaque.id)


class CallItem:
    """A tool call; it begins when its name is known."""

    def __init__(self, *, custom: bool) -> None:
        self.index = -1
        self.done = False
        self._custom = custom
        self._item: dict[str, Any] = {}
        self._where = b""
        self._pieces: list[str] = []
        self._told = 0
        """Pieces that have been sent."""

    @property
    def begun(self) -> bool:
        return self.index >= 0

    def named(self, index: int, name: str, call: ToolCall) -> None:
        """The call's ids and name are known."""
        self.index = index
        kind, prefix = ("custom_tool_call", "ctc") if self._custom else ("function_call", "fc")
        self._item = {"type": kind, "id": f"{prefix}_{name}", "call_id": call.id, "name": call.name}
        self._item |= {"input": ""} if self._custom else {"arguments": "", "status": "in_progress"}
        self._where = b'"item_id":%b,"output_index":%d' % (scalar_text(self._item["id"]), index)

    def begin(self, out: Sent) -> None:
        _tell(self, "added", out)
        self._tell_pieces(out)

    def add(self, arguments: str, out: Sent) -> None:
        """More arguments, or more of a custom tool's text."""
        if arguments:
            self._pieces.append(arguments)
        if self.begun:
            self._tell_pieces(out)

    def end(self, status: str, out: Sent) -> None:
        arguments = "".join(self._pieces)
        member, event = (
            ("input", "custom_tool_call_input") if self._custom else ("arguments", _ARGUMENTS)
        )
        self._item[member] = arguments
        if not self._custom:
            self._item["status"] = status
        said = b'%b,"%b":%b' % (self._where, member.encode(), scalar_text(arguments))
        out.append((f"response.{event}.done", said))
        self.done = True
        _tell(self, "done", out)

    def whole(self) -> dict[str, Any]:
        return self._item

    def _tell_pieces(self, out: Sent) -> None:
        event = (
            "response.custom_tool_call_input.delta"
            if self._custom
            else f"response.{_ARGUMENTS}.delta"
        )
        for piece in self._pieces[self._told :]:
            out.append((event, b'%b,"delta":%b' % (self._where, scalar_text(piece))))
        self._told = len(self._pieces)


class ForeignOutput:
    """An item that is passed on as it came."""

    def __init__(self, index: int, item: dict[str, Any]) -> None:
        self.index = index
        self.done = False
        self._item = item

    def begin(self, out: Sent) -> None:
        _tell(self, "added", out)

    def end(self, status: str, out: Sent) -> None:
        self.done = True
        _tell(self, "done", out)

    def whole(self) -> dict[str, Any]:
        return self._item


_ARGUMENTS = "function_call_arguments"


def _tell(item: Item, what: str, out: Sent) -> None:
    members = b'"output_index":%d,"item":%b' % (item.index, scalar_text(item.whole()))
    out.append((f"response.output_item.{what}", members))
