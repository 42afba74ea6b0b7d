"""Providers that put reasoning elsewhere than into a plain string, and want it back where
it was, byte for byte.

Each `Carrier` says how its provider spells a turn, whole and streamed, what it finds in a
message that comes back, and how it refuses. Shapes and error texts are those of the public
documents and issue threads about these providers.
"""

import hashlib
import json
from collections.abc import Iterable, Iterator
from random import Random

import msgspec

from tests.support.dialects import refusal
from tests.support.ledger import Fault, Foreign, Ledger, Rejection, Scope
from tests.support.provider import Answer, StrictProvider
from tests.support.rawhttp import Received, Reply, json_reply
from tests.support.turns import (
    Json,
    Turn,
    call_deltas,
    completion,
    cut,
    events,
    message_of,
    text_of,
)

__all__ = ("CARRIERS", "Carrier", "CarrierProvider")

THINKING = "thinking"
SENTINEL = "skip_thought_signature_validator"


class Carrier:
    """A plain string under one name; the others say what they do otherwise."""

    scope: Scope = "all"
    foreign: Foreign = "any"
    field = "reasoning_content"
    takes: tuple[str, ...] | None = None
    """Members of an assistant message beside role, content and calls that are not refused;
    None: any.
    """

    def prepared(self, turn: Turn) -> Turn:
        """The turn as this provider's model can say it."""
        return turn

    def message(self, turn: Turn, account: str) -> Json:
        """The turn as it is issued to an account, whole."""
        return message_of(turn, self.field)

    def deltas(self, turn: Turn, account: str, rng: Random) -> Iterator[Json]:
        """The same in steps."""
        yield {"role": "assistant", "content": ""}
        for piece in cut(turn.reasoning or "", rng):
            yield {self.field: piece}
        yield from self.said(turn, rng)

    def said(self, turn: Turn, rng: Random) -> Iterator[Json]:
        """Text and calls in steps."""
        for piece in cut(turn.text, rng):
            yield {"content": piece}
        yield from call_deltas(turn, rng)

    def carried(self, message: Json) -> str | None:
        """The reasoning that a message carries, spelled so that nothing of it is lost."""
        return message.get(self.field)

    def issued(self, message: Json) -> str | None:
        """The same of a message as it is issued, where that is spelled otherwise."""
        return self.carried(message)

    def text(self, message: Json) -> str:
        """The message's visible text."""
        return text_of(message.get("content"))

    def refuse(self, fault: Fault, index: int) -> bytes:
        """The body of the 400."""
        return refusal(f"The reasoning of message {index} is {fault}.")


class Named(Carrier):
    """A plain string that must come back under one name, whatever it was issued under."""

    def __init__(self, issued: str, wanted: str = "") -> None:
        self.field = issued
        self._wanted = wanted or issued

    def carried(self, message: Json) -> str | None:
        return message.get(self._wanted)

    def issued(self, message: Json) -> str | None:
        return message.get(self.field)


class Details(Carrier):
    """OpenRouter: text, signed text whose signature comes late, summaries with encrypted
    data, or an empty array.
    """

    def message(self, turn: Turn, account: str) -> Json:
        found = message_of(turn, "reasoning")
        if turn.reasoning is not None:
            found["reasoning_details"] = self._details(turn.reasoning, account)
        return found

    def deltas(self, turn: Turn, account: str, rng: Random) -> Iterator[Json]:
        yield {"role": "assistant", "content": ""}
        details = [] if turn.reasoning is None else self._details(turn.reasoning, account)
        late: list[Json] = []
        if turn.reasoning == "":
            yield {"reasoning": "", "reasoning_details": []}
        for item in details:
            name = item["type"].removeprefix("reasoning.")
            if name == "encrypted":
                late.append(item)
                continue
            for piece in cut(item[name], rng):
                step = {key: kept for key, kept in item.items() if key != "signature"} | {
                    name: piece
                }
                yield {"content": "", "reasoning": piece, "reasoning_details": [step]}
            if "signature" in item:
                late.append(
                    {"type": item["type"], "index": item["index"], "signature": item["signature"]}
                )
        first, *rest = [*self.said(turn, rng)] or [{}]
        yield {**first, "reasoning_details": late} if late else first
        yield from rest

    def carried(self, message: Json) -> str | None:
        return (
            json.dumps(message["reasoning_details"], sort_keys=True)
            if "reasoning_details" in message
            else None
        )

    def refuse(self, fault: Fault, index: int) -> bytes:
        said = {
            "missing": "Reasoning details must be preserved when using tools.",
            "duplicate": (
                "Duplicate item found with id rs_1. Remove duplicate items from your "
                "input and try again."
            ),
        }.get(fault, f"messages.{index}.content.0: Invalid `signature` in `thinking` block")
        inner = {"type": "error", "error": {"type": "invalid_request_error", "message": said}}
        metadata = {"raw": json.dumps(inner), "provider_name": "Anthropic"}
        return json.dumps(
            {"error": {"message": "Provider returned error", "code": 400, "metadata": metadata}}
        ).encode()

    def _details(self, reasoning: str, account: str) -> list[Json]:
        mark = _mark(reasoning, account)
        text = {"type": "reasoning.text", "text": reasoning, "index": 0}
        if not reasoning:
            return []
        match int(mark, 16) % 3:
            case 0:
                return [text | {"format": "unknown"}]
            case 1:
                return [text | {"format": "anthropic-claude-v1", "signature": f"sig-{mark}"}]
        summary = {
            "type": "reasoning.summary",
            "summary": reasoning,
            "format": "openai-responses-v1",
            "index": 0,
        }
        data = {
            "type": "reasoning.encrypted",
            "data": f"blob-{mark}",
            "id": f"rs_{mark}",
            "index": 1,
        }
        return [summary, data]


class Tags(Carrier):
    """MiniMax by default: thinking in tags, at the beginning of the content, blanks included."""

    def prepared(self, turn: Turn) -> Turn:
        kept = turn.reasoning and turn.reasoning.replace("</think>", "").replace("<think>", "")
        return msgspec.structs.replace(turn, reasoning=kept)

    def message(self, turn: Turn, account: str) -> Json:
        return message_of(msgspec.structs.replace(turn, reasoning=None, text=self._content(turn)))

    def deltas(self, turn: Turn, account: str, rng: Random) -> Iterator[Json]:
        yield {"role": "assistant", "content": ""}
        yield from self.said(msgspec.structs.replace(turn, text=self._content(turn)), rng)

    def carried(self, message: Json) -> str | None:
        content = text_of(message.get("content"))
        return content if "</think>" in content else None

    def text(self, message: Json) -> str:
        return (
            text_of(message.get("content")).rpartition("</think>")[2]
            if self.carried(message)
            else super().text(message)
        )

    def refuse(self, fault: Fault, index: int) -> bytes:
        return json.dumps(
            {"base_resp": {"status_code": 2013, "status_msg": f"invalid params: message {index}"}}
        ).encode()

    def _content(self, turn: Turn) -> str:
        head = "" if turn.reasoning is None else f"<think>\n{turn.reasoning}\n</think>\n\n"
        return head + turn.text.replace("</think>", "").replace("<think>", "")


class TaggedBack(Carrier):
    """Cerebras' GLM: issued under a name, wanted back in tags."""

    field = "reasoning"

    def prepared(self, turn: Turn) -> Turn:
        return Tags().prepared(turn)

    def carried(self, message: Json) -> str | None:
        content = text_of(message.get("content"))
        head, found, _ = content.partition("</think>")
        return head.removeprefix("<think>") if found and content.startswith("<think>") else None

    def issued(self, message: Json) -> str | None:
        return message.get(self.field)

    def text(self, message: Json) -> str:
        content = text_of(message.get("content"))
        return content.partition("</think>")[2] if self.carried(message) is not None else content


class Chunks(Carrier):
    """Mistral: thinking chunks in a content that is a list; unknown members are refused."""

    takes = ()

    def message(self, turn: Turn, account: str) -> Json:
        found = message_of(msgspec.structs.replace(turn, reasoning=None))
        if turn.reasoning is not None:
            text = [{"type": "text", "text": turn.text}] if turn.text else []
            found["content"] = [self._chunk(turn.reasoning), *text]
        return found

    def deltas(self, turn: Turn, account: str, rng: Random) -> Iterator[Json]:
        yield {"role": "assistant", "content": ""}
        for piece in [*cut(turn.reasoning or "", rng)] or ([""] if turn.reasoning == "" else []):
            yield {"content": [self._chunk(piece)]}
        as_list = rng.random() < 0.5
        for step in self.said(turn, rng):
            said = as_list and step.get("content")
            yield {"content": [{"type": "text", "text": step["content"]}]} if said else step

    def carried(self, message: Json) -> str | None:
        content = message.get("content")
        chunks = (
            [part for part in content if part["type"] == THINKING]
            if isinstance(content, list)
            else []
        )
        return json.dumps(chunks, sort_keys=True) if chunks else None

    def text(self, message: Json) -> str:
        return text_of(message.get("content"))

    def refuse(self, fault: Fault, index: int) -> bytes:
        said = f"messages.{index}.assistant.reasoning_content: Extra inputs are not permitted"
        if fault != "unknown member":
            said = f"Message {index}: its thinking is {fault}."
        return json.dumps(
            {"object": "error", "message": said, "type": "invalid_request_error", "code": "3051"}
        ).encode()

    @staticmethod
    def _chunk(text: str) -> Json:
        return {"type": THINKING, "thinking": [{"type": "text", "text": text}], "closed": True}


class Annex(Carrier):
    """Gemini: the first call of a turn is signed, for the account that asked."""

    scope = "current_calls"
    foreign: Foreign = "empty"

    def message(self, turn: Turn, account: str) -> Json:
        found = message_of(msgspec.structs.replace(turn, reasoning=None))
        if turn.calls:
            found["tool_calls"][0]["extra_content"] = self._signed(turn, account)
        return found

    def deltas(self, turn: Turn, account: str, rng: Random) -> Iterator[Json]:
        yield {"role": "assistant", "content": ""}
        late = rng.random() < 0.5
        for step in self.said(turn, rng):
            for call in step.get("tool_calls", ()):
                if call["index"] == 0 and ("id" in call) != late and "extra_content" not in call:
                    call["extra_content"] = self._signed(turn, account)
            yield step

    def carried(self, message: Json) -> str | None:
        found = [call.get("extra_content") for call in message.get("tool_calls") or ()]
        signatures = [one["google"]["thought_signature"] for one in found if one]
        return ("" if signatures[0] == SENTINEL else signatures[0]) if signatures else None

    def refuse(self, fault: Fault, index: int) -> bytes:
        said = "Corrupted thought signature."
        if fault == "missing":
            said = (
                "Function call is missing a thought_signature in functionCall parts. "
                "This is required for tools to "
                "work correctly. Additional data, function call `default_api:Read` , "
                f"position {index}."
            )
        return json.dumps(
            [{"error": {"code": 400, "message": said, "status": "INVALID_ARGUMENT"}}]
        ).encode()

    @staticmethod
    def _signed(turn: Turn, account: str) -> Json:
        return {
            "google": {
                "thought_signature": f"sig-{_mark(str(turn.reasoning) + str(turn.calls), account)}"
            }
        }


class Nothing(Carrier):
    """xAI: shown, each step perhaps twice, and not taken back."""

    takes = ()
    scope: Scope = "none"

    def issued(self, message: Json) -> str | None:
        return None

    def deltas(self, turn: Turn, account: str, rng: Random) -> Iterator[Json]:
        for step in super().deltas(turn, account, rng):
            yield step
            if step.get(self.field) and rng.random() < 0.5:
                yield step


def _mark(*words: str) -> str:
    return hashlib.sha256("\0".join(words).encode(errors="surrogatepass")).hexdigest()[:24]


class _Ledger(Ledger):
    """Finds turns by what a carrier shows of a message."""

    def __init__(self, carrier: Carrier) -> None:
        super().__init__(carrier.scope, carrier.foreign, "carried")
        self._carrier = carrier

    def issue(self, turn: Turn, message: Json) -> None:
        text = self._carrier.text(message)
        self.add(msgspec.structs.replace(turn, text=text, reasoning=self._carrier.issued(message)))

    def check(self, request: Json) -> Rejection | None:
        known = {"role", "content", "tool_calls", *(self._carrier.takes or ())}
        for index, message in enumerate(request["messages"]):
            if (
                message["role"] == "assistant"
                and self._carrier.takes is not None
                and message.keys() - known
            ):
                return Rejection("unknown member", index, message)
        ids = [
            item["id"]
            for one in request["messages"]
            for item in one.get("reasoning_details") or ()
            if "id" in item
        ]
        if len(set(ids)) < len(ids):
            return Rejection("duplicate", 0, request)
        return super().check(
            request | {"messages": [self._shown(one) for one in request["messages"]]}
        )

    def _shown(self, message: Json) -> Json:
        if message["role"] != "assistant":
            return message
        carried = self._carrier.carried(message)
        shown = {
            "role": "assistant",
            "content": self._carrier.text(message),
            "tool_calls": message.get("tool_calls"),
        }
        return shown if carried is None else shown | {"carried": carried}

    def _judge_own(self, shapes: list[Turn], carried: str | None) -> Fault | None:
        """A turn that was issued without reasoning comes back without."""
        if carried is None:
            return "missing" if all("" not in self._reasonings[shape] for shape in shapes) else None
        return super()._judge_own(shapes, carried)


class CarrierProvider(StrictProvider):
    """Chat Completions on 127.0.0.1 that spells turns as a carrier does."""

    def __init__(
        self, carrier: Carrier, *, keys: tuple[str, ...] = ("sk-good",), seed: int = 1
    ) -> None:
        super().__init__(keys=keys, seed=seed)
        self.carrier = carrier
        self.ledger: _Ledger = _Ledger(carrier)
        self._account = ""

    async def _answer(self, request: Received) -> Reply:
        self._account = request.key
        before = len(self.rejections)
        reply = await super()._answer(request)
        if len(self.rejections) == before:
            return reply
        rejection = self.rejections[-1]
        return json_reply(self.carrier.refuse(rejection.fault, rejection.index), 400)

    def _say(self, answer: Answer, body: Json) -> Reply:
        turn = self.carrier.prepared(answer.turn or self.maker.make(body))
        message = self.carrier.message(turn, self._account)
        self.ledger.issue(turn, message)
        if not body.get("stream"):
            return answer.fault(json_reply(completion(turn, body["model"], message=message)))
        deltas: Iterable[Json] = self.carrier.deltas(turn, self._account, self._rng)
        pieces = events(turn, body["model"], self._rng, usage=True, deltas=[*deltas])
        headers = [("content-type", "text/event-stream; charset=utf-8")]
        return answer.fault(Reply(headers=headers, pieces=list(pieces), framing="chunked"))


CARRIERS: dict[str, Carrier] = {
    "openrouter": Details(),
    "minimax": Tags(),
    "sambanova": Tags(),
    "mistral": Chunks(),
    "gemini": Annex(),
    "cerebras-glm": TaggedBack(),
    "cerebras": Named("reasoning"),
    "groq": Named("reasoning"),
    "ollama": Named("reasoning"),
    "vllm": Named("reasoning_content", "reasoning"),
    "sglang": Named("reasoning_content"),
    "llama-cpp": Named("reasoning_content"),
    "together": Named("reasoning"),
    "fireworks": Named("reasoning_content"),
    "xai": Nothing(),
}
"""By the profile of their upstream."""
