"""A loopback provider in thinking mode that refuses any turn whose reasoning did not come
back as it was issued.
"""

import json
from collections import deque
from collections.abc import Callable, Mapping
from random import Random

import msgspec

from tests.support.dialects import Dialect, missing_reasoning, refusal
from tests.support.ledger import Foreign, Ledger, Rejection, Scope, thinking_disabled
from tests.support.rawhttp import Loopback, Received, Reply, json_reply
from tests.support.turns import FIELD, IdStyle, Json, Turn, TurnMaker, completion, events

__all__ = ("Answer", "Refusal", "StrictProvider")


class Refusal(msgspec.Struct, frozen=True):
    """An error answer: what a bad key gets, or a scripted bad moment."""

    status: int
    message: str = "no"
    headers: tuple[tuple[str, str], ...] = ()


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """A scripted answer: the turn to give (None: a made one) and the fault to give it with."""

    turn: Turn | None = None
    fault: Callable[[Reply], Reply] = lambda reply: reply


class StrictProvider(Loopback):
    """Chat Completions on 127.0.0.1; use as a context manager.

    `keys` are the accepted ones; `refused` maps other keys to what they get, and any
    further key gets a 401. `scope`, `foreign` and `field` are the ledger's rules, `dialect`
    is whose 400 is answered, `ids` how tool calls are named.
    """

    def __init__(
        self,
        *,
        keys: tuple[str, ...] = ("sk-good",),
        refused: Mapping[str, Refusal] | None = None,
        scope: Scope = "tools",
        foreign: Foreign = "empty",
        field: str = FIELD,
        dialect: Dialect = "deepseek",
        ids: IdStyle = "unique",
        seed: int = 1,
    ) -> None:
        super().__init__()
        self.ledger = Ledger(scope, foreign, field)
        self.rejections: list[Rejection] = []
        self.maker = TurnMaker(Random(seed), ids)
        """Makes the turns that no script gives; a test may put its own here until `reset`."""

        self._maker = self.maker
        self._keys = keys
        self._refused = refused or {}
        self._field = field
        self._dialect = dialect
        self._rng = Random(seed)
        self._script: deque[Answer | Refusal] = deque()

    @property
    def requests(self) -> list[Received]:
        """Everything that came in since `reset`, in order."""
        return self._server.requests

    def bodies(self) -> list[Json]:
        """The JSON bodies of the answered chat requests."""
        return [
            json.loads(request.body)
            for request in self.requests
            if request.status == 200 and request.body
        ]

    def script(self, *answers: Answer | Refusal) -> None:
        """Give these to the next accepted requests, one each, in order."""
        self._script.extend(answers)

    def reset(self) -> None:
        """Forget requests, rejections, the script and the test's own maker; what was issued
        stays known.
        """
        self.maker = self._maker
        self.requests.clear()
        self.rejections.clear()
        self._script.clear()

    def refuse(self) -> None:
        """Cut every connection and refuse new ones until `listen`."""
        self._server.refuse()

    def listen(self) -> None:
        """Accept connections again, on the same port."""
        self._server.listen()

    async def _answer(self, request: Received) -> Reply:
        if refused := self._judge_key(request.key):
            return _refuse(refused)
        path = request.target.split("?")[0]
        if path.endswith("/models"):
            return json_reply(
                b'{"object":"list","data":[{"id":"deepseek-v4-pro","object":"model"}]}'
            )
        if not path.endswith("/chat/completions"):
            return _refuse(Refusal(404, f"no such path: {request.target}"))
        try:
            body = json.loads(request.body)
        except ValueError:
            return _refuse(Refusal(400, "the body is not JSON"))
        if rejection := self.ledger.check(body):
            self.rejections.append(rejection)
            return json_reply(missing_reasoning(self._dialect, rejection.index), 400)
        scripted = self._script.popleft() if self._script else Answer()
        return _refuse(scripted) if isinstance(scripted, Refusal) else self._say(scripted, body)

    def _judge_key(self, key: str) -> Refusal | None:
        return (
            None
            if key in self._keys
            else self._refused.get(key, Refusal(401, "Authentication Fails"))
        )

    def _say(self, answer: Answer, body: Json) -> Reply:
        turn = answer.turn or self.maker.make(body)
        if thinking_disabled(body):
            turn = msgspec.structs.replace(turn, reasoning=None)
        self.ledger.add(turn)
        if not body.get("stream"):
            return answer.fault(json_reply(completion(turn, body["model"], field=self._field)))
        usage = bool((body.get("stream_options") or {}).get("include_usage"))
        pieces = events(turn, body["model"], self._rng, usage=usage, field=self._field)
        headers = [
            ("content-type", "text/event-stream; charset=utf-8"),
            ("cache-control", "no-cache"),
        ]
        return answer.fault(Reply(headers=headers, pieces=list(pieces), framing="chunked"))


def _refuse(refused: Refusal) -> Reply:
    return json_reply(refusal(refused.message), refused.status, refused.headers)
