"""What must reach the upstream byte for byte."""

import json

import pytest

from tests.e2e.estate import Estate
from tests.support.client import post
from tests.support.gateway import Gateway
from tests.support.provider import Answer, StrictProvider
from tests.support.turns import FIELD, Call, Turn

CHAT = "/v1/chat/completions"
ODD_MESSAGE = '{ "content" : [ {"text":"\\u0041\\ud83e é 🧠", "type":"text", "x_new": 1.0e+2} ],\n "role":"user" }'
TOOLS = '[{"type":"function","function":{"name":"Read","parameters":{"type":"object"}}}]'
ODD_FIELDS = (
    '"temperature":1.00,"big":123456789012345678901234567890.10,"x_unknown":{"b": 1,"a":[ ]}'
)


@pytest.mark.parametrize(
    "stream", ["false", 'true,"stream_options" : {"include_usage":true}'], ids=["plain", "streamed"]
)
def test_a_body_that_needs_no_change_is_forwarded_as_it_is(
    gateway: Gateway, provider: StrictProvider, key: str, stream: str
) -> None:
    body = f'{{"model" : "deepseek-v4-pro", {ODD_FIELDS}, "messages":[ {ODD_MESSAGE} ] , "stream":{stream}}}\n'.encode()
    assert post(gateway.origin, CHAT, body, key=key).status == 200
    assert provider.requests[0].body == body


def test_messages_that_match_nothing_stay_as_they_are_in_a_patched_body(
    gateway: Gateway, provider: StrictProvider, key: str
) -> None:
    provider.script(
        Answer(turn=Turn(reasoning="patched in", calls=(Call("call_p", "Read", '{"path": "p"}'),)))
    )
    ask = f'{{"model":"deepseek-v4-pro","tools":{TOOLS},"messages":[{ODD_MESSAGE}'
    first = post(gateway.origin, CHAT, f"{ask}]}}".encode(), key=key).json["choices"][0]["message"]
    call = json.dumps(first["tool_calls"][0])
    turn = f'{{"role":"assistant","content":[],"x_kept":1.0,"tool_calls":[{call}]}}'
    result = (
        f'{{"role":"tool", "tool_call_id":"{first["tool_calls"][0]["id"]}", "content":"\\u0041" }}'
    )
    assert (
        post(
            gateway.origin, CHAT, f"{ask}, {turn},{result},{ODD_MESSAGE} ]}}".encode(), key=key
        ).status
        == 200
    )
    sent = provider.requests[-1].body.decode()
    assert sent.count(ODD_MESSAGE) == 2
    assert json.loads(sent)["messages"][1][FIELD] == "patched in"
    assert '"x_kept":1.0' in sent
    assert sent.startswith(ask)


def test_only_the_model_changes_in_a_body_that_is_rewritten(estate: Estate) -> None:
    body = f'{{"messages":[{ODD_MESSAGE}],"model":"gpt-5.3-codex",{ODD_FIELDS}}}'
    assert post(estate.gateway.origin, CHAT, body.encode(), key=estate.key).status == 200
    expected = body.replace('"gpt-5.3-codex"', '"deepseek-v4-pro"')
    assert estate.providers["rewriting"].requests[0].body.decode() == expected


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b'{"model":1}',
        b'{"model":"m","model":"n","messages":[]}',
        b"\xff\xfe",
        b"[" * 100_000,
    ],
    ids=["empty", "cut", "array", "null", "wrong type", "duplicate model", "not UTF-8", "deep"],
)
def test_a_body_that_cannot_be_routed_is_refused(
    gateway: Gateway, provider: StrictProvider, key: str, body: bytes
) -> None:
    answer = post(gateway.origin, CHAT, body, key=key)
    assert answer.status == 400
    assert answer.json["error"]["message"]
    assert not provider.requests
