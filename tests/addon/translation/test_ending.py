"""A conversation that ends with the assistant's words ends as an upstream takes it."""

import json

import pytest

from addon.formats.neutral.request import WireFormat
from addon.translation.ending import as_prefill, ended_by_user
from tests.addon.translation.clients import PATHS, Json, asking

BEGUN = [("user", "hi"), ("assistant", "So")]
WORDS = {"chat": "messages", "responses": "input", "messages": "messages"}


def text(body: Json) -> bytes:
    return json.dumps(body).encode()


@pytest.mark.parametrize("api", PATHS)
def test_the_user_asks_for_the_rest(api: WireFormat) -> None:
    body = asking(api, BEGUN)
    found = json.loads(ended_by_user(text(body), api))
    assert found[WORDS[api]][:-1] == body[WORDS[api]]
    assert found[WORDS[api]][-1]["role"] == "user"


@pytest.mark.parametrize("api", PATHS)
@pytest.mark.parametrize(
    "said", [[], [("user", "hi")], [("user", "hi"), ("call", "Read")]], ids=str
)
def test_nothing_else_is_added_to(api: WireFormat, said: list[tuple[str, str]]) -> None:
    body = text(asking(api, said))
    assert ended_by_user(body, api) == body
    assert as_prefill(body, "partial") == body


def test_the_last_message_is_marked() -> None:
    found = json.loads(as_prefill(text(asking("chat", BEGUN)), "partial"))
    assert [one.get("partial") for one in found["messages"]] == [None, True]
    assert as_prefill(text(asking("chat", BEGUN)), "") == text(asking("chat", BEGUN))
