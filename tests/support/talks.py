"""One conversation in any client's words: the openai and anthropic SDKs, asked and answered
alike.
"""

import json
from collections.abc import Iterable
from typing import Any, Protocol

import msgspec
from anthropic import Anthropic
from openai import OpenAI
from openai.lib.streaming.responses import ResponseStream

from tests.support.client import CURSOR, Conversation, Habits, replay, result_of
from tests.support.turns import TOOLS, Json
from tests.support.well_formed import transport

__all__ = (
    "Called",
    "ChatTalk",
    "FailedResponseError",
    "MessagesTalk",
    "ResponsesTalk",
    "Result",
    "Said",
    "Talk",
    "anthropic_sdk",
)

SYSTEM = "You are a coding agent."


class Called(msgspec.Struct, frozen=True):
    """A tool call as the client got it."""

    id: str
    name: str
    arguments: Json


class Said(msgspec.Struct, frozen=True):
    """What the client shows of a turn."""

    text: str
    calls: tuple[Called, ...]


class Result(msgspec.Struct, frozen=True):
    """What a tool gave; `failed` is told in the formats that have a word for it."""

    call: Called
    text: str
    failed: bool = False


class FailedResponseError(Exception):
    """A streamed response said that it failed, for which the SDK has no error of its own."""


class Talk(Protocol):
    """A conversation that its client keeps."""

    def ask(self, *, streamed: bool) -> Said:
        """Send it as it is, and keep what comes. Raises the SDK's errors."""

    def answer(self, results: Iterable[Result]) -> None:
        """What the called tools gave."""

    def say(self, text: str, image: str = "") -> None:
        """The user's words, and perhaps a picture: a `data:` URL of base64."""


class ChatTalk:
    """Chat Completions; by its habits it drops all reasoning."""

    def __init__(self, client: OpenAI, model: str, habits: Habits = CURSOR) -> None:
        self._habits = habits
        self._talk = Conversation(client, model, habits=habits)
        self._talk.messages[1:] = []

    def ask(self, *, streamed: bool) -> Said:
        reply = self._talk.ask(streamed=streamed)
        assert reply.models == {self._talk.model}
        self._talk.messages.append(replay(reply, self._habits))
        return Said(reply.text, tuple(map(_chat_call, reply.calls)))

    def answer(self, results: Iterable[Result]) -> None:
        for one in results:
            call: Json = {"id": one.call.id, "function": {"name": one.call.name}}
            self._talk.messages.append(result_of(call, one.text, self._habits))

    def say(self, text: str, image: str = "") -> None:
        seen = [{"type": "image_url", "image_url": {"url": image}}] if image else []
        self._talk.messages.append(
            {"role": "user", "content": [{"type": "text", "text": text}, *seen]}
        )


def _chat_call(call: Json) -> Called:
    return Called(call["id"], call["function"]["name"], json.loads(call["function"]["arguments"]))


class ResponsesTalk:
    """Responses without a store; `carries`: it sends its copies of the reasoning back."""

    def __init__(self, client: OpenAI, model: str, *, carries: bool = False) -> None:
        self.client = client
        self._carries = carries
        self._items: list[Any] = []
        self._wanted: dict[str, Any] = {
            "model": model,
            "instructions": SYSTEM,
            "tools": [
                {"type": "function", "name": name, "parameters": {"type": "object"}}
                for name in TOOLS
            ],
            "store": False,
            "include": ["reasoning.encrypted_content"] if carries else [],
        }

    def ask(self, *, streamed: bool) -> Said:
        # As extra_body the items skip the SDK's conversion of what is plain JSON already:
        # most of its time.
        wanted = {**self._wanted, "input": [], "extra_body": {"input": self._items}}
        if streamed:
            with self.client.responses.stream(**wanted) as stream:
                response = _ended(stream).get_final_response()
        else:
            response = self.client.responses.create(**wanted)
        assert (response.status, response.model) == ("completed", wanted["model"])
        output: list[Any] = response.output
        self._items += [
            item.to_dict() for item in output if self._carries or item.type != "reasoning"
        ]
        calls = [item for item in output if item.type == "function_call"]
        return Said(
            response.output_text,
            tuple(Called(c.call_id, c.name, json.loads(c.arguments)) for c in calls),
        )

    def answer(self, results: Iterable[Result]) -> None:
        for one in results:
            self._items.append(
                {"type": "function_call_output", "call_id": one.call.id, "output": one.text}
            )

    def say(self, text: str, image: str = "") -> None:
        seen = [{"type": "input_image", "image_url": image, "detail": "auto"}] if image else []
        self._items.append(
            {"role": "user", "content": [{"type": "input_text", "text": text}, *seen]}
        )


def _ended(stream: ResponseStream[Any]) -> ResponseStream[Any]:
    for event in stream:
        if event.type == "response.failed":
            raise FailedResponseError(str(event.response.error))
    return stream


class MessagesTalk:
    """Messages; `carries`: it sends thinking blocks back as they came. `members` go into
    every request.
    """

    def __init__(
        self, client: Anthropic, model: str, *, carries: bool = True, **members: Any
    ) -> None:
        self.client = client
        self._carries = carries
        self.messages: list[Any] = []
        self.wanted: dict[str, Any] = {
            "model": model,
            "max_tokens": 8000,
            "system": SYSTEM,
            "tools": [{"name": name, "input_schema": {"type": "object"}} for name in TOOLS],
            "thinking": {"type": "adaptive"},
            **members,
        }

    def ask(self, *, streamed: bool) -> Said:
        wanted = {**self.wanted, "messages": self.messages}
        if streamed:
            with self.client.messages.stream(**wanted) as stream:
                message: Any = stream.get_final_message()
        else:
            message = self.client.messages.create(**wanted)
        assert message.model == wanted["model"]
        blocks = [block.to_dict() for block in message.content]
        kept = [
            block
            for block in blocks
            if self._carries or block["type"] not in ("thinking", "redacted_thinking")
        ]
        self.messages.append({"role": "assistant", "content": kept})
        calls = [block for block in blocks if block["type"] == "tool_use"]
        text = "".join(block["text"] for block in blocks if block["type"] == "text")
        return Said(text, tuple(Called(call["id"], call["name"], call["input"]) for call in calls))

    def answer(self, results: Iterable[Result]) -> None:
        blocks: list[Json] = [
            {"type": "tool_result", "tool_use_id": one.call.id, "content": one.text}
            | ({"is_error": True} if one.failed else {})
            for one in results
        ]
        self.messages.append({"role": "user", "content": blocks})

    def say(self, text: str, image: str = "") -> None:
        media_type, _, encoded = image.removeprefix("data:").partition(";base64,")
        source = {"type": "base64", "media_type": media_type, "data": encoded}
        seen = [{"type": "image", "source": source}] if image else []
        said: list[Json] = [{"type": "text", "text": text}, *seen]
        if self.messages and self.messages[-1]["role"] == "user":
            self.messages[-1]["content"] += said  # roles alternate in this API
        else:
            self.messages.append({"role": "user", "content": said})


def anthropic_sdk(origin: str, key: str) -> Anthropic:
    """An anthropic client that never retries by itself and checks all that it is streamed; close
    it.
    """
    checking = transport.client()
    return Anthropic(base_url=origin, api_key=key, max_retries=0, timeout=30, http_client=checking)
