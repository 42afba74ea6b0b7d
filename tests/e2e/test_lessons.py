"""What an upstream's refusals teach a running gateway: of all users, and of one conversation."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.admin import Admin
from tests.support.client import post
from tests.support.gateway import Gateway, Served, eventually, upstream_table
from tests.support.provider import Refusal, StrictProvider
from tests.support.turns import FIELD, Json

CHAT = "/v1/chat/completions"
LESSONS = "/api/admin/lessons"
SECONDS = 2
TOOLS = [{"type": "function", "function": {"name": "Read", "parameters": {"type": "object"}}}]
MISSING = Refusal(
    400, "The `reasoning_content` in the thinking mode must be passed back to the API."
)


@pytest.fixture(scope="module")
def taught(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served[StrictProvider]]:
    """A gateway over an upstream that wants reasoning in turns with calls, which its profile
    does not know.
    """
    with StrictProvider(scope="tool_turns") as provider:
        config = upstream_table("main", provider.base_url, profile="glm")
        with Gateway(tmp_path_factory.mktemp("taught"), config=config) as gateway:
            yield Served(gateway, provider)


def conversation(name: str) -> list[Json]:
    """Turns that the gateway has never seen: one with a call, one without."""
    function = {"name": "Read", "arguments": "{}"}
    call = {"id": "theirs", "type": "function", "function": function}
    return [
        {"role": "user", "content": f"Please read {name}."},
        {"role": "assistant", "content": "", "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "theirs", "content": "fine"},
        {"role": "assistant", "content": f"I have read {name} elsewhere."},
        {"role": "user", "content": "go on"},
    ]


def sent(served: Served[StrictProvider], key: str, messages: list[Json]) -> Json:
    """What the upstream took for these messages; the client sees no refusal."""
    body = {"model": "m", "messages": messages, "tools": TOOLS}
    answer = post(served.gateway.origin, CHAT, json.dumps(body).encode(), key=key)
    assert answer.status == 200
    return served.upstream.bodies()[-1]


def carried(body: Json) -> list[object]:
    return [one.get(FIELD) for one in body["messages"] if one["role"] == "assistant"]


def test_one_user_s_refusal_spares_the_others_and_is_forgotten_at_an_admin_s_word(
    taught: Served[StrictProvider],
) -> None:
    gateway, provider = taught
    ada, grace = gateway.new_user("ada"), gateway.new_user("grace")
    assert carried(sent(taught, ada, conversation("a"))) == ["", None]
    assert carried(sent(taught, grace, conversation("b"))) == ["", None]
    assert len(provider.rejections) == 1
    gateway.restart()
    assert carried(sent(taught, grace, conversation("c"))) == ["", None]
    assert len(provider.rejections) == 1

    admin = Admin(gateway)
    [lesson] = admin.send("GET", LESSONS)["items"]
    assert (lesson["upstream"], lesson["model"], lesson["scope"]) == ("main", "m", "calls")
    assert "must be passed back" in lesson["words"]
    admin.send("DELETE", f"{LESSONS}/{lesson['id']}")
    number = iter(range(100))

    def is_refused() -> bool:
        sent(taught, ada, conversation(f"d{next(number)}"))
        return len(provider.rejections) > 1

    assert eventually(is_refused, SECONDS)
    assert len(admin.send("GET", LESSONS)["items"]) == 1


def test_an_upstream_s_bad_moment_stops_the_thinking_of_one_conversation(tmp_path: Path) -> None:
    with StrictProvider(scope="none") as provider:
        config = upstream_table("main", provider.base_url, profile="deepseek-v4")
        with Gateway(tmp_path, config=config) as gateway:
            served = Served(gateway, provider)
            ada, grace = gateway.new_user("ada"), gateway.new_user("grace")
            provider.script(MISSING)
            assert "thinking" in sent(served, ada, conversation("a"))
            for key, name in ((ada, "b"), (grace, "a"), (grace, "c")):
                assert "thinking" not in sent(served, key, conversation(name))
            assert sent(served, ada, conversation("a"))["thinking"] == {"type": "disabled"}
            assert gateway.log.count("thinking=off") == 2
            assert Admin(gateway).send("GET", LESSONS)["items"] == []
            [told, *_] = Admin(gateway).send("GET", "/api/admin/requests?limit=1")["items"]
            assert told["policy"] == "deepseek-v4: off"
            assert told["notes"][0].startswith("thinking was switched off: ")
