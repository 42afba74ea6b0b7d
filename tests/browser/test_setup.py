"""From an empty database to the first real request, and the pages of the setup."""

import json
from pathlib import Path

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.browser.conftest import Walk
from tests.browser.walker import WIDTHS, violations_in_both_colours
from tests.support.admin import Admin
from tests.support.client import Conversation, fetch, sdk
from tests.support.gateway import ADMIN_PASSWORD, Gateway, eventually, free_port
from tests.support.provider import StrictProvider

HOSTILE = '"><img src=x onerror=alert(1)>'


def upstreams(gateway: Gateway) -> int:
    """How many the data plane uses."""
    return int(json.loads(fetch("GET", f"{gateway.origin}/readyz").body)["upstreams"])


def read_of_test(page: Page, base_url: str, key: str) -> Locator:
    """Enter both and test them; where the result is to be read."""
    page.get_by_label("Base URL").fill(base_url)
    page.get_by_role("textbox", name="API key").fill(key)
    page.get_by_role("button", name="Test").click()
    return page.locator("[data-report]")


def test_an_empty_gateway_is_set_up_until_the_first_request_arrives(
    walk: Walk, tmp_path: Path
) -> None:
    environment = {"ADMIN_PASSWORD": "admin", "LOG_LEVEL": "warning"}
    with StrictProvider() as provider, Gateway(tmp_path, environment) as gateway:
        page = walk(gateway).sign_in("admin", "admin", "/dashboard")
        expect(page.get_by_role("heading", name="Choose a password")).to_be_visible()
        expect(page.get_by_label("Current password")).to_be_focused()
        page.get_by_label("Current password").fill("admin")
        page.get_by_label("New password").fill(ADMIN_PASSWORD)
        page.get_by_role("button", name="Change password").click()

        expect(page.get_by_role("heading", name="Add an upstream")).to_be_visible()
        expect(page.get_by_label("DeepSeek")).to_be_focused()
        page.get_by_label("Own server").check(force=True)
        expect(page.get_by_text("vLLM, SGLang, llama.cpp")).not_to_contain_text("allow_private")
        gone = read_of_test(page, f"http://127.0.0.1:{free_port()}/v1", "sk-good")
        expect(gone).to_contain_text("The connection was refused: no server is listening there.")
        unknown = read_of_test(page, "http://no-such-host.invalid/v1", "sk-good")
        expect(unknown).to_contain_text("no-such-host.invalid does not resolve: check base_url")
        wrong = read_of_test(page, provider.base_url, "sk-wrong")
        expect(wrong).to_contain_text("The upstream rejects this key (401)")
        page.get_by_role("textbox", name="API key").fill("sk-good")
        expect(page.get_by_text("The upstream rejects this key")).to_have_count(0)
        expect(read_of_test(page, provider.base_url, "sk-good")).to_contain_text("It works")
        page.get_by_role("button", name="Save and continue").click()

        expect(page.get_by_text("Cursor can't reach")).to_be_visible()
        expect(page.get_by_text("Your browser reaches the gateway")).to_be_visible()
        page.get_by_role("link", name="Continue").click()
        expect(page.get_by_text("Waiting for the first request")).to_be_visible()
        page.get_by_role("button", name="Create a key").click()
        expect(page.locator("#secret-key")).to_contain_text("sk-")
        key = page.locator("#secret-key").inner_text()
        for _ in range(3):
            page.keyboard.press("Escape")
        page.mouse.click(5, 5)
        expect(page.get_by_role("dialog", name="Your API key")).to_be_visible()
        page.get_by_role("button", name="Done").click()
        expect(page.get_by_role("dialog", name="Your API key")).to_be_hidden()

        assert eventually(lambda: upstreams(gateway) == 1)
        page.goto("/admin/upstreams")
        expect(page.get_by_text("never asked")).to_be_visible()
        with sdk(gateway.base_url, key) as client:
            assert Conversation(client, "deepseek-v4-pro").ask().finish_reason
        page.goto("/setup?step=connect")
        expect(page.get_by_text("It works.")).to_be_visible()
        page.goto("/setup?step=upstream")
        expect(
            page.get_by_text("takes every model, so a new upstream is asked only")
        ).to_be_visible()
        page.goto("/admin/upstreams")
        expect(page.get_by_text("in use", exact=True)).to_be_visible()


def test_the_public_url_is_stored_and_what_cursor_can_not_reach_is_said(
    walk: Walk, tmp_path: Path
) -> None:
    with Gateway(tmp_path, {"LOG_LEVEL": "warning"}) as gateway:
        page = walk(gateway).sign_in("admin", ADMIN_PASSWORD, "/setup?step=address")
        page.get_by_label("Public URL").fill("think.example.com")
        page.get_by_role("button", name="Save").click()
        expect(page.get_by_text("Must start with http:// or https://")).to_be_visible()
        page.get_by_label("Public URL").fill("https://think.example.com")
        page.get_by_role("button", name="Save").click()
        expect(
            page.get_by_role("link", name="Open this page at https://think.example.com")
        ).to_be_visible()
        expect(page.get_by_text("Cursor can't reach")).to_be_hidden()


def test_the_name_of_an_upstream_is_text(walk: Walk, admin: Admin) -> None:
    body = {
        "name": HOSTILE,
        "base_url": "https://upstream.example.com",
        "models": [f"{HOSTILE}-model"],
    }
    made = admin.send("POST", "/api/admin/upstreams", body)
    try:
        page = walk().sign_in("admin", ADMIN_PASSWORD, "/setup?step=upstream")
        expect(page.get_by_text(HOSTILE)).to_be_visible()
        page.goto("/setup?step=connect")
        expect(page.get_by_text(f"{HOSTILE}-model").first).to_be_visible()
    finally:
        admin.send("DELETE", f"/api/admin/upstreams/{made['id']}")


@pytest.mark.parametrize("width", WIDTHS)
def test_everybody_can_use_the_setup(walk: Walk, width: int) -> None:
    walker = walk(width=width)
    walker.sign_in_quietly("admin", ADMIN_PASSWORD)
    for step in ("password", "upstream", "address", "connect"):
        assert violations_in_both_colours(walker.go(f"/setup?step={step}")) == [], step
