"""Exchanges without a socket: the gateway's services over a real database, and what
upstreams answer.
"""

import json
from functools import partial
from pathlib import Path
from random import Random

from addon.exchange.exchange import Exchange
from addon.exchange.intake import Intake
from addon.exchange.services import Services
from addon.exchange.stored_answers import StoredAnswers
from addon.exchange.verdict import Reply, Verdict
from addon.formats.neutral.problem import Problem
from addon.formats.paths import classify
from addon.formats.wire.pieces import Pieces
from addon.ledger.meter import Meter
from addon.ledger.rests import KeyRests
from addon.recall.lessons import Lessons
from addon.routing.keyring import Keyring
from shared.config.schema import Recall, Server, Snapshot, Upstream
from shared.model import Principal
from shared.store.lessons import Lesson, read_lessons
from shared.store.lookup import look_up
from tests.addon.recall.chat import ID_KEY, Json, Memory
from tests.support.turns import Turn, completion, events

__all__ = (
    "CURSOR",
    "MODEL",
    "USER",
    "Desk",
    "Refused",
    "error",
    "open_exchange",
    "reply_of",
    "upstream",
)

MODEL = "deepseek-v4-pro"
USER = Principal(id="user:1", name="ada", key_suffix="abcd")
CURSOR = {"user-agent": "Cursor/1.0"}
TOOLS = [{"type": "function", "function": {"name": "Read", "parameters": {"type": "object"}}}]


def upstream(name: str = "one", **settings: object) -> Upstream:
    """An upstream with one key, unless the settings say otherwise."""
    given = {
        "name": name,
        "base_url": f"https://{name}.example",
        "api_keys": (f"sk-{name}-secret",),
    }
    return Upstream(**given | settings)  # type: ignore[arg-type]


def error(message: str, **members: object) -> bytes:
    """An upstream's error body."""
    return json.dumps(
        {"error": {"message": message, "type": "invalid_request_error", **members}}
    ).encode()


class Desk:
    """One gateway process; `upstreams` may change between exchanges."""

    def __init__(self, path: Path, *upstreams: Upstream) -> None:
        self.memory = Memory(path)
        self.upstreams = upstreams or (upstream(),)
        self.server = Server()
        self.recall = Recall()
        self.profiles: dict[str, dict[str, object]] = {}
        self.keyring = Keyring()
        self.lessons = Lessons(self.memory.engine, self.memory.clock)
        self.meter = self.new_meter()
        self.answers = self.new_answers()
        self.pieces = Pieces(64 * 1024 * 1024)

    @property
    def rests(self) -> KeyRests:
        """What all processes over the database know of the upstreams' keys."""
        return KeyRests(self.memory.engine, self.memory.clock, self.keyring)

    def new_answers(self) -> StoredAnswers:
        """The stored answers as a process over the same database has them."""
        return StoredAnswers(self.memory.engine, self.memory.clock, max_age_days=30)

    def new_meter(self, node: str = "node-1") -> Meter:
        """The books of a process over the same database."""
        return Meter(self.memory.engine, self.memory.clock, node=node, version="1")

    def restart(self) -> None:
        """The process ends and starts again."""
        self.meter.flush()
        self.memory.engine.flush()
        self.memory.restart()
        self.keyring = Keyring()
        self.lessons = Lessons(self.memory.engine, self.memory.clock)
        self.meter = self.new_meter()
        self.answers = self.new_answers()

    def written_lessons(self) -> list[Lesson]:
        """The lessons in the database, once all that was learnt is there."""
        self.memory.engine.flush()
        self.lessons.refresh()
        return read_lessons(self.memory.engine)

    def intake(
        self,
        headers: dict[str, str] | None = None,
        principal: Principal = USER,
        path: str = "/v1/chat/completions",
    ) -> Intake:
        """A request of which the headers have come."""
        endpoint = classify(path)
        assert endpoint is not None
        snapshot = Snapshot(
            upstreams=self.upstreams,
            server=self.server,
            recall=self.recall,
            profiles=self.profiles,
        )
        return Intake(self.services(), snapshot, principal, endpoint, headers or {})

    def services(self) -> Services:
        """What exchanges work with."""
        return Services(
            recall=self.memory.recall,
            lessons=self.lessons,
            keyring=self.keyring,
            rests=self.rests,
            meter=self.meter,
            answers=self.answers,
            clock=self.memory.clock,
            look_up=partial(look_up, self.memory.engine),
            id_key=ID_KEY,
            seal_key=b"a key that seals what clients carry"[:32],
            retired_seal_keys=(),
            random=Random().randbytes,
            pieces=self.pieces,
        )

    def open(
        self,
        messages: list[Json] | None = None,
        *,
        model: str = MODEL,
        headers: dict[str, str] | None = None,
        principal: Principal = USER,
        **members: object,
    ) -> Exchange:
        """An exchange whose first attempt is ready."""
        return open_exchange(
            self.intake(headers, principal), body(messages, model=model, **members)
        )

    def converse(self, messages: list[Json], turn: Turn, **members: object) -> None:
        """One exchange that goes well; the answer is put at the end of the messages, with
        results for its calls.
        """
        exchange = self.open(messages, **members)
        if exchange.streams:
            message = streamed(exchange, turn)
        else:
            reply = whole(exchange, turn)
            message = json.loads(reply.body)["choices"][0]["message"]
        message.pop("reasoning_content", None)
        messages.append({"role": "assistant", **message})
        ids = [call["id"] for call in message.get("tool_calls", [])]
        messages += [
            {"role": "tool", "tool_call_id": call_id, "content": "fine"} for call_id in ids
        ]


class Refused(Exception):
    """The client was told that its request can't be served."""

    def __init__(self, reply: Reply) -> None:
        error = json.loads(reply.body)["error"]
        super().__init__(error["message"])
        self.reply = reply
        self.problem = Problem(
            status=reply.status,
            message=error["message"],
            code=reply.error_class,
            type=error["type"],
            param=error.get("param"),
            retry_after=reply.headers.get("retry-after", ""),
        )


def open_exchange(intake: Intake, content: bytes) -> Exchange:
    """The exchange that a body opens. Raises Refused when it opens none."""
    exchange = intake.open(content)
    if isinstance(exchange, Reply):
        raise Refused(exchange)
    assert isinstance(exchange, Exchange)
    return exchange


def reply_of(verdict: Verdict) -> Reply:
    """What the client is told, as no attempt is left."""
    assert isinstance(verdict, Reply)
    return verdict


def body(messages: list[Json] | None = None, *, model: str = MODEL, **members: object) -> bytes:
    """A client's request."""
    asked = messages or [{"role": "user", "content": "hi"}]
    return json.dumps({"model": model, "messages": asked, "tools": TOOLS, **members}).encode()


def whole(exchange: Exchange, turn: Turn) -> Reply:
    """The upstream answers whole."""
    return reply_of(
        exchange.whole(
            200, {"content-type": "application/json"}, completion(turn, exchange.candidate.model)
        )
    )


def streamed(exchange: Exchange, turn: Turn) -> Json:
    """The upstream streams; the message that its deltas make."""
    answer = exchange.stream({})
    message: Json = {"content": ""}
    for event in events(turn, exchange.candidate.model, Random(1), usage=True):
        out = answer.feed(event)
        if not exchange.outcome().tries[-1].outcome:
            exchange.accepted()
        for line in out.split(b"\n\n"):
            if line.startswith(b"data: {"):
                _add(message, json.loads(line[6:]))
    return message


def _add(message: Json, chunk: Json) -> None:
    for choice in chunk["choices"]:
        delta = choice["delta"]
        message["content"] += delta.get("content") or ""
        for call in delta.get("tool_calls") or ():
            if "id" in call:
                message.setdefault("tool_calls", []).append(call)
            else:
                message["tool_calls"][call["index"]]["function"]["arguments"] += call["function"][
                    "arguments"
                ]
