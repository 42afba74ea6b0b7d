"""Plays a dialect as Cursor would: what was answered is replayed as the dialect spells it,
without any reasoning.
"""

import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from random import Random
from typing import Any

import msgspec

from tests.support.client import Raw, fetch
from tests.support.grammar import ChatHeard, read_chat
from tests.support.turns import Call, Json, Turn, TurnMaker

__all__ = ("DIALECTS", "Dialect", "Player", "Said", "ScriptedCall", "Sent", "load", "scripted")

DIALECTS = tuple(sorted(Path(__file__).parent.glob("*.jsonl")))


class _About(msgspec.Struct, forbid_unknown_fields=True):
    """The first line."""

    dialect: str
    cursor: str
    sources: tuple[str, ...]


class ScriptedCall(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A call of a function, or of a tool that takes free text."""

    name: str
    arguments: Json | None = None
    input: str = ""


class Said(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What the model answers."""

    text: str = ""
    calls: tuple[ScriptedCall, ...] = ()


class _Line(msgspec.Struct, forbid_unknown_fields=True):
    """One request; None: as in the line before."""

    body: Json
    answer: Said
    method: str | None = None
    path: str | None = None
    headers: dict[str, str] | None = None


class _Expected(msgspec.Struct, forbid_unknown_fields=True):
    """The last line."""

    asked: Json
    chat: Json = {}
    responses: Json = {}


class Dialect(msgspec.Struct, frozen=True):
    """A conversation in one dialect."""

    name: str
    about: _About
    lines: tuple[_Line, ...]
    expected: _Expected

    def wanted(self, api: str) -> list[Json]:
        """What an upstream of this API must have been asked, request by request."""
        given = self.expected.asked | getattr(self.expected, api)
        return [
            {name: one[at] if isinstance(one, list) else one for name, one in given.items()}
            for at in range(len(self.lines))
        ]


class Sent(msgspec.Struct, frozen=True):
    """A request as it went out, and its answer."""

    path: str
    body: Json
    answer: Raw
    heard: ChatHeard
    usage: Json | None
    replays: frozenset[int]
    """Which requests' answers stand in the body; the first request is 0."""

    @property
    def model(self) -> str:
        """The name that the request gives the model: Azure's clients put it into the path."""
        _, azure, rest = self.path.partition("/openai/deployments/")
        return rest.split("/")[0] if azure else str(self.body["model"])


def load(path: Path) -> Dialect:
    """Read a dialect."""
    first, *lines, last = path.read_bytes().splitlines()
    requests: list[_Line] = []
    for raw in lines:
        line = msgspec.json.decode(raw, type=_Line)
        for member in ("method", "path", "headers"):
            if getattr(line, member) is None:
                setattr(line, member, getattr(requests[-1], member))
        requests.append(line)
    about, expected = (
        msgspec.json.decode(first, type=_About),
        msgspec.json.decode(last, type=_Expected),
    )
    return Dialect(path.stem, about, tuple(requests), expected)


class Player:
    """Sends a dialect's requests with a caller's key; AssertionError for an answer that is
    no chat stream.
    """

    def __init__(self, origin: str, key: str) -> None:
        self._origin = origin
        self._key = key
        self._sent: list[Sent] = []
        self._replays: set[int] = set()

    def play(self, dialect: Dialect) -> list[Sent]:
        """All of them, in order."""
        for line in dialect.lines:
            self._sent.append(self._send(line))
        return self._sent

    def _send(self, line: _Line) -> Sent:
        self._replays = set()
        body: Json = self._filled(line.body)
        headers = {
            name: text.replace("$key", self._key) for name, text in (line.headers or {}).items()
        }
        path = line.path or ""
        raw = json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode()
        answer = fetch(line.method or "", self._origin + path, raw, headers)
        assert answer.status == 200, answer.body.decode()
        choices, usage = read_chat(answer.body)
        return Sent(path, body, answer, choices[0], usage, frozenset(self._replays))

    def _filled(self, template: Any) -> Any:
        """The template with everything put in its place."""
        match template:
            case {"$again": str(member)}:
                before = self._at(template)
                self._replays |= self._sent[before].replays
                return self._sent[before].body[member]
            case {"$answer": str(what)}:
                return self._answered(what, template)
            case dict():
                return {name: self._filled(value) for name, value in template.items()}
            case list():
                return [item for one in template for item in self._items(one)]
        return template

    def _items(self, template: Any) -> Iterator[Any]:
        found = self._filled(template)
        if isinstance(template, dict) and "$again" in template:
            yield from found
        else:
            yield found

    def _at(self, template: Json) -> int:
        return int(template.get("of", len(self._sent))) - 1

    def _answered(self, what: str, template: Json) -> Any:
        at = self._at(template)
        heard = self._sent[at].heard
        if what == "quote":
            return heard.text
        self._replays.add(at)
        match what:
            case "text":
                return heard.text
            case "tool_calls":
                spell = compact if template.get("compact") else str
                return [_chat_call(index, call, spell) for index, call in enumerate(heard.calls)]
            case "input":
                return json.loads(heard.calls[template["call"]]["arguments"])
        return heard.calls[template["call"]][what]


def _chat_call(index: int, call: Json, spell: Callable[[str], str]) -> Json:
    function = {"name": call["name"], "arguments": spell(call["arguments"])}
    return {"index": index, "id": call["id"], "type": "function", "function": function}


def compact(arguments: str) -> str:
    """Arguments without spaces; what is not JSON stays as it is."""
    try:
        return json.dumps(json.loads(arguments), ensure_ascii=False, separators=(",", ":"))
    except ValueError:
        return arguments


class _Script(TurnMaker):
    """Makes the turns of a dialect, each with thoughts and ids of its own."""

    def __init__(self, name: str, answers: Sequence[Said]) -> None:
        super().__init__(Random(name))
        self._name = name
        self._answers = iter(answers)

    def make(self, request: Json) -> Turn:
        """The next answer."""
        answer = next(self._answers)
        self._made += 1
        taking_text = {
            tool["name"] for tool in request.get("tools", ()) if tool["type"] == "custom"
        }
        calls = tuple(
            Call(
                f"call_{self._name}_{self._made}_{at}",
                call.name,
                _arguments(call, call.name in taking_text),
            )
            for at, call in enumerate(answer.calls)
        )
        return Turn(
            reasoning=f"Thought {self._made} of {self._name}.", text=answer.text, calls=calls
        )


def _arguments(call: ScriptedCall, takes_text: bool) -> str:
    """As models write them, with spaces; a function in a custom tool's place has one argument."""
    if call.arguments is None and takes_text:
        return call.input
    return json.dumps(
        {"input": call.input} if call.arguments is None else call.arguments, ensure_ascii=False
    )


def scripted(dialect: Dialect) -> TurnMaker:
    """The model that answers as the dialect's lines say."""
    return _Script(dialect.name, [line.answer for line in dialect.lines])
