"""Responses clients over a chat upstream, and Cursor over Azure's Responses: no turn is
refused, nothing is lost.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from openai import OpenAI

from shared.store import open_engine
from tests.e2e.trio import AZURE
from tests.support.client import CLIENTS, Conversation, sdk
from tests.support.gateway import Gateway, Served, upstream_table
from tests.support.provider import StrictProvider
from tests.support.responder import StrictResponder

MODEL = "deepseek-v4-pro"
TURNS = 12
TOOLS: Any = [{"type": "function", "name": "Read", "parameters": {"type": "object"}}]
REWRITE = {"from_pattern": "^gpt-(low|high)$", "to_template": "my-gpt-5", "effort": "high"}


class ResponsesClient:
    """The openai SDK's Responses API in a tool conversation; `carries`: it sends its copies
    of the reasoning back.
    """

    def __init__(self, client: OpenAI, model: str, *, carries: bool) -> None:
        self._client = client
        self._model = model
        self._carries = carries
        self.items: Any = [{"role": "user", "content": "Fix the bug, please."}]

    def ask(self, *, streamed: bool) -> None:
        wanted: Any = {"model": self._model, "input": self.items, "tools": TOOLS, "store": False}
        if self._carries:
            wanted["include"] = ["reasoning.encrypted_content"]
        if streamed:
            with self._client.responses.stream(**wanted) as stream:
                response = stream.get_final_response()
        else:
            response = self._client.responses.create(**wanted)
        assert response.status == "completed"
        calls = [item for item in response.output if item.type == "function_call"]
        kept = [item for item in response.output if self._carries or item.type != "reasoning"]
        self.items += [item.to_dict() for item in kept]
        self.items += [
            {"type": "function_call_output", "call_id": call.call_id, "output": "fine"}
            for call in calls
        ]
        if not calls:
            self.items.append({"role": "user", "content": "Go on."})


@pytest.mark.parametrize("carries", [True, False], ids=["carrying", "dropping"])
def test_a_responses_conversation_runs_over_a_strict_chat_upstream(
    client: OpenAI, provider: StrictProvider, carries: bool
) -> None:
    talk = ResponsesClient(client, MODEL, carries=carries)
    for turn in range(TURNS):
        talk.ask(streamed=bool(turn % 2))
    assert provider.rejections == []
    assert len(provider.bodies()) == TURNS


def test_a_client_that_carries_its_reasoning_needs_no_table(fresh: Served[StrictProvider]) -> None:
    gateway, provider = fresh
    # The upstream's own ids are in the table only: without it calls go by those that the
    # client has.
    provider.ledger.any_ids = True
    with sdk(gateway.base_url, gateway.new_user("ada")) as client:
        talk = ResponsesClient(client, MODEL, carries=True)
        for turn in range(4):
            if turn:
                gateway.kill()
                empty(gateway.directory)
                gateway.start()
            talk.ask(streamed=bool(turn % 2))
    assert provider.rejections == []


def empty(directory: Path) -> None:
    engine = open_engine(f"sqlite:{directory}/adapter.db")
    engine.transact(lambda work: work.run("DELETE FROM recall_turns"), alone=())
    engine.close()


@pytest.fixture(scope="module")
def azure(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served[StrictResponder]]:
    with StrictResponder() as responder:
        config = upstream_table("azure", responder.base_url, model_rewrites=[REWRITE], **AZURE)
        with Gateway(tmp_path_factory.mktemp("azure"), config=config) as gateway:
            yield Served(gateway, responder)


@pytest.fixture(scope="module")
def cursor_key(azure: Served[StrictResponder]) -> str:
    return azure.gateway.new_user("ada")


@pytest.mark.parametrize("habits", CLIENTS.values(), ids=CLIENTS)
def test_cursors_chat_runs_over_azures_responses_with_its_reasoning_restored(
    azure: Served[StrictResponder], cursor_key: str, habits: Any
) -> None:
    gateway, responder = azure
    before = len(responder.bodies)
    with sdk(f"{gateway.origin}/cursor/v1", cursor_key) as client:
        talk = Conversation(client, "gpt-high", habits=habits)
        for turn in range(TURNS):
            assert talk.ask(streamed=bool(turn % 2)).models == {"gpt-high"}
    assert responder.rejections == []
    asked = responder.bodies[before:]
    assert {(body["model"], body["reasoning"]["effort"]) for body in asked} == {
        ("my-gpt-5", "high")
    }
    assert len(asked) == TURNS


def test_a_responses_client_speaks_to_azure_too(azure: Served[StrictResponder]) -> None:
    gateway, responder = azure
    with sdk(gateway.base_url, gateway.new_user("codex")) as client:
        talk = ResponsesClient(client, "gpt-high", carries=True)
        for turn in range(TURNS):
            talk.ask(streamed=bool(turn % 2))
    assert responder.rejections == []
