"""A long conversation with an agent, as its client replays it with each request."""

import http.client
import json
from pathlib import Path
from typing import Any

from tests.bench.answers import MODEL
from tests.bench.load import GROWS
from tests.bench.targets import Target
from tests.support.prose import Prose

__all__ = ("TURNS", "make_history")

TURNS = 650
"""Each is an assistant message with one call and a tool message: 1,300 messages, 2 MB."""

RESULT_CHARS = 1800

type Json = dict[str, Any]

TOOL = {"name": "StrReplace", "description": "Edit a file", "parameters": {"type": "object"}}


def make_history(target: Target, file: Path, *, turns: int = TURNS) -> float:
    """Write a conversation of turns that the target has relayed, one by one, as a body of which
    each replay is longer by a step; its size in MB.
    """
    messages: list[Json] = [{"role": "user", "content": "<user_query>Rewrite it all.</user_query>"}]
    asking = _body([{"role": "user", "content": "turn"}])
    connection = http.client.HTTPConnection("127.0.0.1", target.port, timeout=30)
    prose = Prose()
    for _ in range(turns):
        call = _call(connection, target.key, asking)
        messages.append({"role": "assistant", "content": [], "tool_calls": [call]})
        result = prose.cut(RESULT_CHARS)
        messages.append({"role": "tool", "tool_call_id": call["id"], "content": result})
    connection.close()
    messages[-1]["content"] += GROWS.decode()
    return file.write_bytes(_body(messages)) / 1e6


def _call(connection: http.client.HTTPConnection, key: str, asking: bytes) -> Json:
    named = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
    connection.request("POST", "/v1/chat/completions", asking, named)
    answer = json.loads(connection.getresponse().read())
    call: Json = answer["choices"][0]["message"]["tool_calls"][0]
    return call


def _body(messages: list[Json]) -> bytes:
    asked = {
        "model": MODEL.decode(),
        "messages": messages,
        "tools": [{"type": "function", "function": TOOL}],
    }
    return json.dumps(asked, separators=(",", ":")).encode()
