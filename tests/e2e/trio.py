"""A gateway over three strict upstreams, one of each format, told apart by their models."""

from collections import deque
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from tests.support.client import sdk
from tests.support.dialects import refusal
from tests.support.gateway import Gateway, upstream_table
from tests.support.messenger import StrictMessenger
from tests.support.provider import Refusal, StrictProvider
from tests.support.rawhttp import Received, Reply, json_reply
from tests.support.responder import StrictResponder
from tests.support.signatures import blocks_of, state_of
from tests.support.talks import ChatTalk, MessagesTalk, ResponsesTalk, Talk, anthropic_sdk
from tests.support.turns import FIELD, Json

__all__ = ("ANTHROPIC", "AZURE", "CLIENTS", "MODELS", "UPSTREAMS", "ScriptedResponder", "Trio")

CLIENTS = ("chat", "responses", "messages")
MODELS = {"chat": "deepseek-v4-pro", "responses": "gpt-high", "messages": "claude-opus-4-8"}
"""By the format of the upstream that serves it."""

UPSTREAMS = tuple(MODELS)
AZURE: Json = {"api": "responses", "api_version": "preview", "api_keys": ["azure-key"]}
ANTHROPIC: Json = {"api": "messages", "auth": "x-api-key", "api_keys": ["sk-ant-good"]}
"""What a `config.toml` says of the upstreams' formats and keys."""

HIGH = {"from": "gpt-high", "to": "my-gpt-5", "effort": "high"}
ADAPTIVE = {"from": "think-adaptive", "to": "claude-opus-4-8", "effort": "high"}
BUDGET = {"from": "think-budget", "to": "claude-haiku-4-5", "effort": "high"}


class ScriptedResponder(StrictResponder):
    """A Responses upstream that can be told to refuse; `reset` as the other upstreams have it."""

    def __init__(self) -> None:
        super().__init__()
        self._maker = self.maker
        self._script: deque[Refusal] = deque()

    def script(self, *refusals: Refusal) -> None:
        """Give these to the next requests, one each, in order."""
        self._script.extend(refusals)

    def reset(self) -> None:
        """Forget rejections, the script and a test's own maker; ids are numbered by the
        bodies, which stay.
        """
        self.maker = self._maker
        self.rejections.clear()
        self._script.clear()

    async def _answer(self, request: Received) -> Reply:
        if not self._script:
            return await super()._answer(request)
        refused = self._script.popleft()
        return json_reply(refusal(refused.message), refused.status, refused.headers)


type Strict = StrictProvider | ScriptedResponder | StrictMessenger


class Trio:
    """The gateway, its user's key, and what stands behind it."""

    def __init__(
        self,
        stack: ExitStack,
        directory: Path,
        *,
        responses: ScriptedResponder | None = None,
        messages: StrictMessenger | None = None,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self.chat = stack.enter_context(StrictProvider())
        self.responses = stack.enter_context(responses or ScriptedResponder())
        self.messages = stack.enter_context(messages or StrictMessenger(interleaves=True))
        self.gateway = stack.enter_context(Gateway(directory, environment, config=self._config()))
        self.key = self.gateway.new_user("ada")
        self.openai = stack.enter_context(sdk(self.gateway.base_url, self.key))
        self.anthropic = stack.enter_context(anthropic_sdk(self.gateway.origin, self.key))

    def _config(self) -> str:
        thinking = {
            "models": ["claude-opus-4-8", "claude-haiku-4-5"],
            "model_rewrites": [ADAPTIVE, BUDGET],
        }
        tables = [
            upstream_table("chat", self.chat.base_url, models=["deepseek-v4-pro"]),
            upstream_table(
                "responses",
                self.responses.base_url,
                models=["my-gpt-5"],
                model_rewrites=[HIGH],
                **AZURE,
            ),
            upstream_table("messages", self.messages.base_url, **thinking, **ANTHROPIC),
        ]
        return "\n".join(tables)

    def reset(self) -> None:
        """Forget what was refused, and what was to be said next."""
        for upstream in (self.chat, self.responses, self.messages):
            upstream.reset()

    @property
    def rejections(self) -> list[Any]:
        """Everything that an upstream refused."""
        return [*self.chat.rejections, *self.responses.rejections, *self.messages.rejections]

    def bodies(self, upstream: str) -> list[Json]:
        """What an upstream was asked and has answered."""
        asked = self.upstream(upstream)
        return asked.bodies() if isinstance(asked, StrictProvider) else asked.bodies

    def upstream(self, name: str) -> Strict:
        """By its format."""
        found: dict[str, Strict] = {
            "chat": self.chat,
            "responses": self.responses,
            "messages": self.messages,
        }
        return found[name]

    def thoughts(self, upstream: str) -> int:
        """How many turns of the upstream's last request have their reasoning."""
        body = self.bodies(upstream)[-1]
        match upstream:
            case "chat":
                return sum(FIELD in message for message in body["messages"])
            case "responses":
                return sum(item.get("type") == "reasoning" for item in body["input"])
        return sum(
            any(map(state_of, blocks_of(message["content"]))) for message in body["messages"]
        )

    def talk(self, client: str, model: str, **settings: Any) -> Talk:
        """A new conversation in a client's format."""
        match client:
            case "chat":
                return ChatTalk(self.openai, model)
            case "responses":
                return ResponsesTalk(self.openai, model, **settings)
        return MessagesTalk(self.anthropic, model, **settings)
