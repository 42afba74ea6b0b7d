"""Streams of Chat Completions: https://platform.openai.com/docs/api-reference/chat-streaming."""

import json
from typing import Any

from openai._models import construct_type
from openai.lib.streaming.chat import ChatCompletionStreamState
from openai.types.chat import ChatCompletion, ChatCompletionChunk

from tests.support.turns import Json
from tests.support.well_formed.events import matches, strictly, told

__all__ = ("check_chat",)

_TEXTS = ("content", "refusal", "reasoning_content", "reasoning", "reasoning_text")
_CONSTANT = ("id", "created", "model", "object")
"""Members that every chunk of a stream has alike."""


def check_chat(stream: bytes, *, usage: bool | None = None) -> Json:
    """The completion that the stream makes."""
    *events, (_, last) = told(stream)
    assert last == "[DONE]"
    assert all(data != "[DONE]" for _, data in events), "an answer ends once"
    chunks = [chunk for _, data in events if "choices" in (chunk := json.loads(data))]
    for chunk in chunks:
        strictly(ChatCompletionChunk, chunk)
    for member in _CONSTANT:
        assert len({chunk.get(member) for chunk in chunks}) == 1, f"{member} changes"
    completion = _completion(chunks)
    _check_usage(chunks, usage)
    strictly(ChatCompletion, completion)
    matches(_snapshot(chunks), completion, "id", "choices", "usage")
    return completion


def _completion(chunks: list[Json]) -> Json:
    choices: dict[int, _Choice] = {}
    for chunk in chunks:
        for said in chunk["choices"]:
            number = said["index"]
            assert number <= len(choices), "choices begin in their order"
            choices.setdefault(number, _Choice()).take(said)
    completion = {member: chunks[0][member] for member in _CONSTANT}
    completion |= {"object": "chat.completion", "usage": chunks[-1].get("usage")}
    return completion | {"choices": [one.whole(at) for at, one in sorted(choices.items())]}


def _check_usage(chunks: list[Json], wanted: bool | None) -> None:
    alone = [at for at, chunk in enumerate(chunks) if not chunk["choices"]]
    assert alone in ([], [len(chunks) - 1]), "the usage comes last, and once"
    if wanted is not None:
        assert bool(alone) == wanted, f"the usage is wanted: {wanted}"
    if alone:
        assert chunks[-1]["usage"]


def _snapshot(chunks: list[Json]) -> Any:
    """What the SDK makes of the stream."""
    state: ChatCompletionStreamState[None] = ChatCompletionStreamState()
    for chunk in chunks:
        model: Any = construct_type(type_=ChatCompletionChunk, value=chunk)
        list(state.handle_chunk(model))
    return state.current_completion_snapshot


class _Choice:
    def __init__(self) -> None:
        self._texts: dict[str, str] = {}
        self._calls: list[Json] = []
        self._finish = ""

    def take(self, said: Json) -> None:
        """Take one step of the choice."""
        delta = said["delta"]
        assert not self._finish, "a step after the choice has finished"
        assert ("role" in delta) == (not self._texts), "the role is told first, and once"
        self._texts.setdefault("role", delta.get("role", ""))
        for member in _TEXTS:
            if delta.get(member) is not None:
                self._texts[member] = self._texts.get(member, "") + delta[member]
        for step in delta.get("tool_calls") or ():
            self._call(step)
        self._finish = said.get("finish_reason") or ""

    def _call(self, step: Json) -> None:
        kind = step.get("type") or "function"
        if step["index"] == len(self._calls):
            assert step["id"], "a call begins with its id"
            assert step["type"] == kind
            assert step[kind]["name"], "a call begins with its name"
            self._calls.append({"id": step["id"], "type": kind, kind: dict(step[kind])})
            return
        assert step["index"] < len(self._calls), "calls are numbered as they come"
        assert not step.get("id"), "clients join the ids of all steps"
        call = self._calls[step["index"]]
        for member, piece in step.get(call["type"], {}).items():
            assert member != "name" or not piece, "clients join the names of all steps"
            call[call["type"]][member] = call[call["type"]].get(member, "") + piece

    def whole(self, number: int) -> Json:
        """The choice as a whole answer has it."""
        assert self._finish, "a choice without an end"
        message = {"content": None, "refusal": None} | self._texts
        if self._calls:
            message["tool_calls"] = self._calls
        choice = {"index": number, "logprobs": None, "finish_reason": self._finish}
        return choice | {"message": message}
