"""Signing in, out and up."""

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import Walk
from tests.browser.walker import WIDTHS, violations_in_both_colours
from tests.support.gateway import ADMIN_PASSWORD


def test_who_signs_in_comes_to_the_dashboard_and_leaves_again(walk: Walk) -> None:
    page = walk().sign_in("admin", ADMIN_PASSWORD)
    expect(page.get_by_role("heading", name="Dashboard")).to_be_visible()
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_role("heading", name="Sign in")).to_be_visible()


def test_a_wrong_password_is_told_and_has_the_focus(walk: Walk) -> None:
    page = walk().go("/")
    page.get_by_label("Username").fill("admin")
    page.get_by_label("Password", exact=True).fill("a wrong password")
    page.get_by_role("button", name="Sign in").click()
    alert = page.get_by_role("alert").filter(has_text="The username or password is wrong")
    expect(alert).to_be_focused()


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("path", ["/", "/register"])
def test_everybody_can_use_the_front_pages(walk: Walk, path: str, width: int) -> None:
    assert violations_in_both_colours(walk(width=width).go(path)) == []
