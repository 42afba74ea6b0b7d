"""Upstreams of every kind: how each says a turn, and what of its reasoning comes back."""

import hashlib
import json
from collections.abc import Callable, Iterator
from random import Random
from typing import Protocol

import msgspec

from tests.properties.recall.truth import MARK
from tests.support.carriers import CARRIERS, Annex, Carrier, Named
from tests.support.turns import Json, Turn, completion, events

__all__ = ("UPSTREAMS", "Sent", "Upstream")


class Sent(msgspec.Struct):
    """An assistant message that an upstream gets, or all of one turn's items."""

    pieces: list[str]
    """Its reasoning, each piece spelled so that nothing of it is lost."""

    marks: list[str]


class Upstream(Protocol):
    """A kind of upstream."""

    api: str
    profile: str
    by_call: bool
    """Whether each piece of its reasoning belongs to the call of the same number."""

    def prepared(self, turn: Turn) -> Turn:
        """The turn as its model can say it."""

    def answer(self, turn: Turn, account: str) -> bytes:
        """The whole answer."""

    def stream(self, turn: Turn, account: str, rng: Random) -> list[bytes]:
        """The same in events; empty for an upstream that is not heard in a stream here."""

    def said(self, turn: Turn, account: str) -> Json:
        """The turn as it is issued."""

    def pieces(self, said: Json) -> list[str]:
        """Its reasoning as it must come back."""

    def bound(self, said: Json) -> bool:
        """Whether only the account may send it back."""

    def runs(self, body: Json) -> list[list[Sent]]:
        """The assistant messages of a request, together as in `runs_of`."""


class ChatUpstream:
    """Chat Completions with one carrier."""

    api = "chat"
    by_call = False

    def __init__(self, profile: str, carrier: Carrier) -> None:
        self.profile = profile
        self._carrier = carrier

    def prepared(self, turn: Turn) -> Turn:
        return self._carrier.prepared(turn)

    def said(self, turn: Turn, account: str) -> Json:
        return self._carrier.message(turn, account)

    def answer(self, turn: Turn, account: str) -> bytes:
        return completion(turn, "m", message=self.said(turn, account))

    def stream(self, turn: Turn, account: str, rng: Random) -> list[bytes]:
        return events(turn, "m", rng, deltas=[*self._carrier.deltas(turn, account, rng)])

    def pieces(self, said: Json) -> list[str]:
        return _head(self._carrier.issued(said))

    def bound(self, said: Json) -> bool:
        text = json.dumps(said)
        return any(word in text for word in ("sig-", "blob-"))

    def runs(self, body: Json) -> list[list[Sent]]:
        return [*_runs(body["messages"], self._sent)]

    def _sent(self, message: Json) -> Sent:
        return Sent(_head(self._carrier.carried(message)), _marks(message))


class Signatures(Annex):
    """Gemini where it signs every call, not only the first."""

    def message(self, turn: Turn, account: str) -> Json:
        found = super().message(turn, account)
        for at, call in enumerate(found.get("tool_calls", ())):
            call["extra_content"] = _signed(turn, account, at)
        return found

    def deltas(self, turn: Turn, account: str, rng: Random) -> Iterator[Json]:
        yield {"role": "assistant", "content": ""}
        for step in self.said(turn, rng):
            for call in step.get("tool_calls", ()):
                if "id" in call:
                    call["extra_content"] = _signed(turn, account, call["index"])
            yield step


class SigningUpstream(ChatUpstream):
    """Chat Completions whose calls are signed, one by one or the first of a turn."""

    by_call = True

    def pieces(self, said: Json) -> list[str]:
        found = [call.get("extra_content") for call in said.get("tool_calls") or ()]
        return [one["google"]["thought_signature"] if one else "" for one in found]

    def _sent(self, message: Json) -> Sent:
        return Sent(self.pieces(message), _marks(message))


def _signed(turn: Turn, account: str, at: int) -> Json:
    mark = hashlib.sha256(f"{turn.reasoning} {turn.calls} {account} {at}".encode()).hexdigest()
    return {"google": {"thought_signature": f"sig-{mark[:24]}"}}


class _WholeAnswers:
    """An upstream whose turns need no profile and are not streamed."""

    profile = ""
    by_call = False

    def prepared(self, turn: Turn) -> Turn:
        return turn

    def stream(self, turn: Turn, account: str, rng: Random) -> list[bytes]:
        return []


class ResponsesUpstream(_WholeAnswers):
    """Responses without a store: encrypted items."""

    api = "responses"

    def said(self, turn: Turn, account: str) -> Json:
        return {"output": [*self._items(turn, account)]}

    def answer(self, turn: Turn, account: str) -> bytes:
        head = {"id": "resp_1", "object": "response", "created_at": 1, "status": "completed"}
        usage = {"input_tokens": 5, "output_tokens": 2, "total_tokens": 7}
        body = {**head, "model": "m", **self.said(turn, account), "usage": usage}
        return json.dumps(body).encode()

    def pieces(self, said: Json) -> list[str]:
        return [one["encrypted_content"] for one in said["output"] if one["type"] == "reasoning"]

    def bound(self, said: Json) -> bool:
        return bool(self.pieces(said))

    def runs(self, body: Json) -> list[list[Sent]]:
        runs: list[list[Sent]] = []
        inside = False
        for item in body["input"]:
            kind = item.get("type", "message")
            ours = kind in ("reasoning", "function_call") or item.get("role") == "assistant"
            if ours and not inside:
                runs.append([Sent([], [])])
            if ours:
                runs[-1][0].marks += _marks(item)
            if kind == "reasoning" and item.get("encrypted_content"):
                runs[-1][0].pieces.append(item["encrypted_content"])
            inside = ours
        return runs

    def _items(self, turn: Turn, account: str) -> Iterator[Json]:
        if turn.reasoning:
            yield self._reasoning(turn, account, 0)
        if turn.text:
            part = {"type": "output_text", "text": turn.text, "annotations": []}
            head = {"type": "message", "id": "msg_1", "role": "assistant", "status": "completed"}
            yield {**head, "content": [part]}
        if turn.reasoning and turn.text and len(turn.calls) > 1:
            yield self._reasoning(turn, account, 1)
        for call in turn.calls:
            said = {"call_id": call.id, "name": call.name, "arguments": call.arguments}
            yield {"type": "function_call", "id": f"fc_{call.id}", **said, "status": "completed"}

    def _reasoning(self, turn: Turn, account: str, at: int) -> Json:
        mark = _mark_of(turn)
        item = {"type": "reasoning", "id": f"rs_{mark}_{at}", "summary": []}
        return {**item, "encrypted_content": f"gAAAA-{mark}-{at}-{account}"}


class MessagesUpstream(_WholeAnswers):
    """Anthropic's Messages: signed blocks, and redacted ones."""

    api = "messages"

    def said(self, turn: Turn, account: str) -> Json:
        return {"content": [*self._blocks(turn, account)]}

    def answer(self, turn: Turn, account: str) -> bytes:
        head = {"id": "msg_1", "type": "message", "role": "assistant", "model": "claude-opus-5"}
        reason = "tool_use" if turn.calls else "end_turn"
        stop = {"stop_reason": reason, "stop_sequence": None}
        usage = {"usage": {"input_tokens": 5, "output_tokens": 3}}
        return json.dumps({**head, **self.said(turn, account), **stop, **usage}).encode()

    def pieces(self, said: Json) -> list[str]:
        return [*map(_dump, filter(_thinks, said["content"]))]

    def bound(self, said: Json) -> bool:
        return bool(self.pieces(said))

    def runs(self, body: Json) -> list[list[Sent]]:
        return [*_runs(body["messages"], self._sent)]

    def _sent(self, message: Json) -> Sent:
        content = message["content"]
        blocks = [] if isinstance(content, str) else content
        return Sent([*map(_dump, filter(_thinks, blocks))], _marks(message))

    def _blocks(self, turn: Turn, account: str) -> Iterator[Json]:
        mark = _mark_of(turn)
        if turn.reasoning:
            yield self._thinking(turn, f"sig-{mark}-{account}")
        if turn.text:
            yield {"type": "text", "text": turn.text}
        for at, call in enumerate(turn.calls):
            if at and turn.reasoning and turn.text:
                yield {"type": "redacted_thinking", "data": f"red-{mark}-{at}-{account}"}
            given = json.loads(call.arguments)
            yield {"type": "tool_use", "id": call.id, "name": call.name, "input": given}

    @staticmethod
    def _thinking(turn: Turn, signature: str) -> Json:
        return {"type": "thinking", "thinking": turn.reasoning, "signature": signature}


def _mark_of(turn: Turn) -> str:
    found = MARK.search(turn.reasoning or "")
    return found[0] if found else "none"


def _head(carried: str | None) -> list[str]:
    """Reasoning in the content ends at its tag: the visible text is the client's."""
    return [] if carried is None else [carried.partition("</think>")[0]]


def _thinks(block: Json) -> bool:
    return block["type"] in ("thinking", "redacted_thinking")


def _dump(block: Json) -> str:
    kept = {key: one for key, one in block.items() if key != "cache_control"}
    return json.dumps(kept, sort_keys=True)


def _marks(message: Json) -> list[str]:
    return MARK.findall(json.dumps(message))


def _runs(messages: list[Json], sent: Callable[[Json], Sent]) -> Iterator[list[Sent]]:
    run: list[Sent] = []
    for message in messages:
        if message["role"] == "assistant":
            run.append(sent(message))
        elif run:
            yield run
            run = []
    if run:
        yield run


UPSTREAMS: dict[str, Upstream] = {
    "deepseek-v4": ChatUpstream("deepseek-v4", Named("reasoning_content")),
    "cerebras": ChatUpstream("cerebras", CARRIERS["cerebras"]),
    "vllm": ChatUpstream("vllm", CARRIERS["vllm"]),
    "together": ChatUpstream("together", CARRIERS["together"]),
    "openrouter": ChatUpstream("openrouter", CARRIERS["openrouter"]),
    "minimax": ChatUpstream("minimax", CARRIERS["minimax"]),
    "cerebras-glm": ChatUpstream("cerebras-glm", CARRIERS["cerebras-glm"]),
    "mistral": ChatUpstream("mistral", CARRIERS["mistral"]),
    "gemini": SigningUpstream("gemini", CARRIERS["gemini"]),
    "gemini, every call": SigningUpstream("gemini", Signatures()),
    "responses": ResponsesUpstream(),
    "messages": MessagesUpstream(),
}
"""By the place where each has its reasoning."""
