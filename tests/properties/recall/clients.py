"""Clients of the three formats: how each spells a conversation, and what it keeps of an answer."""

import hashlib
import json
import unicodedata
from collections.abc import Callable, Iterator
from functools import cache
from random import Random
from typing import Any

from tests.properties.recall.truth import Conversation, Habits, Held, HeldCall, Issued, Words
from tests.support.turns import Json

__all__ = ("FORMATS", "PATHS", "body_of", "heard", "held_of", "id_of", "words_sent")

PATHS = {"chat": "/v1/chat/completions", "responses": "/v1/responses", "messages": "/v1/messages"}
FORMATS = tuple(PATHS)
SYSTEM = "You are an agent."
REMINDER = "\n\nRemember: reply with whole files only, and keep to the style of what is there."
"""What aider puts behind the user's last words, and leaves off later."""


def body_of(wire: str, talk: Conversation, model: str, rng: Random) -> Json:
    """The request of a client that goes on with its conversation."""
    return _BODIES[wire](talk, model, rng)


def id_of(talk: Conversation, held: Held, at: int) -> str:
    """The id that the client sends for a call of what it holds."""
    minted = held.borrowed.get(at) or held.calls[at].minted
    match talk.habits.ids:
        case "shortened":
            return minted[:18]
        case "repeated":
            return "call_0"
        case "swapped":
            return held.calls[-1 - at].minted
        case "replaced":
            return f"toolu_{_name_of(minted)}"
        case "anew":
            return f"toolu_{_name_of(f'{minted} {len(talk.history)}')}"
    return minted


@cache
def _name_of(minted: str) -> str:
    return hashlib.sha256(minted.encode()).hexdigest()[:20]


def words_sent(talk: Conversation, words: Words, rng: Random) -> str:
    """The user's words as they are sent now."""
    live = words is talk.history[-1]
    match talk.habits.words:
        case "wrapped":
            wrapped = f"<user_query>\n{words.text}\n</user_query>"
            return f"<timestamp>{rng.random()}</timestamp>\n{wrapped}"
        case "unwrapped" if live:
            return f"<context>{rng.random()}</context><user_query>{words.text}</user_query>"
        case "grown" if live:
            return words.text + REMINDER
    return words.text


def _text(habits: Habits, text: str) -> str:
    match habits.text:
        case "padded":
            return f"\n {text} \n"
        case "crlf":
            return text.replace("\n", "\r\n")
        case "decomposed":
            return unicodedata.normalize("NFD", text)
    return text


def _arguments(habits: Habits, arguments: str, rng: Random) -> str:
    if not habits.respells:
        return arguments
    given = json.loads(arguments)
    numbers = {key: float(one) if one == 1 else one for key, one in given.items()}
    indent = rng.choice((None, 1))
    return json.dumps(numbers, sort_keys=True, indent=indent, ensure_ascii=rng.random() < 0.5)


def _visible(talk: Conversation, held: Held) -> str:
    if held.calls and talk.habits.drops_text:
        return ""
    return _text(talk.habits, held.text)


def _content(talk: Conversation, text: str, kind: str) -> Any:
    return [{"type": kind, "text": text}] if talk.habits.parts and text else text


def _results(talk: Conversation, held: Held) -> Iterator[tuple[str, str]]:
    found = [(id_of(talk, held, at), call.result) for at, call in enumerate(held.calls)]
    return iter(found[::-1] if talk.habits.reverses else found)


def _surroundings(talk: Conversation, rng: Random) -> tuple[str, list[str]]:
    """The system prompt, and what is told before the user's words."""
    if not talk.habits.dates:
        return SYSTEM, []
    return f"{SYSTEM} Today is {rng.random()}.", [f"<environment>{rng.random()}</environment>"]


# -- Chat Completions ------------------------------------------------------------------------------


def _chat_body(talk: Conversation, model: str, rng: Random) -> Json:
    system, told = _surroundings(talk, rng)
    messages: list[Json] = [{"role": "system", "content": system}]
    messages += [{"role": "user", "content": text} for text in told]
    for entry in talk.history:
        if isinstance(entry, Words):
            text = words_sent(talk, entry, rng)
            messages.append({"role": "user", "content": _content(talk, text, "text")})
        else:
            messages += _chat_turn(talk, entry, rng)
    function = {"name": "Read", "parameters": {"type": "object"}}
    tools = [{"type": "function", "function": function}]
    return {"model": model, "messages": messages, "tools": tools, "stream": talk.habits.streams}


def _chat_turn(talk: Conversation, held: Held, rng: Random) -> Iterator[Json]:
    message: Json = {"role": "assistant"}
    message["content"] = _content(talk, _visible(talk, held), "text")
    for copy in held.copies:
        message |= _trimmed(copy) if talk.habits.copies == "trimmed" else copy
    if held.calls:
        message["tool_calls"] = [
            {
                "id": id_of(talk, held, at),
                "type": "function",
                "function": {
                    "name": call.name,
                    "arguments": _arguments(talk.habits, call.arguments, rng),
                },
                **(call.annex if held.copies else {}),
            }
            for at, call in enumerate(held.calls)
        ]
    yield message
    for call_id, result in _results(talk, held):
        content = _content(talk, result, "text")
        yield {"role": "tool", "tool_call_id": call_id, "content": content}


def _trimmed(copy: Json) -> Json:
    return {key: one.strip() if isinstance(one, str) else one for key, one in copy.items()}


def _chat_held(answer: Json, result: Callable[[int], str]) -> Held:
    message = answer["choices"][0]["message"]
    copy = {key: one for key, one in message.items() if key.startswith("reasoning")}
    calls = [
        HeldCall(
            minted=call["id"],
            number=at,
            name=call["function"]["name"],
            arguments=call["function"]["arguments"],
            result=result(at),
            annex={key: call[key] for key in ("extra_content",) if key in call},
        )
        for at, call in enumerate(message.get("tool_calls") or ())
    ]
    annexed = any(call.annex for call in calls)
    return Held([], message.get("content") or "", calls, [copy] if copy or annexed else [])


# -- Responses -------------------------------------------------------------------------------------


def _responses_body(talk: Conversation, model: str, rng: Random) -> Json:
    system, told = _surroundings(talk, rng)
    items: list[Json] = [{"role": "user", "content": text} for text in told]
    for entry in talk.history:
        if isinstance(entry, Words):
            text = words_sent(talk, entry, rng)
            items.append({"role": "user", "content": _content(talk, text, "input_text")})
        else:
            items += _responses_turn(talk, entry, rng)
    tools = [{"type": "function", "name": "Read", "parameters": {"type": "object"}}]
    body = {"model": model, "instructions": system, "input": items, "tools": tools, "store": False}
    if talk.habits.copies != "dropped":
        body["include"] = ["reasoning.encrypted_content"]
    return body


def _responses_turn(talk: Conversation, held: Held, rng: Random) -> Iterator[Json]:
    yield from held.copies[:1]
    if text := _visible(talk, held):
        content = [{"type": "output_text", "text": text, "annotations": []}]
        yield {"type": "message", "role": "assistant", "content": content}
    yield from held.copies[1:]
    for at, call in enumerate(held.calls):
        given = _arguments(talk.habits, call.arguments, rng)
        said = {"call_id": id_of(talk, held, at), "name": call.name, "arguments": given}
        yield {"type": "function_call", **said}
    for call_id, result in _results(talk, held):
        yield {"type": "function_call_output", "call_id": call_id, "output": result}


def _responses_held(answer: Json, result: Callable[[int], str]) -> Held:
    items = answer["output"]
    texts = [item["content"][0]["text"] for item in items if item["type"] == "message"]
    calls = [item for item in items if item["type"] == "function_call"]
    return Held(
        [],
        "".join(texts),
        [
            HeldCall(call["call_id"], at, call["name"], call["arguments"], result(at))
            for at, call in enumerate(calls)
        ],
        [item for item in items if item["type"] == "reasoning"],
    )


# -- Messages --------------------------------------------------------------------------------------


def _messages_body(talk: Conversation, model: str, rng: Random) -> Json:
    system, told = _surroundings(talk, rng)
    messages: list[Json] = [{"role": "user", "content": text} for text in told]
    for entry in talk.history:
        if isinstance(entry, Words):
            text = words_sent(talk, entry, rng)
            messages.append({"role": "user", "content": _content(talk, text, "text")})
        else:
            messages += _messages_turn(talk, entry, rng)
    tools = [{"name": "Read", "input_schema": {"type": "object"}}]
    body = {"model": model, "max_tokens": 9000, "system": system, "messages": messages}
    if talk.habits.copies != "dropped":
        body["thinking"] = {"type": "adaptive"}
    return {**body, "tools": tools}


def _messages_turn(talk: Conversation, held: Held, rng: Random) -> Iterator[Json]:
    content = held.copies[:1]
    if text := _visible(talk, held):
        content.append({"type": "text", "text": text})
    content += held.copies[1 + len(held.calls) :]
    for at, call in enumerate(held.calls):
        content += held.copies[at : at + 1] if at else []
        given = json.loads(_arguments(talk.habits, call.arguments, rng))
        called = {"id": id_of(talk, held, at), "name": call.name, "input": given}
        content.append({"type": "tool_use", **called})
    yield {"role": "assistant", "content": content}
    results = [
        {"type": "tool_result", "tool_use_id": call_id, "content": result}
        for call_id, result in _results(talk, held)
    ]
    if results:
        yield {"role": "user", "content": results}


def _messages_held(answer: Json, result: Callable[[int], str]) -> Held:
    blocks = answer["content"]
    calls = [block for block in blocks if block["type"] == "tool_use"]
    return Held(
        [],
        "".join(block["text"] for block in blocks if block["type"] == "text"),
        [
            HeldCall(call["id"], at, call["name"], json.dumps(call["input"]), result(at))
            for at, call in enumerate(calls)
        ],
        [block for block in blocks if block["type"].endswith("thinking")],
    )


_BODIES = {"chat": _chat_body, "responses": _responses_body, "messages": _messages_body}
_HELD = {"chat": _chat_held, "responses": _responses_held, "messages": _messages_held}


def held_of(
    wire: str, answer: Json, issued: Issued, habits: Habits, result: Callable[[int], str]
) -> Held:
    """What the client keeps of a whole answer."""
    held = _HELD[wire](answer, result)
    held.issued = [issued]
    if habits.copies == "dropped":
        held.copies = []
    return held


def heard(out: bytes) -> Json:
    """The whole answer that a chat stream's events make, as far as it came."""
    message: Json = {"content": ""}
    calls: list[Json] = []
    for line in out.split(b"\n\n"):
        if not line.startswith(b"data: {"):
            continue
        for choice in json.loads(line[6:])["choices"]:
            _add(message, calls, choice["delta"])
    if calls:
        message["tool_calls"] = calls
    return {"choices": [{"message": message}]}


def _add(message: Json, calls: list[Json], delta: Json) -> None:
    for key in ("content", "reasoning_content", "reasoning"):
        if delta.get(key):
            message[key] = message.get(key, "") + delta[key]
    for call in delta.get("tool_calls") or ():
        if call.get("id"):
            calls.append({**call, "function": dict(call["function"])})
        else:
            calls[call["index"]]["function"]["arguments"] += call["function"]["arguments"]
