"""Upstreams that are asked by mitmproxy's own connections: clients see the same, byte for byte,
whatever an upstream does.
"""

import http.client
import itertools
import json
import re
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from tests.support.client import Conversation, sdk
from tests.support.faults import FAULTS, Fault, FaultCase
from tests.support.gateway import Gateway, upstream_environment
from tests.support.provider import Answer, StrictProvider
from tests.support.rawhttp import Reply, json_reply
from tests.support.turns import Call, Turn

MODEL = "deepseek-v4-pro"
PLAIN = {"THINKBACK_PLAIN_PATH": "1"}
BODIES = {
    "chat": (
        "/v1/chat/completions",
        {
            "messages": [{"role": "user", "content": "hi"}],
            "stream_options": {"include_usage": True},
        },
    ),
    "messages": (
        "/v1/messages",
        {"messages": [{"role": "user", "content": "hi"}], "max_tokens": 900},
    ),
    "responses": ("/v1/responses", {"input": "hi", "store": False}),
}
TURN = Turn(
    reasoning="weighing it – 思考",
    text="Grüße – 思考 🧠, and so on and on and on.",
    calls=(Call("call_7", "Read", '{"path":"a"}'),),
)
OF_THE_REQUEST = re.compile(
    rb"call_[0-9A-Za-z]{26}|(?<=[_\"])[0-9a-f]{24}|\"created(?:_at)?\":\d+|(?<=\")[\w+/=-]{80,}(?=\")"
)
"""Minted ids, the exchange's id and time, and seals."""


class Said:
    """What a client is sent, but for what differs with each request."""

    def __init__(self, gateway: Gateway, key: str, wire_format: str, *, streamed: bool) -> None:
        path, body = BODIES[wire_format]
        sent = {"model": MODEL, "stream": streamed} | body
        if not streamed:
            sent.pop("stream_options", None)
        line = http.client.HTTPConnection("127.0.0.1", gateway.port, timeout=30)
        headers = {"authorization": f"Bearer {key}", "content-type": "application/json"}
        line.request("POST", path, json.dumps(sent), headers)
        answer = line.getresponse()
        self.status, self.whole = answer.status, True
        self.headers = {
            name: text for name, text in answer.getheaders() if name != "x-thinkback-exchange"
        }
        try:
            body_bytes = answer.read()
        except http.client.IncompleteRead as cut:
            body_bytes, self.whole = cut.partial, False
        self.body = OF_THE_REQUEST.sub(b"", body_bytes)
        line.close()
        self.headers.pop("content-length", None)


type Both = list[tuple[Gateway, str]]


@pytest.fixture(scope="module")
def both(strict: StrictProvider, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Both]:
    """A gateway with connections of its own, and one that leaves them to mitmproxy."""
    with ExitStack() as stack:
        environment = upstream_environment(strict.base_url)
        started = [
            stack.enter_context(Gateway(tmp_path_factory.mktemp("path"), environment | more))
            for more in ({}, PLAIN)
        ]
        yield [(gateway, gateway.new_user("ada")) for gateway in started]


def seen(
    both: Both, provider: StrictProvider, fault: Fault, wire_format: str, *, streamed: bool
) -> list[dict[str, object]]:
    """What each of the gateways' clients sees when the upstream says the same to both."""
    replies: list[Reply] = []
    found = []
    for gateway, key in both:
        numbers = itertools.count()

        def same(reply: Reply, numbers: Iterator[int] = numbers) -> Reply:
            if (number := next(numbers)) == len(replies):
                replies.append(reply)
            return fault(replies[number])

        provider.reset()
        answer = Answer(turn=TURN, fault=same)
        provider.script(answer, answer)  # a second one where it is asked again
        found.append(vars(Said(gateway, key, wire_format, streamed=streamed)))
    return found


@pytest.mark.parametrize("wire_format", BODIES)
@pytest.mark.parametrize("case", FAULTS, ids=str)
def test_a_client_is_sent_the_same(
    both: Both, provider: StrictProvider, case: FaultCase, wire_format: str
) -> None:
    ours, plain = seen(both, provider, case.apply, wire_format, streamed=case.streamed)
    assert ours == plain


@pytest.mark.parametrize("status", [400, 401, 402, 404, 413, 429, 500, 503])
def test_a_refusal_is_told_in_the_same_words(
    both: Both, provider: StrictProvider, status: int
) -> None:
    def refuse(_: Reply) -> Reply:
        return json_reply(b'{"error":{"message":"no, not now"}}', status=status)

    ours, plain = seen(both, provider, refuse, "chat", streamed=True)
    assert ours == plain


def test_a_conversation_runs_on_mitmproxy_s_connections(
    both: Both, provider: StrictProvider
) -> None:
    gateway, key = both[1]
    with sdk(gateway.base_url, key) as client:
        conversation = Conversation(client, MODEL, marker="plain")
        conversation.run(4)
        conversation.run(2, streamed=False)
    assert not provider.rejections
    assert not conversation.crossed(provider.requests)
