"""One conversation in the words of each client's format."""

from typing import Any

from addon.formats.neutral.request import WireFormat
from tests.addon.desk import MODEL

__all__ = ("CALLED", "PATHS", "Json", "Said", "asking")

type Json = dict[str, Any]
type Said = tuple[str, str]
"""Who speaks (`user`, `assistant`, `system`), and the words; or `call` and the tool's name;
or `result` and what the tool says.
"""

PATHS: dict[WireFormat, str] = {
    "chat": "/v1/chat/completions",
    "responses": "/v1/responses",
    "messages": "/v1/messages",
}
CALLED: list[Said] = [("user", "hi"), ("call", "Read"), ("result", "fine")]


def asking(
    client: WireFormat, said: list[Said], *, call_id: str = "call_1", tools: tuple[str, ...] = ()
) -> Json:
    """The client's body; all its calls have the same id."""
    body: Json = {"model": MODEL, "max_tokens": 9000}
    match client:
        case "chat":
            body["messages"] = [_chat(*one, call_id) for one in said]
            body["tools"] = [{"type": "function", "function": {"name": name}} for name in tools]
        case "responses":
            body["input"] = [_item(*one, call_id) for one in said]
            body["tools"] = [{"type": "function", "name": name} for name in tools]
            del body["max_tokens"]
        case "messages":
            body["messages"] = [_message(*one, call_id) for one in said]
            body["tools"] = [{"name": name, "input_schema": {"type": "object"}} for name in tools]
    return body


def _chat(who: str, said: str, call_id: str) -> Json:
    if who == "call":
        call = {"id": call_id, "type": "function", "function": {"name": said, "arguments": "{}"}}
        return {"role": "assistant", "content": None, "tool_calls": [call]}
    if who == "result":
        return {"role": "tool", "tool_call_id": call_id, "content": said}
    return {"role": who, "content": said}


def _item(who: str, said: str, call_id: str) -> Json:
    if who == "call":
        return {"type": "function_call", "call_id": call_id, "name": said, "arguments": "{}"}
    if who == "result":
        return {"type": "function_call_output", "call_id": call_id, "output": said}
    return {"role": who, "content": said}


def _message(who: str, said: str, call_id: str) -> Json:
    if who == "call":
        call = {"type": "tool_use", "id": call_id, "name": said, "input": {}}
        return {"role": "assistant", "content": [call]}
    if who == "result":
        result = {"type": "tool_result", "tool_use_id": call_id, "content": said}
        return {"role": "user", "content": [result]}
    return {"role": who, "content": said}
