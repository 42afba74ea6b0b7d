"""The clients of the gateway: the openai SDK driven through a conversation, which it
replays as real clients do.
"""

import http.client
import json
from collections.abc import Callable, Iterable, Mapping
from typing import Literal
from urllib.parse import urlsplit

import msgspec
from openai import OpenAI, Stream
from openai.types.chat import ChatCompletion, ChatCompletionChunk

from tests.support.rawhttp import Received
from tests.support.turns import FIELD, Json
from tests.support.well_formed import transport

__all__ = (
    "CLIENTS",
    "CURSOR",
    "TOOLS",
    "Conversation",
    "Habits",
    "Raw",
    "Reply",
    "fetch",
    "post",
    "replay",
    "sdk",
)

type Content = Literal["string", "parts", "empty list", "null", "absent"]
type Spelling = Literal["verbatim", "compact", "spaced", "sorted"]

TOOLS = [
    {
        "type": "function",
        "function": {
            "name": name,
            "description": f"{name} a file",
            "parameters": {"type": "object"},
        },
    }
    for name in ("Read", "Grep", "Shell", "StrReplace")
]


class Habits(msgspec.Struct, frozen=True, kw_only=True):
    """How one client replays the turns it got."""

    reasoning: Literal["drop", "exact", "trim"] = "drop"
    text: Literal["string", "parts"] = "string"
    no_text: Content = "null"
    """`content` of a turn that has calls and no text."""

    arguments: Spelling = "verbatim"
    results: Literal["string", "parts"] = "string"
    index: bool = False
    """Whether `index` is left on the tool calls."""

    named_results: bool = False
    """Whether tool messages carry the tool's `name`."""


CURSOR = Habits(
    text="parts",
    no_text="empty list",
    arguments="compact",
    results="parts",
    index=True,
    named_results=True,
)

CLIENTS = {
    "cursor": CURSOR,
    "cursor-2025": Habits(no_text="string", index=True, named_results=True),
    "continue": Habits(no_text="string"),
    "qwen-code": Habits(reasoning="trim", results="parts"),
    "opencode": Habits(reasoning="exact", no_text="string"),
    "pi": Habits(),
    "cline": Habits(arguments="spaced"),
    "vibe": Habits(no_text="absent", index=True, named_results=True),
    "openai-agents": Habits(no_text="absent", arguments="sorted"),
}
"""By name: how each client was seen to replay turns."""


class Reply(msgspec.Struct, kw_only=True):
    """One assistant turn as the client got it."""

    text: str = ""
    reasoning: str | None = None
    calls: list[Json] = []
    """As in the message, `index` included."""

    finish_reason: str | None = None
    models: set[str] = set()
    """The model names in the answer: one, unless chunks disagree."""

    usage: bool = False

    def add(self, chunk: ChatCompletionChunk) -> None:
        """Take in one chunk of a stream."""
        self.models.add(chunk.model)
        self.usage = self.usage or chunk.usage is not None
        for choice in chunk.choices:
            self.finish_reason = choice.finish_reason or self.finish_reason
            self._add_delta(choice.delta.model_dump(exclude_unset=True))

    def _add_delta(self, delta: Json) -> None:
        self.text += delta.get("content") or ""
        if delta.get(FIELD) is not None:
            self.reasoning = (self.reasoning or "") + delta[FIELD]
        for part in delta.get("tool_calls") or ():
            if part["index"] == len(self.calls):
                self.calls.append(part)
            else:
                self.calls[part["index"]]["function"]["arguments"] += part["function"]["arguments"]


class Raw(msgspec.Struct, frozen=True):
    """An answer as plain HTTP; header names in lower case."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Json:
        return dict(json.loads(self.body))


def sdk(base_url: str, key: str, *, checks: bool = True) -> OpenAI:
    """An openai client that never retries by itself and `checks` all that it is streamed; close
    it.
    """
    http = transport.client(checks=checks)
    return OpenAI(base_url=base_url, api_key=key, max_retries=0, timeout=30, http_client=http)


def replay(reply: Reply, habits: Habits) -> Json:
    """The assistant message that a client with these habits sends for a turn it got."""
    message: Json = {"role": "assistant"}
    if reply.text or not reply.calls:
        message["content"] = _parts(reply.text) if habits.text == "parts" else reply.text
    elif habits.no_text != "absent":
        message["content"] = {"string": "", "empty list": [], "null": None, "parts": _parts("")}[
            habits.no_text
        ]
    if reply.calls:
        message["tool_calls"] = [_replay_call(call, habits) for call in reply.calls]
    if habits.reasoning != "drop" and reply.reasoning is not None:
        message[FIELD] = reply.reasoning.strip() if habits.reasoning == "trim" else reply.reasoning
    return message


def result_of(call: Json, text: str, habits: Habits) -> Json:
    """The tool message that answers a call."""
    content = _parts(text) if habits.results == "parts" else text
    name = {"name": call["function"]["name"]} if habits.named_results else {}
    return {"role": "tool", "tool_call_id": call["id"], **name, "content": content}


def _parts(text: str) -> list[Json]:
    return [{"type": "text", "text": text}]


def _replay_call(call: Json, habits: Habits) -> Json:
    function = {
        **call["function"],
        "arguments": _spell(call["function"]["arguments"], habits.arguments),
    }
    kept = call if habits.index else {key: value for key, value in call.items() if key != "index"}
    return {**kept, "function": function}


def _spell(arguments: str, spelling: Spelling) -> str:
    match spelling:
        case "verbatim":
            return arguments
        case "compact":
            return json.dumps(json.loads(arguments), ensure_ascii=False, separators=(",", ":"))
        case "spaced":
            return json.dumps(json.loads(arguments), indent=1)
        case "sorted":
            return json.dumps(json.loads(arguments), sort_keys=True)


def post(origin: str, path: str, body: bytes, *, key: str = "", **headers: str) -> Raw:
    """Send bytes as they are, on a connection of their own; header names with `_` for `-`."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    if key:
        named["Authorization"] = f"Bearer {key}"
    return fetch("POST", origin + path, body, {"Content-Type": "application/json", **named})


def fetch(method: str, url: str, body: bytes | None = None, headers: Mapping[str, str] = {}) -> Raw:
    """One request on a connection of its own, read to its end."""
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.netloc, timeout=30)
    try:
        connection.request(
            method, url.removeprefix(f"{parts.scheme}://{parts.netloc}"), body, dict(headers)
        )
        response = connection.getresponse()
        return Raw(
            response.status,
            {name.lower(): value for name, value in response.getheaders()},
            response.read(),
        )
    finally:
        connection.close()


class Conversation:
    """An agent at work: asks, answers every tool call with made-up results, asks again
    after every final text.

    `marker` goes into tool results and later prompts, never into the first prompt; so
    conversations begin identically and can still be told apart in what reached the
    provider.
    """

    def __init__(
        self,
        client: OpenAI,
        model: str,
        *,
        prompt: str = "Fix the bug.",
        marker: str = "solo",
        habits: Habits = CURSOR,
        tools: bool = True,
    ) -> None:
        self.client = client
        self.model = model
        self.marker = f"<conversation {marker}>"
        self.replies: list[Reply] = []
        self.messages: list[Json] = [
            {"role": "system", "content": "You are a coding agent."},
            {"role": "user", "content": "<environment>linux</environment>"},
            {"role": "user", "content": _parts(f"<user_query>{prompt}</user_query>")},
        ]
        self._habits = habits
        self._tools: Json = {"tools": TOOLS} if tools else {}

    def run(self, turns: int, *, streamed: bool = True) -> None:
        """Take that many turns more."""
        for _ in range(turns):
            self.step(streamed=streamed)

    def step(self, *, streamed: bool = True) -> Reply:
        """Take one turn and go on from it: tool results, or the next prompt."""
        reply = self.ask(streamed=streamed)
        self.keep(reply)
        return reply

    def ask(self, *, streamed: bool = True) -> Reply:
        """Send the conversation as it is and return the reply without going on from it."""
        if not streamed:
            return read(self.client.chat.completions.create(**self._body()))
        with self.open() as stream:
            return read_stream(stream)

    def open(self) -> Stream[ChatCompletionChunk]:
        """Send the conversation as it is; the stream to read, to be closed by the caller."""
        create: Callable[..., Stream[ChatCompletionChunk]] = self.client.chat.completions.create
        return create(**self._body(), stream=True, stream_options={"include_usage": True})

    def _body(self) -> Json:
        # As extra_body the messages skip the SDK's conversion of what is plain JSON
        # already: most of its time.
        return {
            "model": self.model,
            "messages": [],
            "extra_body": {"messages": self.messages, **self._tools},
        }

    def keep(self, reply: Reply) -> None:
        """Put the reply and what follows from it at the end of the conversation."""
        self.replies.append(reply)
        self.messages.append(replay(reply, self._habits))
        at = len(self.replies)
        for call in reply.calls:
            self.messages.append(
                result_of(
                    call, f"{self.marker} result {at} of {call['function']['name']}", self._habits
                )
            )
        if not reply.calls:
            self.messages.append({"role": "user", "content": _parts(f"{self.marker} go on, {at}")})

    def crossed(self, requests: Iterable[Received]) -> list[str]:
        """What reached the provider under this conversation's marker and is not, byte for
        byte, what it had issued.
        """
        expected = [reply.reasoning or "" for reply in self.replies]
        mine = [
            json.loads(request.body)["messages"]
            for request in requests
            if self.marker.encode() in request.body
        ]
        wrong = (
            [] if len(mine) >= len(expected) - 1 else [f"{self.marker}: only {len(mine)} requests"]
        )
        for messages in mine:
            carried = [message.get(FIELD) for message in messages if message["role"] == "assistant"]
            if carried != expected[: len(carried)]:
                wrong.append(f"{self.marker}: {carried} instead of {expected[: len(carried)]}")
        return wrong


def read(completion: ChatCompletion) -> Reply:
    """The turn of a non-streamed answer."""
    choice = completion.choices[0]
    message = choice.message.model_dump(exclude_unset=True)
    return Reply(
        text=message.get("content") or "",
        reasoning=message.get(FIELD),
        calls=message.get("tool_calls") or [],
        finish_reason=choice.finish_reason,
        models={completion.model},
        usage=completion.usage is not None,
    )


def read_stream(stream: Stream[ChatCompletionChunk]) -> Reply:
    """The turn of a streamed answer, read to its end."""
    reply = Reply()
    for chunk in stream:
        reply.add(chunk)
    return reply
