"""With the reasoning shown in Cursor, providers get what they get without, byte for byte."""

from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import pytest
from openai import OpenAI

from tests.e2e.trio import AZURE
from tests.support.client import CLIENTS, CURSOR, Conversation, fetch, sdk
from tests.support.gateway import Gateway, eventually, upstream_table
from tests.support.provider import Refusal, StrictProvider
from tests.support.rawhttp import Received, Reply
from tests.support.responder import StrictResponder
from tests.support.turns import Json, Turn

TURNS = 12
STYLES = ("off", "details", "think")
HABITS = {name: CLIENTS[name] for name in ("cursor", "cursor-2025", "continue", "opencode")}
"""Those who send an empty text, or nothing in a list, where an answer has no words."""


class Summarising(StrictResponder):
    """Says in short what it thought, as OpenAI's models do."""

    def __init__(self) -> None:
        super().__init__()
        self.requests: list[Received] = []

    async def _answer(self, request: Received) -> Reply:
        self.requests.append(request)
        return await super()._answer(request)

    def _items(self, turn: Turn, custom: set[str]) -> list[Json]:
        first, *rest = super()._items(turn, custom)
        return [
            {
                **first,
                "summary": [{"type": "summary_text", "text": f"**In short**\n\n{turn.reasoning}"}],
            },
            *rest,
        ]


type Provider = StrictProvider | Summarising


class Place:
    """A gateway with three upstreams of each kind that answer alike, and a user for each."""

    def __init__(self, stack: ExitStack, gateway: Gateway, providers: dict[str, Provider]) -> None:
        self.gateway = gateway
        self.providers = providers
        self.clients: dict[str, OpenAI] = {}
        for name in providers:
            self.clients[name] = stack.enter_context(
                sdk(f"{gateway.origin}/cursor/v1", gateway.new_user(name))
            )


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    with ExitStack() as stack:
        providers: dict[str, Provider] = {}
        tables: list[str] = []
        for style in STYLES:
            for api, kind, own in (("chat", StrictProvider, {}), ("responses", Summarising, AZURE)):
                name = f"{api}-{style}"
                provider = providers[name] = stack.enter_context(kind())
                own = own | {
                    "models": [name],
                    "model_rewrites": [{"from": name, "to": "deepseek-v4-pro"}],
                }
                tables.append(
                    upstream_table(
                        name, provider.base_url, mirror=style, compact_signal=True, **own
                    )
                )
        gateway = stack.enter_context(
            Gateway(tmp_path_factory.mktemp("mirror"), config="\n".join(tables))
        )
        yield Place(stack, gateway, providers)


@pytest.mark.parametrize("habits", HABITS)
@pytest.mark.parametrize("kind", ["chat", "responses"])
def test_an_upstream_gets_the_same_bytes_whether_reasoning_is_shown_or_not(
    place: Place, kind: str, habits: str
) -> None:
    got: dict[str, list[bytes]] = {}
    for style in STYLES:
        name = f"{kind}-{style}"
        provider, talk = (
            place.providers[name],
            Conversation(place.clients[name], name, habits=HABITS[habits]),
        )
        before = len(provider.requests)
        for turn in range(TURNS):
            reply = talk.step(streamed=bool(turn % 4))
            shown = {"details": "<details>", "think": "<think>"}.get(style, "no")
            assert reply.text.startswith(shown) == bool(reply.reasoning and style != "off")
        assert provider.rejections == []
        got[style] = [request.body for request in provider.requests[before:]]
    assert len(got["off"]) == TURNS
    assert got["details"] == got["off"]
    assert got["think"] == got["off"]


@pytest.mark.parametrize("kind", ["chat", "responses"])
def test_the_role_comes_first_and_the_block_before_everything_else(place: Place, kind: str) -> None:
    with Conversation(
        place.clients[f"{kind}-details"], f"{kind}-details", marker="order"
    ).open() as stream:
        deltas = [choice.delta for chunk in stream for choice in chunk.choices]
    ours = [at for at, delta in enumerate(deltas) if delta.content and "thinkback" in delta.content]
    assert deltas[0].role == "assistant"
    assert len(ours) == 2
    assert not any(delta.tool_calls for delta in deltas[: ours[-1]])


def test_what_a_subagent_showed_is_cut_out_of_its_parents_results(place: Place) -> None:
    talk = Conversation(
        place.clients["chat-details"], "chat-details", marker="parent", habits=CURSOR
    )
    said = talk.step().text
    talk.messages.append(
        {"role": "user", "content": [{"type": "text", "text": f"The subagent said: {said}<end>"}]}
    )
    talk.ask()
    body = place.providers["chat-details"].requests[-1].body
    assert b"thinkback" not in body
    assert b"<end>" in body


def test_a_conversation_that_is_too_long_makes_cursor_summarise_and_costs_nothing(
    place: Place,
) -> None:
    gateway, key = place.gateway, place.gateway.new_user("long")
    provider = place.providers["chat-off"]
    assert isinstance(provider, StrictProvider)
    with sdk(gateway.base_url, key) as client:
        for streamed in (True, False):
            provider.script(Refusal(400, "This model's maximum context length is 65536 tokens."))
            assert (
                too_long(Conversation(client, "chat-off", marker="long"), streamed=streamed)
                == 1_000_000
            )

    def listed() -> list[Json]:
        answer = fetch(
            "GET", f"{gateway.origin}/api/my-requests", headers={"Authorization": f"Bearer {key}"}
        )
        return list(answer.json["items"])

    assert eventually(lambda: len(listed()) == 2)
    found = {
        (one["status"], one["error_class"], one["prompt_tokens"], one["completion_tokens"])
        for one in listed()
    }
    assert found == {(200, "context_overflow", 0, 0)}


def too_long(talk: Conversation, *, streamed: bool) -> int:
    """The prompt's tokens as told in an empty answer."""
    if not streamed:
        whole: Any = talk.client.chat.completions.create(
            model=talk.model, messages=[{"role": "user", "content": "hi"}]
        )
        assert (whole.choices[0].message.content, whole.choices[0].finish_reason) == ("", "stop")
        return int(whole.usage.prompt_tokens)
    with talk.open() as stream:
        *said, last = list(stream)
    assert [choice.delta.content for chunk in said for choice in chunk.choices] == [""]
    assert last.usage is not None
    return last.usage.prompt_tokens
