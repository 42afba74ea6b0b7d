"""Setting up a second factor, signing in with it, and losing it."""

import pyotp
from playwright.sync_api import expect

from tests.browser.conftest import Walk
from tests.browser.walker import violations
from tests.support.gateway import Gateway

PASSWORD = "factor has a long password"


def test_it_is_set_up_on_the_account_page_and_asked_for_when_signing_in(
    walk: Walk, gateway: Gateway
) -> None:
    gateway.new_user("factor")
    page = walk().sign_in("factor", PASSWORD, "/account")
    part = page.get_by_role("region", name="Second factor")
    part.get_by_label("Current password").fill(PASSWORD)
    part.get_by_role("button", name="Set up").click()
    secret = part.locator("code").inner_text()
    expect(part.locator("svg")).to_be_visible()
    part.get_by_label("Code").fill(pyotp.TOTP(secret).now())
    part.get_by_role("button", name="Turn on").click()
    window = page.get_by_role("dialog", name="Your recovery codes")
    codes = window.locator("pre").inner_text().split()
    assert len(codes) == 10
    assert violations(page) == []
    window.get_by_role("button", name="Done").click()
    expect(part).to_contain_text("10 recovery codes are left")

    page = walk().go("/")
    expect(page.get_by_label("Code")).to_be_hidden()
    page.get_by_label("Username").fill("factor")
    page.get_by_label("Password", exact=True).fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_label("Code")).to_be_visible()
    page.get_by_label("Code").fill(codes[0])
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("heading", name="Dashboard")).to_be_visible()
