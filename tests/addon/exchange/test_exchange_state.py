"""State of reasoning, whoever carries it: it stands at its own place, goes to the account that
made it, and what was refused of it stays away.
"""

import json

import pytest

from addon.exchange.exchange import Exchange
from tests.addon.desk import Desk, upstream
from tests.addon.exchange.dialogue import PATHS, Dialogue, calls_of, sent
from tests.addon.recall.chat import Json
from tests.support.turns import Turn, completion


def message(**members: object) -> bytes:
    """A chat upstream's whole answer."""
    return completion(Turn(reasoning=None), "m", message={"role": "assistant", **members})


def signed(signature: str, path: str, call_id: str) -> Json:
    """A call of Gemini's."""
    function = {"name": "Read", "arguments": json.dumps({"path": path})}
    annex = {"google": {"thought_signature": signature}}
    return {"id": call_id, "type": "function", "function": function, "extra_content": annex}


def signatures(exchange: Exchange) -> list[str | None]:
    """The signatures beside all calls that go out."""
    found = [call.get("extra_content") for call in calls_of(sent(exchange)["messages"])]
    return [annex and annex["google"]["thought_signature"] for annex in found]


# -- at its own place ------------------------------------------------------------------------------


@pytest.mark.parametrize("replaced", [None, "", "own"], ids=["kept", "dropped", "replaced"])
@pytest.mark.parametrize("own", ["same", ""], ids=["repeated", "none"])
@pytest.mark.parametrize("wire_format", PATHS)
def test_each_of_several_calls_with_one_id_gets_its_own_signature(
    desk: Desk, wire_format: str, own: str, replaced: str | None
) -> None:
    desk.upstreams = (upstream(profile="gemini"),)
    talk = Dialogue(desk, wire_format)
    calls = [signed("one", "a.py", own), signed("two", "b.py", own)]
    talk.hear(talk.open(), message(content=None, tool_calls=calls))
    if replaced is not None:
        talk.replace_ids(replaced)
    assert signatures(talk.open()) == ["one", "two"]
