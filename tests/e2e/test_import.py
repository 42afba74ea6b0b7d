"""A conversation that began behind deepseek-cursor-proxy goes on here with its reasoning."""

import json
from pathlib import Path

from tests.support.client import CLIENTS, Conversation, Habits, replay, sdk
from tests.support.gateway import Gateway, upstream_table
from tests.support.provider import StrictProvider
from tests.support.reasoning_cache import write_cache
from tests.support.turns import FIELD

MODEL = "deepseek-v4-pro"
KEEPS_ALL = Habits(reasoning="exact")
TURNS = 8


def test_a_running_gateway_knows_the_turns_of_the_cache(tmp_path: Path) -> None:
    with StrictProvider() as provider:
        with sdk(provider.base_url, "sk-good") as client:
            before = Conversation(client, MODEL, habits=KEEPS_ALL)
            before.run(TURNS)
        cached = [replay(reply, KEEPS_ALL) for reply in before.replies]
        write_cache(tmp_path / "reasoning_content.sqlite3", cached)
        config = upstream_table("deepseek", provider.base_url)
        with Gateway(tmp_path, config=config) as gateway:
            key = gateway.new_user("ada")
            report = json.loads(
                gateway.thinkback("import", "reasoning_content.sqlite3", "--user", "ada", "--json")
            )
            with sdk(gateway.base_url, key) as client:
                after = Conversation(client, MODEL, habits=CLIENTS["cursor-2025"])
                after.messages = [
                    {name: value for name, value in message.items() if name != FIELD}
                    for message in before.messages
                ]
                after.run(3)
        called = [message for message in cached if message.get("tool_calls")]
        sent = {
            message["tool_calls"][0]["id"]: message.get(FIELD)
            for message in provider.bodies()[TURNS]["messages"]
            if message.get("tool_calls")
        }
    assert called
    assert provider.rejections == []
    assert sent == {each["tool_calls"][0]["id"]: each[FIELD] for each in called}
    assert report["source"] == "a cache of deepseek-cursor-proxy"
    assert report["taken"]
