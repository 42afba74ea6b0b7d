"""Over a database across a network whole conversations go on, and nothing stops the loop: what a
request reads it waits for, while others go on.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any

import pytest
from mitmproxy.addons.proxyserver import Proxyserver
from mitmproxy.test import taddons

from addon.edge.lifecycle import Lifecycle
from addon.edge.llm_stream import HELD_RETRY_SECONDS
from addon.formats.wire.pace import worked
from shared.clock import Clock
from shared.security import keys
from shared.store import open_engine
from shared.store.virtual_keys import find_key, revoke_key
from tests.addon.edge.line import END, SSE, Line, chunk, request
from tests.addon.edge.scene import Scene
from tests.support.grammar import read_chat, read_messages, read_responses
from tests.support.postgres import empty_database, wipe
from tests.support.remote import RemoteEngine
from tests.support.turns import Call, Turn, completion, events

type Json = dict[str, Any]

CALLING = Turn(reasoning="I must look", calls=(Call("call_1", "Read", '{"path":"a.py"}'),))
SAYING = Turn(reasoning="It is a file", text="It is a file of Python, and a short one.")
STREAMED = pytest.mark.parametrize("stream", [True, False], ids=["streamed", "whole"])


class Client:
    """A conversation in one format, without the reasoning that came: it is for the gateway to know."""

    path = "/v1/chat/completions"

    def __init__(self) -> None:
        self.said: list[Json] = [{"role": "user", "content": "What is a.py?"}]

    def body(self) -> Json:
        return {
            "messages": self.said,
            "tools": [{"type": "function", "function": {"name": "Read"}}],
        }

    def hear(self, body: bytes, *, stream: bool) -> None:
        if stream:
            [heard] = read_chat(body)[0].values()
            message: Json = {"role": "assistant", "content": heard.text}
            if heard.calls:
                message["tool_calls"] = [
                    {"id": one.pop("id"), "type": "function", "function": one}
                    for one in heard.calls
                ]
        else:
            message = json.loads(body)["choices"][0]["message"]
        message.pop("reasoning_content", None)
        self.said.append(message)

    def tell_result(self) -> None:
        [call] = self.said[-1]["tool_calls"]
        self.said.append({"role": "tool", "tool_call_id": call["id"], "content": "import this"})

    def go_on(self) -> None:
        self.said.append({"role": "user", "content": "And then?"})


class ResponsesClient(Client):
    """One that says only what is new, and by which answer it goes on."""

    path = "/v1/responses"
    last = ""

    def body(self) -> Json:
        tools = [{"type": "function", "name": "Read", "parameters": {"type": "object"}}]
        return {"input": self.said, "tools": tools, "previous_response_id": self.last or None}

    def hear(self, body: bytes, *, stream: bool) -> None:
        response = read_responses(body) if stream else json.loads(body)
        self.last, self.said = response["id"], response["output"]

    def tell_result(self) -> None:
        [call] = [item for item in self.said if item["type"] == "function_call"]
        output = {
            "type": "function_call_output",
            "call_id": call["call_id"],
            "output": "import this",
        }
        self.said = [output]

    def go_on(self) -> None:
        self.said = [{"role": "user", "content": "And then?"}]


class MessagesClient(Client):
    path = "/v1/messages"

    def body(self) -> Json:
        tools = [{"name": "Read", "input_schema": {"type": "object"}}]
        return {"messages": self.said, "tools": tools, "max_tokens": 100}

    def hear(self, body: bytes, *, stream: bool) -> None:
        message = read_messages(body) if stream else json.loads(body)
        content = [block for block in message["content"] if block["type"] != "thinking"]
        self.said.append({"role": "assistant", "content": content})

    def tell_result(self) -> None:
        [call] = [block for block in self.said[-1]["content"] if block["type"] == "tool_use"]
        result = {"type": "tool_result", "tool_use_id": call["id"], "content": "import this"}
        self.said.append({"role": "user", "content": [result]})


@pytest.fixture
def scene(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Scene]:
    """A gateway over a database that seems to be across a network, or over PostgreSQL."""

    def open_store(url: str, clock: Clock) -> RemoteEngine:
        if getattr(request, "param", "") != "postgresql":
            return RemoteEngine(open_engine(url, clock))
        wipe(empty_database())
        return RemoteEngine(open_engine(empty_database()))

    with taddons.context(Proxyserver()) as tctx:
        tctx.options.update(validate_inbound_headers=True, keep_host_header=True)
        made = Scene(tmp_path, tctx.options, open_store=open_store)
        made.node.engine.serves = True
        yield made
        made.node.engine.close()
        if getattr(request, "param", "") == "postgresql":
            wipe(empty_database())


def told(scene: Scene, client: Client, turn: Turn, *, stream: bool) -> Json:
    """What the upstream was asked when the client's request was answered by the turn."""
    line = scene.line()
    body = json.dumps({"model": "m", "stream": stream, **client.body()}).encode()
    head = f"POST {client.path} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {scene.key}\r\n"
    line.says(f"{head}content-length: {len(body)}\r\n\r\n".encode() + body)
    asked: Json = json.loads(bytes(line.sent[line.upstream]).partition(b"\r\n\r\n")[2])
    if asked.get("stream"):
        said = b"".join(map(chunk, events(turn, "m", Random(1))))
        line.upstream_says(SSE + said + END)
    else:
        said = completion(turn, "m")
        line.upstream_says(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % len(said) + said)
    answer = ended(scene, line)
    client.hear(answer, stream=stream)
    return asked


def ended(scene: Scene, line: Line) -> bytes:
    """The body of the answer, once all of it is stored."""
    scene.node.engine.flush()
    line.fire_within(HELD_RETRY_SECONDS)
    head, _, body = line.answer.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200 ")
    if b"transfer-encoding: chunked" not in head:
        return body
    assert body.endswith(END)
    pieces = body.split(b"\r\n")
    return b"".join(pieces[1::2])


@STREAMED
@pytest.mark.parametrize("scene", ["sqlite", "postgresql"], indirect=True)
@pytest.mark.parametrize("kind", [Client, ResponsesClient, MessagesClient])
def test_a_conversation_gets_its_reasoning_back_and_never_stops_the_loop(
    scene: Scene, kind: type[Client], *, stream: bool
) -> None:
    client = kind()
    told(scene, client, CALLING, stream=stream)
    client.tell_result()
    told(scene, client, SAYING, stream=stream)
    client.go_on()
    asked = told(scene, client, SAYING, stream=stream)
    thoughts = [one.get("reasoning_content") for one in asked["messages"]]
    assert [one for one in thoughts if one] == [CALLING.reasoning, SAYING.reasoning]
    rows = scene.node.engine.beside.read("SELECT status, prompt_tokens FROM ledger")
    assert len(rows) == 3


def asked_of(scene: Scene) -> list[str]:
    """What has been waited for since this was last asked."""
    engine: RemoteEngine = scene.node.engine._engine
    asked, engine.fetched = engine.fetched, []
    return asked


def test_a_caller_is_looked_up_once_until_an_account_or_key_changes(scene: Scene) -> None:
    client = Client()
    told(scene, client, SAYING, stream=True)
    assert any("virtual_keys" in sql for sql in asked_of(scene))
    client.go_on()
    told(scene, client, SAYING, stream=True)
    assert not any("virtual_keys" in sql for sql in asked_of(scene))


def test_a_key_that_is_revoked_works_until_that_is_noticed(scene: Scene) -> None:
    client, beside = Client(), scene.node.engine.beside
    told(scene, client, SAYING, stream=True)
    key, _ = find_key(beside, keys.digest(scene.key))
    revoke_key(beside, key.id, now=2)
    client.go_on()
    told(scene, client, SAYING, stream=True)
    scene.node.engine._engine.look()
    line = scene.line()
    line.says(request(scene.key))
    assert line.answer.startswith(b"HTTP/1.1 401 ")


def test_a_request_asks_once_for_all_that_it_may_need_of_what_is_remembered(scene: Scene) -> None:
    client = Client()
    told(scene, client, CALLING, stream=True)
    client.tell_result()
    told(scene, client, SAYING, stream=True)
    client.go_on()
    asked_of(scene)
    told(scene, client, SAYING, stream=True)
    assert [sql for sql in asked_of(scene) if "recall_" in sql and "changed_at" not in sql][
        1:
    ] == []


async def test_the_work_of_each_second_waits_too(scene: Scene) -> None:
    scene.clock.seconds += 60
    await worked(scene.node.each_second, scene.clock.monotonic)
    [(seen,)] = scene.node.engine.beside.read("SELECT seen_at FROM nodes")
    assert seen == scene.clock.now_ms()


def test_a_client_that_leaves_while_its_request_waits_ends_it(scene: Scene) -> None:
    line = scene.line(holds=True)
    line.says(request(scene.key))
    line.closes(line.client)
    while line.release():
        pass
    assert (line.requests, line.upstreams) == (0, [])


@pytest.mark.parametrize("kind", [Client, ResponsesClient, MessagesClient])
@pytest.mark.parametrize("lost", ["at the head", "at the body", "at neither"])
def test_while_the_database_is_lost_clients_are_asked_to_come_again(
    scene: Scene, kind: type[Client], lost: str, caplog: pytest.LogCaptureFixture
) -> None:
    client, line, engine = kind(), scene.line(), scene.node.engine._engine
    body = json.dumps({"model": "m", **client.body()}).encode()
    head = f"POST {client.path} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {scene.key}\r\n"
    engine.lost = lost == "at the head"
    line.says(f"{head}content-length: {len(body)}\r\n\r\n".encode())
    engine.lost = lost != "at neither"
    line.says(body)
    if lost == "at neither":
        assert line.upstreams
        return
    assert not line.upstreams
    answer = line.answer.lower()
    assert answer.startswith(b"http/1.1 503 ")
    assert b"\r\nretry-after: 2\r\n" in answer
    assert b"can't reach its database" in answer
    assert not [record for record in caplog.records if record.exc_info]


async def test_the_work_of_each_second_waits_for_a_lost_database_without_a_word(
    scene: Scene, caplog: pytest.LogCaptureFixture
) -> None:
    lifecycle = scene.gateway.addons[0]
    assert isinstance(lifecycle, Lifecycle)
    scene.clock.seconds += 60
    scene.node.engine._engine.lost = True
    await lifecycle.tend_node()
    scene.node.engine._engine.lost = False
    scene.clock.seconds += 60
    await lifecycle.tend_node()
    [(seen,)] = scene.node.engine.beside.read("SELECT seen_at FROM nodes")
    assert seen == scene.clock.now_ms()
    assert not [record for record in caplog.records if record.exc_info]
