"""Calls and results are put right without a change to anything else."""

import json

import pytest

from addon.formats.neutral.request import WireFormat
from addon.translation.arrangement import arranged
from tests.addon.translation.clients import CALLED, PATHS, asking


@pytest.mark.parametrize("api", PATHS)
@pytest.mark.parametrize("said", [[], CALLED, [*CALLED, ("user", "on"), *CALLED[1:]]], ids=len)
def test_what_is_right_stays(api: WireFormat, said: list[tuple[str, str]]) -> None:
    body = json.dumps(asking(api, said), indent=1).encode()
    assert arranged(body, api) is body


def test_other_members_and_their_bytes_stay() -> None:
    call = b'{"role":"assistant","tool_calls":[{"id":"c","x":1.0}],"reasoning_content":"r"}'
    body = b'{"seed":1e400,"messages":[%b,{"role":"user","content":"\\u00e9"}]}' % call
    found = arranged(body, "chat")
    assert found.startswith(b'{"seed":1e400,"messages":[%b,{"role":"tool"' % call)
    assert found.endswith(b',{"role":"user","content":"\\u00e9"}]}')


def test_results_of_parallel_calls_stay_together_in_messages() -> None:
    calls = [{"type": "tool_use", "id": one, "name": "f", "input": {}} for one in "ab"]
    result = {"type": "tool_result", "tool_use_id": "b", "content": "B", "is_error": True}
    words = {"type": "text", "text": "on"}
    body = {
        "messages": [
            {"role": "assistant", "content": calls},
            {"role": "user", "content": [result, words]},
        ]
    }
    _, user = json.loads(arranged(json.dumps(body).encode(), "messages"))["messages"]
    lost, *rest = user["content"]
    assert (lost["type"], lost["tool_use_id"]) == ("tool_result", "a")
    assert rest == [result, words]
