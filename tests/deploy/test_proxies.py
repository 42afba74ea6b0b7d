"""Behind each proxy of deploy/, a client notices nothing of it."""

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from openai import OpenAI

from tests.deploy.proxies import PROXIES, Proxy, installed
from tests.support.client import Conversation
from tests.support.faults import held
from tests.support.gateway import THINKBACK, Gateway, Served, eventually, upstream_environment
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


OF_THE_MACHINE = ("disk", "root")
"""What is found where tests run in a container: not what is tested."""


def test_the_doctor_finds_nothing_there(proxy: Proxy, served: Served[StrictProvider]) -> None:
    gateway = served.gateway
    done = subprocess.run(
        [THINKBACK, "doctor", "--json", "--connect-to", "127.0.0.1"],
        cwd=gateway.directory,
        env=gateway.environment
        | {"PUBLIC_URL": proxy.public_url, "SSL_CERT_FILE": str(proxy.authority)},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    found = [json.loads(line) for line in done.stdout.splitlines()]
    wrong = [each for each in found if each["verdict"] != "ok"]
    assert [each for each in wrong if each["check"] not in OF_THE_MACHINE] == []
    assert {"TLS", "body size", "streaming by GET", "Cursor Plan"} <= {
        each["check"] for each in found
    }
    assert done.returncode == 0, done.stderr


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
            assert gate.reached.wait(30)
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
