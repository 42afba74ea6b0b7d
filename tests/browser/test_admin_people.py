"""What an admin sees and steers of users, keys, usage and requests."""

import secrets

import pytest
from openai import AuthenticationError, BadRequestError, RateLimitError
from playwright.sync_api import Locator, Page, expect

from tests.browser.conftest import Walk
from tests.browser.test_dashboard import HOSTILE, LONG, MODEL, new_name, write
from tests.browser.walker import WIDTHS, Walker, violations_in_both_colours
from tests.support.admin import Admin
from tests.support.client import Conversation, read_stream, sdk
from tests.support.faults import held
from tests.support.gateway import ADMIN_PASSWORD, Gateway
from tests.support.provider import Answer, StrictProvider
from tests.support.rawhttp import Gate

CURSOR = {"User-Agent": "Cursor/1.0"}


def as_admin(walker: Walker, path: str) -> Page:
    """The page at this path as the admin sees it."""
    walker.sign_in_quietly("admin", ADMIN_PASSWORD)
    return walker.go(path)


def set_quota(page: Page, name: str, tokens: str) -> None:
    """Change a user's quota in the list."""
    page.get_by_role("button", name=f"Quota of {name}").click()
    dialog = page.get_by_role("dialog", name="Quota")
    dialog.get_by_label("Tokens").fill(tokens)
    dialog.get_by_role("button", name="Save quota").click()
    expect(dialog).to_be_hidden()


def requests_of(page: Page, name: str) -> Locator:
    """The rows of the feed that are the user's."""
    return page.locator("#feed").get_by_role("row").filter(has_text=name)


def test_a_user_is_stopped_by_a_quota_and_goes_on_when_it_is_raised(
    walk: Walk, gateway: Gateway, admin: Admin
) -> None:
    user = admin.add_user(new_name("lin"))
    page = as_admin(walk(), f"/admin/users?q={user['username']}")
    with sdk(gateway.base_url, user["api_key"]) as client:
        set_quota(page, user["username"], "10")
        expect(page.get_by_text("of 10", exact=True)).to_be_visible()
        with pytest.raises(RateLimitError, match="token quota"):
            Conversation(client, MODEL).ask()
        with pytest.raises(BadRequestError, match="token quota of your account is too small"):
            Conversation(client.with_options(default_headers=CURSOR), MODEL).ask()

        set_quota(page, user["username"], "1,000,000")
        expect(page.get_by_text("of 1M", exact=True)).to_be_visible()
        assert Conversation(client, MODEL).ask().finish_reason


def test_a_quota_is_never_entered_into_another_users_form(walk: Walk, admin: Admin) -> None:
    first, second = (admin.add_user(new_name("ann")) for _ in range(2))
    page = as_admin(walk(), "/admin/users?q=ann")
    dialog = page.get_by_role("dialog", name="Quota")
    page.get_by_role("button", name=f"Quota of {first['username']}").click()
    dialog.get_by_role("button", name="Cancel").click()

    page.route(f"**/admin/users/{second['id']}/quota", lambda _route: None)
    page.get_by_role("button", name=f"Quota of {second['username']}").click()
    expect(dialog).to_be_visible()
    expect(dialog.get_by_role("textbox")).to_have_count(0)


def test_the_live_feed_shows_a_streamed_request_as_it_happens(
    walk: Walk, gateway: Gateway, provider: StrictProvider, admin: Admin
) -> None:
    user, gate = admin.add_user(new_name("ada")), Gate()
    page = as_admin(walk(), "/admin")
    expect(page.get_by_text("Live", exact=True)).to_be_visible()
    provider.script(Answer(fault=held(gate, before=-3)))
    with (
        sdk(gateway.base_url, user["api_key"]) as client,
        Conversation(client, MODEL).open() as stream,
    ):
        rows = requests_of(page, user["username"])
        expect(rows).to_have_count(1)
        expect(rows.get_by_text("running")).to_be_visible()
        gate.open()
        read_stream(stream)
        expect(rows.get_by_text("done")).to_be_visible()
    rows.get_by_role("button").click()
    expect(
        page.get_by_role("dialog").get_by_role("listitem").filter(has_text="200")
    ).to_be_visible()


def test_the_feed_is_asked_for_where_a_tunnel_buffers_its_events(
    walk: Walk, gateway: Gateway, admin: Admin
) -> None:
    user = admin.add_user(new_name("ada"))
    walker = walk()
    walker.page.route("**/api/admin/requests/live*", lambda _route: None)
    walker.page.clock.install()
    page = as_admin(walker, "/admin")
    write(gateway, at=admin.now_ms(), user_id=user["id"], username=user["username"], model="m")
    page.clock.run_for(6_000)
    expect(requests_of(page, user["username"])).to_have_count(1)
    page.clock.run_for(20_000)
    expect(page.get_by_text("Every 5 seconds")).to_be_visible()


def test_the_feed_pauses_and_filters_and_keeps_its_filters_in_the_address(
    walk: Walk, gateway: Gateway, admin: Admin
) -> None:
    ada, lin = admin.add_user(new_name("ada")), admin.add_user(new_name("lin"))
    page = as_admin(walk(), "/admin")
    expect(page.get_by_text("Live", exact=True)).to_be_visible()
    page.get_by_role("button", name="Pause").click()
    write(gateway, at=admin.now_ms(), user_id=ada["id"], username=ada["username"], model="m")
    expect(page.get_by_text("Paused, 1 new")).to_be_visible()
    expect(requests_of(page, ada["username"])).to_have_count(0)
    page.get_by_role("button", name="Resume").click()
    expect(requests_of(page, ada["username"])).to_have_count(1)

    page.get_by_label("User").fill(lin["username"])
    expect(page.get_by_text("No matching requests")).to_be_visible()
    assert f"user={lin['username']}" in page.url
    write(gateway, at=admin.now_ms(), user_id=ada["id"], username=ada["username"], model="m")
    write(
        gateway,
        at=admin.now_ms(),
        user_id=lin["id"],
        username=lin["username"],
        error_class="upstream_cut",
    )
    expect(page.locator("#feed tbody").get_by_role("row")).to_have_count(1)
    page.reload()
    expect(requests_of(page, lin["username"]).get_by_text("cut off")).to_be_visible()
    expect(page.get_by_label("User")).to_have_value(lin["username"])


def test_an_admin_makes_resets_disables_and_deletes_an_account(
    walk: Walk, gateway: Gateway
) -> None:
    page, name = as_admin(walk(), "/admin/users"), new_name("grace")
    page.get_by_role("button", name="New user").click()
    page.get_by_label("Name", exact=True).fill(name)
    page.get_by_role("button", name="Create account").click()
    made = page.get_by_role("dialog", name="Account created")
    expect(made.locator("#made-key")).to_contain_text("sk-")
    first = made.locator("#made-password").inner_text()
    made.get_by_role("button", name="Done").click()

    page.get_by_role("searchbox").fill(name)
    row = page.locator("#users tbody").get_by_role("row")
    expect(row).to_have_count(1)
    row.get_by_role("button", name=name, exact=True).click()
    page.get_by_role("button", name="Reset password").click()
    page.get_by_role("dialog", name="Are you sure?").get_by_role(
        "button", name="Reset password"
    ).click()
    made = page.get_by_role("dialog", name="New password")
    expect(made.locator("#new-password")).not_to_have_text("")
    assert made.locator("#new-password").inner_text() not in ("", first)
    made.get_by_role("button", name="Done").click()

    page.get_by_role("button", name="Disable").click()
    page.get_by_role("dialog", name="Are you sure?").get_by_role("button", name="Disable").click()
    expect(row.get_by_text("disabled")).to_be_visible()
    row.get_by_role("button", name=name, exact=True).click()
    page.get_by_role("button", name="Delete").click()
    asked = page.get_by_role("dialog", name="Are you sure?")
    expect(asked.get_by_text(f"Delete {name} for good?")).to_be_visible()
    asked.get_by_role("button", name="Delete").click()
    expect(page.get_by_text("No matching accounts")).to_be_visible()


def test_an_admin_limits_and_revokes_a_key_of_somebody(
    walk: Walk, gateway: Gateway, admin: Admin
) -> None:
    user = admin.add_user(new_name("alan"))
    page = as_admin(walk(), f"/admin/keys?q={user['username']}")
    page.get_by_role("button", name="Edit first").click()
    page.get_by_role("dialog").get_by_text("Limits", exact=True).click()
    page.get_by_label("Requests / min").fill("60")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_text("60 requests per minute")).to_be_visible()
    page.get_by_role("button", name="Revoke first").click()
    asked = page.get_by_role("dialog", name="Are you sure?")
    expect(asked.get_by_text(f"of {user['username']} for good?")).to_be_visible()
    asked.get_by_role("button", name="Revoke").click()
    expect(page.get_by_text("revoked")).to_be_visible()
    with sdk(gateway.base_url, user["api_key"]) as client, pytest.raises(AuthenticationError):
        Conversation(client, MODEL).ask()


def test_what_is_wrong_with_a_quota_is_told_at_its_field(walk: Walk, admin: Admin) -> None:
    user = admin.add_user(new_name("mary"))
    page = as_admin(walk(), f"/admin/users?q={user['username']}")
    page.get_by_role("button", name="Quota of").click()
    field = page.get_by_role("dialog").get_by_label("Tokens")
    expect(field).to_be_focused()
    field.fill("-5")
    page.get_by_role("button", name="Save quota").click()
    expect(field).to_have_attribute("aria-invalid", "true")
    expect(field).to_be_focused()


def test_what_others_wrote_in_the_feed_is_text(walk: Walk, gateway: Gateway, admin: Admin) -> None:
    walker = walk(width=390)
    as_admin(walker, "/admin")
    for field in ("username", "model", "upstream", "upstream_model", "error_class", "user_agent"):
        model = f"m-{secrets.token_hex(4)}"
        fields = {
            "model": model,
            "upstream": "deepseek",
            "username": "x",
            "error_class": "",
            field: LONG + model,
        }
        write(gateway, at=admin.now_ms(), user_id=7_777, **fields)
        page = walker.go("/admin")
        page.locator("#feed tbody .row-link").first.click()
        page.get_by_text("Details", exact=True).click()
        said = page.get_by_role("dialog").get_by_text("<script>alert(1)</script>").first
        expect(said, field).to_be_visible()
        assert page.locator("img[src=x]").count() == 0, field
        assert page.evaluate(
            "document.documentElement.scrollWidth <= document.documentElement.clientWidth"
        ), field


def test_names_of_users_keys_and_models_are_text_in_the_lists(
    walk: Walk, gateway: Gateway, admin: Admin
) -> None:
    user = admin.add_user(f"{HOSTILE[:40]}{secrets.token_hex(4)}", models=[HOSTILE])
    key = admin.send(
        "POST", f"/api/admin/users/{user['id']}/keys", {"name": HOSTILE[-40:], "models": [HOSTILE]}
    )
    write(
        gateway,
        at=admin.now_ms(),
        user_id=user["id"],
        key_id=key["id"],
        model=LONG,
        upstream="up",
        prompt_tokens=5,
    )
    page = as_admin(walk(width=390), "/admin/users?q=script")
    page.get_by_role("button", name=user["username"], exact=True).click()
    expect(page.get_by_role("heading", name=user["username"])).to_be_visible()
    page.get_by_role("button", name="Delete").click()
    expect(page.get_by_text(f"Delete {user['username']} for good?")).to_be_visible()
    for path in (
        "/admin/keys?q=script",
        f"/admin/usage?by=model&user_id={user['id']}",
        "/admin/usage?by=key",
    ):
        page.goto(path)
        expect(page.locator(".table .name").get_by_text("alert(").first).to_be_visible()
        assert page.locator("img[src=x]").count() == 0
        assert page.evaluate(
            "document.documentElement.scrollWidth <= document.documentElement.clientWidth"
        )


@pytest.mark.parametrize("width", WIDTHS)
def test_every_admin_can_use_these_pages(
    walk: Walk, gateway: Gateway, admin: Admin, width: int
) -> None:
    user = admin.add_user(new_name("joan"), quota_tokens=1000, period="month", rpm=5)
    turns = '"turns":[{"at":2,"rule":"missing","why":"new"},{"at":4,"rule":"id"}]'
    told = f'{{{turns},"tries":[{{"upstream":"deepseek","outcome":"200"}}]}}'
    who = {"user_id": user["id"], "username": user["username"], "user_agent": "Cursor/1.0"}
    write(
        gateway,
        at=admin.now_ms(),
        model=MODEL,
        upstream="deepseek",
        prompt_tokens=950,
        missing=1,
        details=told,
        **who,
    )
    walker = walk(width=width)
    page = as_admin(walker, "/admin")
    assert violations_in_both_colours(page) == []
    page = walker.go(f"/admin/users?q={user['username']}")
    assert violations_in_both_colours(page) == []
    page.get_by_role("button", name="Quota of").click()
    expect(page.get_by_role("dialog").get_by_label("Tokens")).to_be_visible()
    assert violations_in_both_colours(page) == []
    page.keyboard.press("Escape")
    page.get_by_role("button", name=user["username"], exact=True).click()
    expect(page.get_by_role("heading", name="Role and limits")).to_be_visible()
    assert violations_in_both_colours(page) == []
    assert violations_in_both_colours(walker.go(f"/admin/keys?q={user['username']}")) == []
    page = walker.go("/admin/usage?by=model")
    page.get_by_text("View as table").click()
    assert violations_in_both_colours(page) == []
