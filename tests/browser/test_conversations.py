"""Conversations: what the cache knew of each prompt, where that dropped and why."""

import json
from typing import Any

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import Walk
from tests.browser.test_dashboard import LONG, MODEL, PASSWORD, new_name, write
from tests.browser.walker import WIDTHS, violations_in_both_colours
from tests.support.admin import Admin
from tests.support.client import Conversation, sdk
from tests.support.gateway import ADMIN_PASSWORD, Gateway

USUAL = {"model": MODEL, "upstream": "deepseek", "upstream_model": MODEL, "status": 200}


def write_talk(gateway: Gateway, admin: Admin, **fields: Any) -> tuple[dict[str, Any], str]:
    """A user with a conversation in which the cache was missed once, and its name."""
    user = admin.add_user(new_name("ida"))
    name = f"{user['id']:024x}"
    note = "the image in message 3 was left out: the upstream takes none"
    for prompt, cached, outcomes in ((9_000, 0, "2"), (12_000, 8_900, "2"), (15_000, 400, "42")):
        tries = [{"upstream": "deepseek", "outcome": f"{outcome}00"} for outcome in outcomes]
        details = json.dumps({"tries": tries, "notes": [note]})
        tokens = {"prompt_tokens": prompt, "cached_tokens": cached}
        who = {"user_id": user["id"], "username": user["username"], "conversation": name}
        write(gateway, **{"at": admin.now_ms(), "details": details} | USUAL | who | tokens | fields)
    return user, name


def test_requests_of_one_chat_are_found_together_and_tell_what_was_restored(
    walk: Walk, gateway: Gateway, admin: Admin
) -> None:
    user = admin.add_user(new_name("olga"))
    with sdk(gateway.base_url, user["api_key"]) as client:
        Conversation(client, MODEL).run(3)
    page = walk().sign_in(user["username"], PASSWORD, "/conversations")
    page.get_by_role("link", name=MODEL).click()
    expect(page.get_by_role("heading", name="Requests, oldest first")).to_be_visible()
    expect(page.locator(".in-order tbody tr")).to_have_count(3)
    expect(page.locator('.in-order [data-name="Restored"]').last).to_have_text("2")


def test_a_drop_is_marked_and_leads_to_its_request(
    walk: Walk, gateway: Gateway, admin: Admin
) -> None:
    user, name = write_talk(gateway, admin)
    page = walk().sign_in(user["username"], PASSWORD, f"/conversations/{name}")
    dropped = page.locator("tr.dropped")
    expect(dropped).to_have_count(1)
    expect(dropped.get_by_text("the upstream rejected the first body")).to_be_visible()
    expect(dropped.get_by_text("400 → 200")).to_be_visible()
    dropped.get_by_role("button").click()
    drawer = page.get_by_role("dialog")
    expect(drawer.get_by_text("the image in message 3 was left out")).to_be_visible()
    expect(drawer.get_by_text("400 of them cached")).to_be_visible()


def test_an_admin_finds_the_conversations_of_a_user(
    walk: Walk, gateway: Gateway, admin: Admin
) -> None:
    user, _ = write_talk(gateway, admin)
    page = walk().sign_in("admin", ADMIN_PASSWORD, "/admin/conversations")
    page.get_by_label("User", exact=True).fill(user["username"])
    page.get_by_role("button", name="Show").click()
    rows = page.get_by_role("row").filter(has_text=user["username"])
    expect(rows).to_have_count(1)
    expect(rows.get_by_text("25.8 %")).to_be_visible()
    rows.get_by_role("link").click()
    expect(page.get_by_text(user["username"])).to_be_visible()


@pytest.mark.parametrize("width", WIDTHS)
def test_everybody_can_use_the_pages_of_conversations(
    walk: Walk, gateway: Gateway, admin: Admin, width: int
) -> None:
    _, name = write_talk(gateway, admin, model=LONG)
    walker = walk(width=width)
    walker.sign_in_quietly("admin", ADMIN_PASSWORD)
    assert violations_in_both_colours(walker.go("/conversations")) == []
    assert violations_in_both_colours(walker.go("/admin/conversations")) == []
    page = walker.go(f"/conversations/{name}")
    page.get_by_text("View as table").click()
    assert violations_in_both_colours(page) == []
