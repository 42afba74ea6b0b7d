"""A caller's limits hold at every endpoint that is work, and what a request holds is given
back however it ends.
"""

import http.client
import json
from collections.abc import Iterator
from contextlib import closing

import pytest

from shared.store import open_engine
from tests.support.client import Raw, fetch, post
from tests.support.gateway import Gateway, eventually
from tests.support.rawhttp import Gate, Loopback, Received, Reply

COUNT = "/v1/messages/count_tokens"
ASKED = json.dumps({"model": "claude-x", "messages": [{"role": "user", "content": "hi"}]}).encode()
CONFIG = """
[[upstreams]]
name = "claude"
base_url = "{base_url}"
api = "messages"
api_keys = ["sk-up"]
"""


class SlowCounter(Loopback):
    """A Messages upstream that counts when it is let go on."""

    def __init__(self) -> None:
        super().__init__()
        self.gates: list[Gate] = []

    async def _answer(self, request: Received) -> Reply:
        body = b'{"input_tokens": 7}'
        gate = [self.gates.pop(0)] if self.gates else []
        return Reply(
            headers=[("content-type", "application/json")], pieces=[body[:5], *gate, body[5:]]
        )


@pytest.fixture(scope="module")
def upstream() -> Iterator[SlowCounter]:
    with SlowCounter() as running:
        yield running


@pytest.fixture(scope="module")
def gateway(upstream: SlowCounter, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    config = CONFIG.format(base_url=upstream.base_url)
    with Gateway(tmp_path_factory.mktemp("limits"), config=config) as running:
        yield running


def limited(gateway: Gateway, username: str, **limits: int) -> str:
    """The key of a new user with these limits."""
    key = gateway.new_user(username)
    with closing(open_engine(f"sqlite:{gateway.directory}/adapter.db")) as engine:
        for name, limit in limits.items():
            sql = f"UPDATE users SET {name} = :limit WHERE username = :username"
            given = {"limit": limit, "username": username}
            engine.transact(lambda work, sql=sql, given=given: work.run(sql, given), alone=())
    return key


def kind(answer: Raw) -> str:
    return str(json.loads(answer.body)["error"]["type"])


def test_a_question_that_its_client_leaves_makes_room_for_the_next(
    gateway: Gateway, upstream: SlowCounter
) -> None:
    key, gate = limited(gateway, "ada", concurrency=1), Gate()
    upstream.gates = [gate]
    leaving = http.client.HTTPConnection("127.0.0.1", gateway.port, timeout=30)
    leaving.request(
        "POST", COUNT, ASKED, {"authorization": f"Bearer {key}", "content-type": "application/json"}
    )
    assert gate.reached.wait(30)
    refused = post(gateway.origin, COUNT, ASKED, key=key)
    assert (refused.status, kind(refused), refused.headers["retry-after"]) == (
        429,
        "rate_limit_error",
        "2",
    )
    leaving.close()
    assert eventually(lambda: post(gateway.origin, COUNT, ASKED, key=key).status == 200)
    for body in (ASKED, b"{", ASKED):
        post(gateway.origin, COUNT, body, key=key)
    assert post(gateway.origin, COUNT, ASKED, key=key).status == 200


def test_every_endpoint_counts_for_the_same_minute(gateway: Gateway) -> None:
    key = limited(gateway, "grace", rpm=4)
    named = {"authorization": f"Bearer {key}"}
    seen = [
        fetch("GET", f"{gateway.base_url}/models", headers=named).status,
        fetch("GET", f"{gateway.base_url}/responses/resp_0", headers=named).status,
        post(gateway.origin, COUNT, ASKED, key=key).status,
        post(gateway.origin, "/v1/chat/completions", b"{", key=key).status,
    ]
    assert seen == [200, 404, 200, 400]
    refused = [
        fetch("GET", f"{gateway.base_url}/models", headers=named),
        fetch("DELETE", f"{gateway.base_url}/responses/resp_0", headers=named),
        post(gateway.origin, COUNT, ASKED, key=key),
        post(gateway.origin, "/v1/chat/completions", ASKED, key=key),
    ]
    assert [answer.status for answer in refused] == [429] * 4
    assert all(1 <= int(answer.headers["retry-after"]) <= 15 for answer in refused)
