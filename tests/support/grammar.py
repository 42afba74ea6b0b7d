"""Strict readers of streams: they accept what a well-formed server may send, and build what
it said.

The rules are those of https://platform.openai.com/docs/api-reference/chat-streaming and
…/responses-streaming, and of
https://platform.claude.com/docs/en/build-with-claude/streaming, checked against the models
of the openai and anthropic packages.
"""

import json
from typing import Any, get_args

from anthropic.types import Message, RawMessageStreamEvent
from openai.types.chat import ChatCompletionChunk
from openai.types.responses import Response, ResponseStreamEvent
from pydantic import TypeAdapter

from addon.formats.neutral.turn import Reasoning

__all__ = ("ChatHeard", "own_state", "read_chat", "read_messages", "read_responses")

type Json = dict[str, Any]

_EVENTS = {
    get_args(model.model_fields["type"].annotation)[0]: model
    for model in get_args(get_args(ResponseStreamEvent)[0])
}
_ENDS = ("response.completed", "response.incomplete", "response.failed")
_PART_KINDS = {"output_text": "text", "refusal": "refusal"}


def own_state(reasoning: Reasoning) -> str:
    """The `Seal` that seals nothing: the upstream's own state."""
    return reasoning.opaque


def events(stream: bytes) -> list[tuple[str, str]]:
    """Names and texts of the events; a stream is UTF-8 and ends with a blank line."""
    assert stream.endswith(b"\n\n")
    found = []
    for block in stream.decode().split("\n\n")[:-1]:
        fields = [line.split(": ", 1) for line in block.split("\n") if not line.startswith(":")]
        assert all(name in ("event", "data") for name, _ in fields), block
        names = [text for name, text in fields if name == "event"]
        texts = [text for name, text in fields if name == "data"]
        assert len(names) < 2
        assert len(texts) == 1
        found.append(("".join(names), texts[0]))
    return found


# -- Chat Completions ------------------------------------------------------------------------------


class ChatHeard:
    """What a chat client has heard of one choice."""

    def __init__(self) -> None:
        self.text = ""
        self.reasoning = ""
        self.refusal = ""
        self.calls: list[Json] = []
        self.finish_reason = ""

    def take(self, delta: Json, finish_reason: str | None) -> None:
        """Take one chunk of the choice."""
        assert not self.finish_reason, "a chunk after the choice was finished"
        assert delta.keys() <= {
            "role",
            "content",
            "tool_calls",
            "reasoning_content",
            "reasoning",
            "refusal",
        }
        self.text += delta.get("content") or ""
        self.reasoning += delta.get("reasoning_content") or delta.get("reasoning") or ""
        self.refusal += delta.get("refusal") or ""
        for step in delta.get("tool_calls", ()):
            self._call(step)
        self.finish_reason = finish_reason or ""

    def _call(self, step: Json) -> None:
        if step["index"] == len(self.calls):
            assert step["type"] == "function"
            assert step["id"]
            self.calls.append({"id": step["id"], "name": "", "arguments": ""})
        else:
            assert "id" not in step, "clients join the ids of all steps"
            assert "type" not in step
        call = self.calls[step["index"]]
        call["name"] += step["function"].get("name", "")
        call["arguments"] += step["function"].get("arguments", "")


def read_chat(stream: bytes) -> tuple[dict[int, ChatHeard], Json | None]:
    """The choices and the usage of a whole chat stream; AssertionError for one that is not
    well-formed.
    """
    *chunks, last = events(stream)
    assert last == ("", "[DONE]")
    choices: dict[int, ChatHeard] = {}
    usage: Json | None = None
    heads = set()
    for name, text in chunks:
        chunk = json.loads(text)
        ChatCompletionChunk.model_validate(chunk)
        assert name == ""
        assert usage is None, "a chunk after the usage"
        heads.add((chunk["id"], chunk["created"], chunk["model"], chunk["object"]))
        for choice in chunk["choices"]:
            assert choice["index"] in choices or choice["delta"]["role"] == "assistant", (
                "a role comes first"
            )
            choices.setdefault(choice["index"], ChatHeard()).take(
                choice["delta"], choice["finish_reason"]
            )
        if not chunk["choices"]:
            usage = chunk["usage"]
    assert len(heads) == 1
    assert all(choice.finish_reason for choice in choices.values()), "a choice without an end"
    assert all(call["name"] for choice in choices.values() for call in choice.calls)
    return choices, usage


# -- Responses -------------------------------------------------------------------------------------


class _Item:
    """An output item, rebuilt from its events alone."""

    def __init__(self, item: Json) -> None:
        assert not item.get("content")
        assert not item.get("summary")
        assert not item.get("arguments")
        assert not item.get("input")
        self.item = item
        self.parts: list[Json] = []
        self.open: Json | None = None
        self.pieces: dict[str, str] = {}
        self.done = False

    def take(self, kind: str, event: Json) -> None:
        """Take one event about the item."""
        assert not self.done
        assert event.get("item_id", self.item["id"]) == self.item["id"]
        what, _, step = kind.removeprefix("response.").rpartition(".")
        if what in ("content_part", "reasoning_summary_part"):
            self._part(step, event)
        elif what in ("function_call_arguments", "custom_tool_call_input"):
            self._whole("arguments" if what.startswith("function") else "input", step, event)
        else:
            self._said(what, step, event)

    def _part(self, step: str, event: Json) -> None:
        at = event.get("content_index", event.get("summary_index"))
        assert at == len(self.parts)
        if step == "added":
            assert self.open is None, "a part begins before the last one ended"
            self.open = event["part"]
            assert not self.open.get("text")
            assert not self.open.get("refusal")
        else:
            assert self.open is not None
            assert self.pieces.pop("done") == (
                event["part"].get("text") or event["part"].get("refusal") or ""
            )
            self.parts.append(event["part"])
            self.open = None

    def _said(self, what: str, step: str, event: Json) -> None:
        assert self.open is not None, f"{what} outside of a part"
        kinds = {
            "output_text": "output_text",
            "refusal": "refusal",
            "reasoning_summary_text": "summary_text",
        }
        assert self.open["type"] == kinds[what]
        if step == "delta":
            self.pieces["now"] = self.pieces.get("now", "") + event["delta"]
        else:
            self.pieces["done"] = self.pieces.pop("now", "")
            assert self.pieces["done"] == event["refusal" if what == "refusal" else "text"]

    def _whole(self, member: str, step: str, event: Json) -> None:
        if step == "delta":
            self.pieces[member] = self.pieces.get(member, "") + event["delta"]
        else:
            assert self.pieces.pop(member, "") == event[member]
            self.pieces["done"] = event[member]

    def end(self, item: Json) -> None:
        """The item is done: it must be what was said of it."""
        self.done = True
        assert self.open is None
        assert item["id"] == self.item["id"]
        assert item["type"] == self.item["type"]
        if item["type"] == "message":
            assert item["content"] == self.parts
            assert item["status"] in ("completed", "incomplete")
        elif item["type"] == "reasoning":
            assert item["summary"] == self.parts
        elif item["type"] in ("function_call", "custom_tool_call"):
            assert self.pieces.pop("done") == item.get("arguments", item.get("input"))
            assert item["name"]
            assert item["call_id"]
        assert not self.pieces
        self.item = item


def read_responses(stream: bytes) -> Json:
    """The response that a whole stream builds; AssertionError for one that is not well-formed."""
    found = [(name, json.loads(text)) for name, text in events(stream)]
    for number, (name, event) in enumerate(found):
        assert name == event["type"]
        assert event["sequence_number"] == number
        _EVENTS[name].model_validate(event)
    assert [name for name, _ in found[:2]] == ["response.created", "response.in_progress"]
    assert [name for name, _ in found if name in _ENDS] == [found[-1][0]]
    items: list[_Item] = []
    for name, event in found[2:-1]:
        _take(items, name, event)
    response: Json = found[-1][1]["response"]
    Response.model_validate(response)
    assert all(item.done for item in items)
    assert response["output"] == [item.item for item in items]
    assert response["status"] == found[-1][0].removeprefix("response.")
    for _, event in found[:2]:
        assert event["response"] | response == response | {"output": response["output"]}
        assert (event["response"]["status"], event["response"]["output"]) == ("in_progress", [])
    assert (response["error"] is None) == (response["status"] != "failed")
    assert (response["incomplete_details"] is None) == (response["status"] != "incomplete")
    return response


def _take(items: list[_Item], name: str, event: Json) -> None:
    at = event["output_index"]
    if name == "response.output_item.added":
        assert at == len(items), "items are numbered as they come"
        assert all(item.done for item in items), "one item is open at a time"
        items.append(_Item(event["item"]))
    elif name == "response.output_item.done":
        items[at].end(event["item"])
    else:
        items[at].take(name, event)


# -- Messages --------------------------------------------------------------------------------------

_RAW_EVENT: TypeAdapter[Any] = TypeAdapter(RawMessageStreamEvent)
_GROWING = {"text_delta": "text", "thinking_delta": "thinking", "signature_delta": "signature"}
_DELTAS_OF = {
    "text": ("text_delta",),
    "thinking": ("thinking_delta", "signature_delta"),
    "tool_use": ("input_json_delta",),
}


class _Block:
    """A content block, rebuilt from its events alone."""

    def __init__(self, block: Json) -> None:
        assert not any(block.get(member) for member in ("text", "thinking", "signature"))
        if block["type"] == "tool_use":
            assert block["input"] == {}
            assert block["id"]
        self.block = block
        self.json: list[str] = []

    def take(self, delta: Json) -> None:
        """Take one delta of the block."""
        kind = delta["type"]
        assert kind in _DELTAS_OF.get(self.block["type"], ())
        assert not self.block.get("signature"), "a signature comes last, and once"
        if kind == "input_json_delta":
            self.json.append(delta["partial_json"])
        else:
            self.block[_GROWING[kind]] += delta[_GROWING[kind]]

    def end(self) -> None:
        """The block is whole."""
        assert self.block["type"] != "text" or self.block["text"], "an empty text says nothing"
        if self.json:
            self.block["input"] = json.loads("".join(self.json))
            assert isinstance(self.block["input"], dict)


def read_messages(stream: bytes) -> Json:
    """The message that a whole stream builds, or the error it ends with; AssertionError for
    one not well-formed.
    """
    found = [(name, json.loads(text)) for name, text in events(stream)]
    if found[-1][0] == "error":
        _, failed = found.pop()
        assert failed == {"type": "error", "error": failed["error"]}
        assert failed["error"].keys() == {"type", "message"}
        return _built(found) | {"error": failed["error"]}
    assert found[-1] == ("message_stop", {"type": "message_stop"})
    assert found[-2][0] == "message_delta"
    message = _built(found[:-2])
    assert message.pop("open") is None, "a block without an end"
    _RAW_EVENT.validate_python(told := found[-2][1])
    message |= told["delta"]
    message["usage"] = told["usage"]
    assert message["stop_reason"]
    Message.model_validate(message)
    return message


def _built(found: list[tuple[str, Json]]) -> Json:
    """The message of all events but the last; `open` is the block that has not ended."""
    message: Json = {"content": [], "open": None}
    for number, (name, event) in enumerate(found):
        assert name == event["type"]
        assert name == "ping" or _RAW_EVENT.validate_python(event)
        assert (name == "message_start") == (number == 0), "a stream begins once"
        if name == "message_start":
            assert (event["message"]["content"], event["message"]["stop_reason"]) == ([], None)
            message |= event["message"]
        elif name != "ping":
            _take_block(message, name, event)
    return message


def _take_block(message: Json, name: str, event: Json) -> None:
    if name == "content_block_start":
        assert message["open"] is None, "one block is open at a time"
        assert event["index"] == len(message["content"]), "blocks are numbered as they come"
        message["open"] = begun = _Block(event["content_block"])
        message["content"].append(begun.block)
        return
    assert message["open"] is not None
    assert event["index"] == len(message["content"]) - 1
    if name == "content_block_delta":
        message["open"].take(event["delta"])
    else:
        assert name == "content_block_stop"
        message["open"].end()
        message["open"] = None
