"""What a user does: register, make a key, ask, see it, revoke; and that all of it is usable
and only text.
"""

import json
import secrets
from contextlib import closing

import pytest
from openai import AuthenticationError
from playwright.sync_api import Page, expect

from shared.store import open_engine
from shared.store.engine import apply_change
from shared.store.ledger import Entry, settle
from tests.browser.conftest import CLEAR_HOST, Walk
from tests.browser.walker import WIDTHS, violations_in_both_colours
from tests.support.admin import Admin
from tests.support.client import Conversation, sdk
from tests.support.gateway import Gateway

PASSWORD = "a password long enough"
MODEL = "deepseek-v4-pro"
HOSTILE = '<script>alert(1)</script>"><img src=x onerror=alert(2)>'
FIELDS = ("model", "upstream", "upstream_model", "error_class", "user_agent", "client")
LONG = f"\u202e{HOSTILE}\u200f" + "x" * 100_000


def new_name(kind: str) -> str:
    return f"{kind}-{secrets.token_hex(4)}"


def make_key(page: Page, name: str) -> str:
    """A key made in the dialog; its secret."""
    page.get_by_role("button", name="New key").click()
    page.get_by_label("Name").fill(name)
    page.get_by_role("button", name="Create key").click()
    expect(page.locator("#secret-key")).to_contain_text("sk-")
    secret = page.locator("#secret-key").inner_text()
    page.get_by_role("button", name="Done").click()
    return secret


def test_a_key_is_copied_also_without_tls(walk: Walk, admin: Admin) -> None:
    user = admin.add_user(new_name("ida"))
    page = walk(host=CLEAR_HOST).sign_in(user["username"], PASSWORD)
    assert not page.evaluate("isSecureContext")
    page.get_by_role("button", name="New key").click()
    field = page.get_by_role("dialog").get_by_label("Name")
    expect(field).to_be_focused()
    field.fill("copied")
    page.get_by_role("button", name="Create key").click()
    expect(page.locator("#secret-key")).to_contain_text("sk-")
    page.get_by_role("dialog").get_by_role("button", name="Copy").click()
    expect(page.get_by_role("dialog").get_by_text("Copied")).to_be_visible()
    secret = page.locator("#secret-key").inner_text()
    page.get_by_role("button", name="Done").click()
    page.get_by_role("button", name="Edit copied").click()
    field = page.get_by_role("dialog").get_by_label("Name")
    expect(field).to_be_focused()
    field.press("Control+a")
    field.press("Control+v")
    expect(field).to_have_value(secret)


def test_a_new_user_makes_a_key_and_sees_the_own_request(
    walk: Walk, gateway: Gateway, admin: Admin
) -> None:
    page, name = walk().go("/register"), new_name("lin")
    page.get_by_label("Username").fill(name)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Create account").click()
    expect(page.get_by_role("heading", name=f"Welcome, {name}")).to_be_focused()
    assert page.locator("#api-key").inner_text().startswith("sk-")
    page.get_by_role("link", name="Go to the dashboard").click()
    expect(page.get_by_text("No tokens granted yet")).to_be_visible()

    [user] = admin.send("GET", f"/api/admin/users?q={name}")["items"]
    admin.send("POST", f"/api/admin/users/{user['id']}/quota", {"quota_tokens": 1_000_000})
    key = make_key(page, "laptop")
    expect(page.locator("#connect-key")).to_have_text(key)
    expect(page.locator("#connect-curl")).to_contain_text(f"Bearer {key}")
    with sdk(gateway.base_url, key) as client:
        Conversation(client, MODEL).run(2)
    rows = page.get_by_role("row").get_by_role("button", name=MODEL)
    expect(rows).to_have_count(2)
    rows.first.click()
    drawer = page.get_by_role("dialog")
    expect(drawer.get_by_text("deepseek: 200")).to_be_visible()
    expect(drawer.get_by_text("found by").first).to_be_visible()


def test_a_revoked_key_is_refused_and_shown_as_revoked(
    walk: Walk, gateway: Gateway, admin: Admin
) -> None:
    name = admin.add_user(new_name("ada"))["username"]
    page = walk().sign_in(name, PASSWORD)
    key = make_key(page, "phone")
    page.get_by_role("button", name="Revoke phone").click()
    dialog = page.get_by_role("dialog")
    expect(dialog.get_by_text("Revoke the key “phone”")).to_be_visible()
    dialog.get_by_role("button", name="Revoke").click()
    expect(page.get_by_role("row", name="phone").get_by_text("revoked")).to_be_visible()
    with sdk(gateway.base_url, key) as client, pytest.raises(AuthenticationError):
        Conversation(client, MODEL).ask()


def test_limits_of_a_key_are_changed_in_place_and_a_wrong_one_is_told_at_its_field(
    walk: Walk, admin: Admin
) -> None:
    page = walk().sign_in(admin.add_user(new_name("grace"))["username"], PASSWORD)
    page.get_by_role("button", name="Edit first").click()
    drawer = page.get_by_role("dialog")
    drawer.get_by_text("Limits", exact=True).click()
    drawer.get_by_label("Tokens", exact=True).fill("many")
    drawer.get_by_role("button", name="Save").click()
    expect(drawer.get_by_label("Tokens", exact=True)).to_be_focused()
    expect(drawer.get_by_label("Tokens", exact=True)).to_have_attribute("aria-invalid", "true")
    drawer.get_by_label("Tokens", exact=True).fill("1,000,000")
    drawer.get_by_label("Cost in US dollars").fill("2.50")
    drawer.get_by_label("Models").fill("gpt-*")
    drawer.get_by_label("Add a known model").select_option(MODEL)
    expect(drawer.get_by_label("Models")).to_have_value(f"gpt-*\n{MODEL}")
    drawer.get_by_role("button", name="Save").click()
    expect(
        page.get_by_role("row", name="first").get_by_text("1,000,000 tokens in total")
    ).to_be_visible()
    expect(page.get_by_role("row", name="first").get_by_text("$2.50 in total")).to_be_visible()


def test_how_thinking_is_shown_in_cursor_is_chosen_and_kept(walk: Walk, admin: Admin) -> None:
    name = admin.add_user(new_name("ada"))["username"]
    page = walk().sign_in(name, PASSWORD, "/account")
    page.get_by_label("Show the model’s thinking").select_option("In a collapsible block")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_text("Saved.")).to_be_visible()
    page.reload()
    expect(page.get_by_label("Show the model’s thinking")).to_have_value("details")


def test_the_password_is_changed_and_the_key_gets_another_secret(walk: Walk, admin: Admin) -> None:
    name = admin.add_user(new_name("alan"))["username"]
    page = walk().sign_in(name, PASSWORD, "/account")
    page.get_by_role("button", name="Regenerate").click()
    page.get_by_role("dialog").get_by_role("button", name="Regenerate").click()
    expect(page.locator("#secret-key")).to_contain_text("sk-")
    page.get_by_role("dialog").get_by_role("button", name="Copy").click()
    assert (
        page.evaluate("navigator.clipboard.readText()") == page.locator("#secret-key").inner_text()
    )
    page.get_by_role("button", name="Done").click()
    page.get_by_role("region", name="Password").get_by_label("Current password").fill(PASSWORD)
    page.get_by_label("New password").fill("another long password")
    page.get_by_role("button", name="Change password").click()
    expect(page.get_by_text("all other sessions have ended")).to_be_visible()


def write(gateway: Gateway, **fields: object) -> None:
    """An entry of the ledger as a data plane would have written it."""
    entry = Entry(exchange=secrets.token_hex(16), **fields)  # type: ignore[arg-type]
    with closing(open_engine(f"sqlite:{gateway.directory}/adapter.db")) as store:
        store.transact(lambda work: apply_change(work, settle(entry)), alone=())


def test_what_others_wrote_is_shown_as_text(walk: Walk, gateway: Gateway, admin: Admin) -> None:
    user = admin.add_user(f"{HOSTILE[:40]}{secrets.token_hex(4)}")
    walker = walk(width=390)
    walker.sign_in_quietly(user["username"], PASSWORD)
    for field in (*FIELDS, "outcome", "why"):
        write_hostile(gateway, admin.now_ms(), user["id"], field)
        page = walker.go("/dashboard")
        page.locator("#requests [data-drawer]").first.click()
        page.get_by_text("Details", exact=True).click()
        said = page.get_by_role("dialog").get_by_text("<script>alert(1)</script>").first
        expect(said, field).to_be_visible()
        assert page.locator("img[src=x]").count() == 0, field
        for place in ("document.documentElement", "document.querySelector('#drawer')"):
            assert page.evaluate(f"{place}.scrollWidth <= {place}.clientWidth"), (field, place)


def write_hostile(gateway: Gateway, at: int, user_id: int, field: str) -> None:
    """A request of which one field is hostile and long, and all others are plain."""
    texts = {name: LONG if name == field else "plain" for name in (*FIELDS, "outcome", "why")}
    details = {
        "tries": [{"outcome": texts.pop("outcome")}],
        "turns": [{"at": 2, "rule": "missing", "why": texts.pop("why")}],
    }
    write(gateway, at=at, user_id=user_id, missing=1, details=json.dumps(details), **texts)


def test_times_are_the_reader_s_also_after_the_table_was_asked_for_anew(
    walk: Walk, gateway: Gateway, admin: Admin
) -> None:
    user = admin.add_user(new_name("tim"))
    write(gateway, at=1_800_000_000_000, user_id=user["id"], model=MODEL)
    walker = walk()
    walker.sign_in_quietly(user["username"], PASSWORD)
    page = walker.go("/dashboard")
    time = page.locator("#requests time")
    expect(time).to_have_text("Jan 15, 2027, 3:00 AM")
    with page.expect_response("**/dashboard/requests*"):
        page.locator("#requests").dispatch_event("refresh")
    expect(page.locator(".htmx-request")).to_have_count(0)
    expect(time).to_have_text("Jan 15, 2027, 3:00 AM")


def test_names_of_users_and_keys_are_text(walk: Walk, admin: Admin) -> None:
    name = f"{HOSTILE[:40]}{secrets.token_hex(4)}"
    admin.add_user(name)
    page = walk().sign_in(name, PASSWORD)
    make_key(page, HOSTILE[-40:])
    expect(page.get_by_text(name)).to_be_visible()
    expect(page.get_by_role("row", name=HOSTILE[-40:])).to_be_visible()


@pytest.mark.parametrize("width", WIDTHS)
def test_everybody_can_use_the_dashboard(
    walk: Walk, gateway: Gateway, admin: Admin, width: int
) -> None:
    user = admin.add_user(new_name("mary"), quota_tokens=1000, period="month")
    turns = '{"turns":[{"at":2,"rule":"missing","why":"it is new"},{"at":4,"rule":"id"}],"tries":[{"outcome":"200"}]}'
    write(
        gateway,
        at=admin.now_ms(),
        user_id=user["id"],
        model=MODEL,
        prompt_tokens=950,
        missing=1,
        details=turns,
    )
    walker = walk(width=width)
    walker.sign_in_quietly(user["username"], PASSWORD)
    assert violations_in_both_colours(walker.go("/account")) == []
    page = walker.go("/dashboard")
    page.get_by_text("View as table").click()
    page.get_by_text("Why some were not found").click()
    assert violations_in_both_colours(page) == []
    page.locator("#requests [data-drawer]").click()
    expect(page.get_by_role("dialog").get_by_role("heading", name=MODEL)).to_be_visible()
    assert violations_in_both_colours(page) == []
    page.keyboard.press("Escape")
    page.get_by_role("button", name="New key").click()
    page.get_by_role("dialog").get_by_text("Limits", exact=True).click()
    assert violations_in_both_colours(page) == []
