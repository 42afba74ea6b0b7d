"""Behind each proxy of deploy/, a client notices nothing of it."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from openai import OpenAI

from tests.deploy.proxies import PROXIES, Proxy, installed
from tests.support.client import Conversation
from tests.support.faults import held
from tests.support.gateway import Gateway, Served, eventually, upstream_environment
from tests.support.provider import Answer, StrictProvider
from tests.support.rawhttp import Gate

MODEL = "deepseek-v4-pro"
CLIENT = "127.0.0.9"


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served[StrictProvider]]:
    directory = tmp_path_factory.mktemp("gateway")
    with (
        StrictProvider() as provider,
        Gateway(directory, upstream_environment(provider.base_url)) as gateway,
    ):
        yield Served(gateway, provider)


@pytest.fixture(scope="module")
def key(served: Served[StrictProvider]) -> str:
    return served.gateway.new_user("ada")


@pytest.fixture(params=PROXIES)
def proxy(
    request: pytest.FixtureRequest, tmp_path: Path, served: Served[StrictProvider]
) -> Iterator[Proxy]:
    if not installed(request.param):
        pytest.skip(f"{request.param} is not installed")
    proxy = Proxy(request.param, tmp_path, served.gateway.port)
    proxy.check()
    with proxy:
        yield proxy


def test_a_conversation_streams_through_it_and_a_long_one_fits(
    proxy: Proxy, served: Served[StrictProvider], key: str
) -> None:
    gateway, provider = served
    gate = Gate()
    provider.script(Answer(fault=held(gate, before=1)))
    with proxy.client(CLIENT) as http:
        client = OpenAI(base_url=f"{proxy.origin}/v1", api_key=key, http_client=http, max_retries=0)
        conversation = Conversation(client, MODEL, marker=proxy.origin)
        with conversation.open() as stream:
            assert next(stream).choices, "nothing comes before the whole answer is there"
            assert gate.reached.wait(10)
            gate.open()
            assert list(stream)
        conversation.run(3)
        assert not conversation.crossed(provider.requests)

        long = {"model": MODEL, "messages": [{"role": "user", "content": "x" * 30_000_000}]}
        answer = http.post(
            f"{proxy.origin}/v1/chat/completions",
            content=json.dumps(long),
            headers={"Authorization": f"Bearer {key}", "Content-Type": "application/json"},
        )
        assert answer.status_code == 200, answer.text[:300]
    assert not provider.rejections
    assert eventually(lambda: f"{CLIENT} " in gateway.log), "the log has the proxy's own address"
