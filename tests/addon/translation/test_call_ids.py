"""Ids of calls reach each upstream as it takes them, the same ones each time."""

import json
import re
from typing import Any

import pytest

from addon.formats.neutral.request import WireFormat
from addon.formats.translate import CLIENTS
from tests.addon.desk import MODEL, Desk, open_exchange, upstream
from tests.addon.translation.clients import CALLED, PATHS, asking

LONG = "call_" + "0123456789" * 10
MISTRAL = {"base_url": "https://api.mistral.ai", "models": (MODEL,)}
OPENAI = {"base_url": "https://api.openai.com", "models": (MODEL,)}


def ids(desk: Desk, client: WireFormat, call_id: str, **settings: Any) -> tuple[str, str]:
    """The ids that the upstream gets of a call and its result."""
    desk.upstreams = (upstream(**settings),)
    body = asking(client, CALLED, call_id=call_id)
    exchange = open_exchange(desk.intake(path=PATHS[client]), json.dumps(body).encode())
    found = CLIENTS[desk.upstreams[0].api].decode(exchange.outgoing.body).messages
    return found[1].calls[0].id, found[2].result_of


@pytest.mark.parametrize("client", PATHS)
def test_mistral_gets_nine_letters_and_digits(desk: Desk, client: WireFormat) -> None:
    call, result = ids(desk, client, "call_1", **MISTRAL)
    assert re.fullmatch("[A-Za-z0-9]{9}", call)
    assert call == result
    assert ids(desk, client, "call_1", **MISTRAL) == (call, call)
    assert ids(desk, client, "call_2", **MISTRAL) != (call, call)
    assert ids(desk, client, "D681PevKs", **MISTRAL) == ("D681PevKs", "D681PevKs")


@pytest.mark.parametrize("client", PATHS)
@pytest.mark.parametrize(
    ("settings", "longest"), [(OPENAI, 40), (OPENAI | {"api": "responses"}, 64)], ids=["40", "64"]
)
def test_openai_gets_no_id_that_is_too_long(
    desk: Desk, client: WireFormat, settings: dict[str, Any], longest: int
) -> None:
    call, result = ids(desk, client, LONG, **settings)
    assert (len(call), call) == (longest, result)
    assert ids(desk, client, LONG + "x", **settings) != (call, call)
    fits = LONG[:longest]
    assert ids(desk, client, fits, **settings) == (fits, fits)


@pytest.mark.parametrize("client", PATHS)
@pytest.mark.parametrize("api", ["chat", "messages"])
def test_others_get_the_ids_as_they_are(desk: Desk, client: WireFormat, api: WireFormat) -> None:
    assert ids(desk, client, LONG, api=api) == (LONG, LONG)


def test_an_upstreams_own_id_goes_back_as_it_came(desk: Desk) -> None:
    desk.upstreams = (upstream(**MISTRAL),)
    messages = [{"role": "user", "content": "hi"}]
    call = {"id": "D681PevKs", "type": "function", "function": {"name": "Read", "arguments": "{}"}}
    message = {"role": "assistant", "content": "", "tool_calls": [call]}
    choice = {"index": 0, "message": message, "finish_reason": "tool_calls"}
    answer = json.dumps({"model": MODEL, "choices": [choice]}).encode()
    verdict = desk.open(messages).whole(200, {"content-type": "application/json"}, answer)
    said = json.loads(verdict.body)["choices"][0]["message"]  # type: ignore[union-attr]
    result = {"role": "tool", "tool_call_id": said["tool_calls"][0]["id"], "content": "fine"}
    sent = json.loads(desk.open([*messages, said, result]).outgoing.body)["messages"]
    assert said["tool_calls"][0]["id"] != "D681PevKs"
    assert sent[1]["tool_calls"][0]["id"] == sent[2]["tool_call_id"] == "D681PevKs"
