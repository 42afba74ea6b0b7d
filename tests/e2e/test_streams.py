"""What a client sees of a stream."""

import pytest
from openai import OpenAI

from tests.e2e.estate import Estate
from tests.support.client import Conversation, Raw, post
from tests.support.faults import held
from tests.support.gateway import Gateway
from tests.support.provider import Answer, StrictProvider
from tests.support.rawhttp import Gate

CHAT = "/v1/chat/completions"
ASK = b'{"model":"deepseek-v4-pro","messages":[{"role":"user","content":"hi"}],"stream":true%b}'
both_ways = pytest.mark.parametrize("streamed", [True, False], ids=["streamed", "plain"])


@both_ways
@pytest.mark.parametrize(
    ("requested", "upstream_model"),
    [("gpt-5.3-codex", "deepseek-v4-pro"), ("team/v4-flash", "deepseek-v4-flash")],
)
def test_a_rewritten_model_is_called_by_the_requested_name_on_the_way_back(
    estate: Estate, requested: str, upstream_model: str, streamed: bool
) -> None:
    reply = Conversation(estate.client, requested).ask(streamed=streamed)
    assert reply.models == {requested}
    request = estate.providers["rewriting"].bodies()[0]
    assert request["model"] == upstream_model
    assert (
        estate.providers["rewriting"].requests[0].target == "/compatible-mode/v1/chat/completions"
    )


def usage_frames(answer: Raw) -> list[bytes]:
    return [line for line in answer.body.split(b"\n") if b'"usage":{' in line]


def test_usage_is_asked_for_and_kept_from_a_client_that_did_not_ask(
    gateway: Gateway, provider: StrictProvider, key: str
) -> None:
    answer = post(gateway.origin, CHAT, ASK % b"", key=key)
    assert not usage_frames(answer)
    assert b'"choices":[]' not in answer.body
    assert provider.bodies()[0]["stream_options"] == {"include_usage": True}


def test_usage_reaches_a_client_that_asked(
    gateway: Gateway, provider: StrictProvider, key: str
) -> None:
    answer = post(gateway.origin, CHAT, ASK % b',"stream_options":{"include_usage":true}', key=key)
    assert len(usage_frames(answer)) == 1


def test_a_stream_ends_with_done_and_nothing_after(
    gateway: Gateway, provider: StrictProvider, key: str
) -> None:
    answer = post(gateway.origin, CHAT, ASK % b"", key=key)
    assert answer.headers["content-type"].startswith("text/event-stream")
    assert answer.body.endswith(b"data: [DONE]\n\n")
    assert answer.body.count(b"\ndata: [DONE]\n\n") == 1


def test_every_chunk_is_forwarded_when_it_comes(client: OpenAI, provider: StrictProvider) -> None:
    gates = [Gate() for _ in range(3)]
    faults = [held(gate, before=2 * at + 1) for at, gate in enumerate(gates)]
    provider.script(Answer(fault=lambda reply: faults[2](faults[1](faults[0](reply)))))
    with Conversation(client, "deepseek-v4-pro").open() as stream:
        for gate in gates:
            assert next(stream).choices
            assert gate.reached.wait(30)
            gate.open()
        assert list(stream)


def test_one_connection_serves_twenty_requests(client: OpenAI, provider: StrictProvider) -> None:
    for turn in range(20):
        assert Conversation(client, "deepseek-v4-pro").ask(streamed=turn % 2 == 0).finish_reason
    assert len(provider.requests) == 20
