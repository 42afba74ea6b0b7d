"""`thinkback up --web`: the same traffic, to be looked at in mitmweb."""

import http.cookiejar
import json
import re
import urllib.request
from pathlib import Path

from shared.config.mitm import find_mitm
from tests.support.client import Conversation, sdk
from tests.support.gateway import Gateway, eventually, free_port, upstream_environment
from tests.support.provider import StrictProvider

UPSTREAM_KEY = "sk-upstream-secret-0123456789"


def flows(log: str) -> str:
    """The flows that mitmweb shows, as the page gets them."""
    jar = urllib.request.HTTPCookieProcessor(http.cookiejar.CookieJar())
    browser = urllib.request.build_opener(jar)
    page = re.search(r"(http://127\.0\.0\.1:\d+/)(\?token=\S+)", log)
    assert page
    with browser.open(page[0]), browser.open(f"{page[1]}flows{page[2]}") as answer:
        shown = answer.read().decode()
    for flow in json.loads(shown):
        for part in ("request", "response"):
            if not flow[part]["contentLength"]:
                continue
            with browser.open(
                f"{page[1]}flows/{flow['id']}/{part}/content.data{page[2]}"
            ) as content:
                shown += content.read().decode()
    return shown


def test_mitmweb_shows_the_traffic_and_no_key(tmp_path: Path) -> None:
    port = f"web_port = {free_port()}"
    (tmp_path / "mitm.toml").write_text(find_mitm().read_text().replace("web_port = 8081", port))
    with StrictProvider(keys=(UPSTREAM_KEY,)) as provider:
        environment = upstream_environment(provider.base_url, UPSTREAM_KEY)
        with Gateway(tmp_path, environment, arguments=("--web",)) as gateway:
            key = gateway.new_user("ada")
            conversation = Conversation(
                sdk(gateway.base_url, key), "deepseek-v4-pro", prompt="seen in mitmweb"
            )
            reply = conversation.ask()
            assert eventually(lambda: "200 POST /v1/chat/completions" in gateway.log)
            shown = flows(gateway.log)
    assert "/v1/chat/completions" in shown
    assert "seen in mitmweb" in shown
    assert reply.finish_reason in shown
    assert "200 POST /v1/chat/completions" in shown
    assert key not in shown
    assert UPSTREAM_KEY not in shown
