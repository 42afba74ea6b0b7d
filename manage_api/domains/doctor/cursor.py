"""A client that asks and replays as Cursor does (3.17.8, in 2026).

https://github.com/TencentCloud/TencentDB-Agent-Memory/pull/1138 has captures of its requests.
"""

from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any

import httpx
import msgspec

from manage_api.domains.doctor.door import Door

__all__ = ("AZURE", "MODES", "OPENAI", "VERIFY", "Chat", "ChatError", "Mode", "Reply", "Way")

type Json = dict[str, Any]

_SECONDS = 120.0
"""A model may think for long before it says anything."""


class ChatError(Exception):
    """The conversation could not go on; the message says why, as Cursor's user would see it."""


class Mode(msgspec.Struct, frozen=True):
    """What Cursor sends in one of its modes."""

    name: str
    tools: tuple[str, ...] = ()
    in_parts: bool = True
    """Whether content is a list of parts."""

    counted: bool = True
    """Whether it says which account asks, and asks for the usage."""

    system: str = "You are a coding agent in an editor."


_AGENT = ("Read", "Grep", "Shell", "StrReplace", "Task", "SwitchMode")
MODES = (
    Mode("Ask"),
    Mode("Agent", _AGENT),
    Mode("Plan", (*_AGENT, "CreatePlan")),
    Mode("Cmd+K", in_parts=False),
)
VERIFY = Mode("Verify", in_parts=False, counted=False, system="You are a test assistant.")
"""What the button of older builds sends: a question without tools."""


class Way(msgspec.Struct, frozen=True):
    """How a request names its key and its model."""

    name: str
    path: str
    header: str
    before: str = ""


OPENAI = Way("Override OpenAI Base URL", "/v1/chat/completions", "Authorization", "Bearer ")
AZURE = Way(
    "Azure OpenAI",
    "/openai/deployments/{model}/chat/completions?api-version=2024-12-01-preview",
    "api-key",
)
"""What plans without the override have: the path names the model."""


class Reply(msgspec.Struct):
    """One turn, as it was streamed."""

    text: str = ""
    calls: list[Json] = []
    ended: bool = False


class Chat:
    """A conversation, which is sent whole with each request."""

    def __init__(
        self, door: Door, token: str, *, mode: Mode, model: str, agent: str, way: Way = OPENAI
    ) -> None:
        """`agent` is added to Cursor's `User-Agent`."""
        self._door = door
        self._mode = mode
        self._model = model
        self._path = way.path.replace("{model}", model)
        self._headers = {
            "User-Agent": f"Cursor/1.0 {agent}".strip(),
            "Accept": "application/json",
            "Content-Type": "application/json",
            way.header: way.before + token,
        }
        self._messages: list[Json] = [{"role": "system", "content": mode.system}]
        if mode.in_parts:
            self._messages.append(
                {"role": "user", "content": "<environment>linux, bash</environment>"}
            )

    def say(self, text: str) -> None:
        """Add what the user says."""
        if self._mode.in_parts:
            text = f"<timestamp>Monday</timestamp>\n<user_query>{text}</user_query>"
        self._messages.append({"role": "user", "content": self._content(text)})

    async def ask(self) -> Reply:
        """Send the conversation, and add the answer with the results of its calls.

        Raises ChatError.
        """
        reply = Reply(calls=[])
        try:
            async with self._door.stream(
                "POST",
                self._path,
                headers=self._headers,
                content=msgspec.json.encode(self._body()),
                seconds=_SECONDS,
            ) as answer:
                if answer.status_code != 200:
                    raise ChatError(await _refusal(answer))
                async for chunk in _chunks(answer):
                    _add(reply, chunk)
        except httpx.HTTPError as error:
            raise ChatError(f"the answer was cut ({type(error).__name__})") from error
        if not reply.ended:
            raise ChatError("the answer ended without a finish_reason and [DONE]")
        self._keep(reply)
        return reply

    def _body(self) -> Json:
        body: Json = {"model": self._model, "messages": self._messages, "stream": True}
        if self._mode.counted:
            body |= {"user": "thinkback-doctor", "stream_options": {"include_usage": True}}
        if self._mode.tools:
            body["tools"] = [_tool(name) for name in self._mode.tools]
        return body

    def _keep(self, reply: Reply) -> None:
        """Replay a turn: without its reasoning, the arguments spelt anew, text in parts."""
        content: str | list[Json] = []
        if reply.text or not self._mode.in_parts:
            content = self._content(reply.text)
        message: Json = {"role": "assistant", "content": content}
        if reply.calls:
            message["tool_calls"] = [_respelt(call) for call in reply.calls]
        self._messages.append(message)
        self._messages += (
            {
                "role": "tool",
                "name": call["function"]["name"],
                "tool_call_id": call["id"],
                "content": self._content("There is nothing in it."),
            }
            for call in reply.calls
        )

    def _content(self, text: str) -> str | list[Json]:
        if self._mode.in_parts:
            return [{"type": "text", "text": text}]
        return text


def _tool(name: str) -> Json:
    properties = {"path": {"type": "string"}}
    parameters = {"type": "object", "properties": properties, "required": ["path"]}
    function = {"name": name, "description": f"{name}, for the editor.", "parameters": parameters}
    return {"type": "function", "function": function}


def _respelt(call: Json) -> Json:
    """Return a call with its arguments as Cursor spells them: JSON without spaces."""
    function = dict(call["function"])
    try:
        arguments = msgspec.json.decode(function["arguments"])
    except msgspec.DecodeError:
        return call
    function["arguments"] = msgspec.json.encode(arguments).decode()
    return {**call, "function": function}


async def _refusal(answer: httpx.Response) -> str:
    """Say what an error is, as far as Cursor tells its user."""
    body = await answer.aread()
    try:
        message = msgspec.json.decode(body)["error"]["message"]
    except (msgspec.DecodeError, KeyError, TypeError):
        message = "which is no error of an LLM's API"
    return f"status {answer.status_code}: {str(message)[:300]}"


async def _chunks(answer: httpx.Response) -> AsyncIterator[Mapping[str, Any]]:
    """Yield the chunks of a stream, and one without `choices` for its end."""
    async for line in _lines(answer):
        if line == b"data: [DONE]":
            yield {"done": True}
        elif line.startswith(b"data: "):
            try:
                yield msgspec.json.decode(line[len(b"data: ") :], type=dict[str, Any])
            except (msgspec.DecodeError, msgspec.ValidationError, UnicodeDecodeError):
                raise ChatError("a line of the answer is not JSON") from None


async def _lines(answer: httpx.Response) -> AsyncIterator[bytes]:
    """Yield the lines of a stream; httpx ends them at U+2028, too, which text may have."""
    rest = b""
    async for piece in answer.aiter_bytes():
        *lines, rest = (rest + piece).split(b"\n")
        for line in lines:
            yield line.rstrip(b"\r")


def _add(reply: Reply, chunk: Mapping[str, Any]) -> None:
    if error := chunk.get("error"):
        raise ChatError(str(error)[:300])
    reply.ended = reply.ended or bool(chunk.get("done"))
    for choice in chunk.get("choices") or ():
        delta = choice.get("delta") or {}
        reply.text += delta.get("content") or ""
        _add_calls(reply.calls, delta.get("tool_calls") or ())


def _add_calls(calls: list[Json], deltas: Sequence[Json]) -> None:
    for delta in deltas:
        at = delta.get("index", 0)
        if at == len(calls):
            calls.append(delta)
        elif at < len(calls):
            calls[at]["function"]["arguments"] += delta["function"]["arguments"]
