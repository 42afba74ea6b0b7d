"""What the doctor asks through the gateway is answered to its tokens alone."""

import json
from typing import Any

import pytest
from litestar import Litestar
from litestar.testing import AsyncTestClient

from shared.doctor import issue_token
from tests.manage_api.world import FromPeer, ManualClock, Person, bearer

type Client = AsyncTestClient[FromPeer]

CHAT = "/doctor/v1/chat/completions"


@pytest.fixture
def token(client: Client, app: Litestar, clock: ManualClock) -> str:
    return issue_token(app.state.sidecar.secret, now=clock.now_ms() // 1000)


def body(*messages: dict[str, Any]) -> dict[str, Any]:
    tools = [{"type": "function", "function": {"name": "Read"}}]
    return {"model": "m", "stream": True, "messages": [*messages], "tools": tools}


async def test_the_stand_in_streams_a_turn_that_calls_a_tool(client: Client, token: str) -> None:
    user = {"role": "user", "content": "Go."}
    answer = await client.post(CHAT, json=body(user), headers=bearer(token))

    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/event-stream")
    assert '"name":"Read"' in answer.text
    assert answer.text.endswith("data: [DONE]\n\n")


async def test_it_refuses_a_turn_without_its_reasoning_as_deepseek_does(
    client: Client, token: str
) -> None:
    turn = {"role": "assistant", "content": "Hi."}
    answer = await client.post(CHAT, json=body(turn), headers=bearer(token))

    assert answer.status_code == 400
    assert "must be passed back to the API" in json.loads(answer.text)["error"]["message"]


async def test_others_find_nothing_there(
    client: Client, token: str, admin_session: str, ada: Person, clock: ManualClock
) -> None:
    clock.seconds += 600
    for credential in (token, admin_session, ada.key):
        answer = await client.post(CHAT, json=body(), headers=bearer(credential))
        assert answer.status_code == 404
    assert (await client.get("/doctor/stream")).status_code == 404
