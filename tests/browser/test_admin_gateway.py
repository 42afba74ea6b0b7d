"""Where requests go, who asked what, and how the installation is set up: the admin's pages
about the gateway.
"""

import json
import re
from collections.abc import Iterator
from contextlib import closing

import pytest
from playwright.sync_api import expect

from shared.store import open_engine
from shared.store.lessons import Lesson, keep_lesson
from tests.browser.conftest import Walk
from tests.browser.walker import WIDTHS, Walker, violations, violations_in_both_colours
from tests.support.admin import Admin
from tests.support.client import Conversation, fetch, sdk
from tests.support.gateway import ADMIN_PASSWORD, Gateway, eventually
from tests.support.provider import StrictProvider
from tests.support.rawhttp import RawServer, Received, Reply, json_reply

MODEL = '<script>alert(1)</script>"><img src=x onerror=alert(2)>'
PROMPT = MODEL + "\u202eabc"
NAME = '<b>"x/א'
LONG = "x" * 100_000
PHRASE = "上海明天的天气怎么样"
CONFIG = """
[server]
allow_private_upstreams = true

[audit]
mode = "full"

[[upstreams]]
name = "deepseek"
base_url = {base_url}
api_keys = ["sk-good"]
models = ["deepseek-v4-pro"]
model_rewrites = [
    {{ from = "gpt-5", to = "deepseek-v4-pro" }},
    {{ from_pattern = "^claude-(.*)$", to_template = "ds-{{1}}" }},
]

[[upstreams]]
name = {name}
base_url = {base_url}
api_keys = ["sk-good"]
models = [{model}]
model_rewrites = [{{ from = {name}, to = {model} }}]
"""
WHOLE = {
    "name": "whole",
    "api_keys": ["sk-one-1111", "sk-two-2222"],
    "models": ["lab-1", "one,two"],
    "api": "messages",
    "path": "/own/{model}/messages",
    "api_version": "2025-04-01-preview",
    "auth": "api-key",
    "images": "drop",
    "mirror": "think",
    "compact_signal": True,
    "model_rewrites": [
        {"from": "claude", "to": "lab-1", "effort": "xhigh"},
        {"from_pattern": "^gpt-(.*)$", "to_template": "lab-{1}", "effort": "low"},
        {"from": "other", "to": "lab-2"},
    ],
    "profile": "deepseek-v4",
    "headers": {"X-Team": "blue: green", "X-Token": "of-the-team-3333"},
    "timeouts": {"connect": 1.5, "first_byte": 86399.125, "idle": 7, "total": 8},
}
"""An upstream with nothing left to its default."""

PATHS = (
    "/admin/upstreams",
    "/admin/upstreams/new",
    "/admin/upstreams/config%3Adeepseek",
    "/admin/upstreams/prices",
    "/admin/rewrites?model=gpt-5",
    "/admin/audit",
    "/admin/settings",
    "/admin/health",
)
FOREIGN = {
    "/admin/audit?q=alert(1)": {
        "tbody .row-link": PROMPT,
        "td[data-name=Model]": MODEL,
        "td[data-name=Upstream]": NAME,
    },
    "/admin/upstreams": {"h2": NAME, ".models td": MODEL},
    "/admin/rewrites?model=%3Cb%3E%22x%2F%D7%90": {
        ".tried-head a": NAME,
        ".tried-routes dd code": MODEL,
    },
    "/admin/rewrites?model=%3Cscript%3E": {"#tried": "<script>"},
    "/admin/audit?user=%3Cscript%3E": {"[role=alert]": "<script>"},
}
"""By path: where something stands that others wrote, and what."""


async def _models(_: Received) -> Reply:
    return json_reply(json.dumps({"data": [{"id": "lab-1"}, {"id": MODEL}]}).encode())


@pytest.fixture(scope="module")
def lab() -> Iterator[str]:
    """The base URL of a server that lists models, one of a hostile name."""
    server = RawServer(_models)
    server.start()
    yield f"http://127.0.0.1:{server.port}/v1"
    server.stop()


@pytest.fixture(scope="module")
def busy(provider: StrictProvider, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """A gateway with hostile names in its configuration, whose user has asked four questions."""
    texts = {"base_url": provider.base_url, "name": NAME, "model": MODEL}
    config = CONFIG.format(**{key: json.dumps(text) for key, text in texts.items()})
    with Gateway(
        tmp_path_factory.mktemp("busy"), {"LOG_LEVEL": "warning"}, config=config
    ) as running:
        key = running.new_user("lin")
        with sdk(running.base_url, key) as client:
            Conversation(client, "gpt-5", prompt=PHRASE).run(2)
        for model, text in ((MODEL, PROMPT), ("deepseek-v4-pro", LONG)):
            body = json.dumps(
                {"model": model, "messages": [{"role": "user", "content": text}]}
            ).encode()
            fetch(
                "POST",
                f"{running.base_url}/chat/completions",
                body,
                {"authorization": f"Bearer {key}"},
            )
        admin = Admin(running)
        assert eventually(lambda: len(admin.send("GET", "/api/admin/audit")["items"]) == 4)
        yield running


def enter(walk: Walk, gateway: Gateway, **look: object) -> Walker:
    walker = walk(gateway, **look)
    walker.sign_in_quietly("admin", ADMIN_PASSWORD)
    return walker


def test_the_audit_finds_a_chinese_phrase_and_shows_the_conversation(
    walk: Walk, busy: Gateway
) -> None:
    page = enter(walk, busy).go("/admin/audit")
    page.keyboard.press("/")
    page.keyboard.type("明天的天气")
    page.get_by_role("button", name="Search").click()
    page.wait_for_url(re.compile(r"[?&]q="))

    expect(page.locator("mark")).to_have_text(["明天的天气"] * 2)
    page.get_by_role("button", name=re.compile("明天的天气")).first.click()
    conversation = page.locator("#drawer-body .conversation")
    expect(conversation.get_by_text(PHRASE)).to_be_visible()
    conversation.get_by_text("found by its tool-call id").first.click()
    expect(conversation.locator("details[open] .text-block").first).to_be_visible()


def test_the_try_out_answers_as_one_types(walk: Walk, busy: Gateway) -> None:
    page = enter(walk, busy).go("/admin/rewrites")
    asked = page.get_by_label("Model that a client requests")
    asked.press_sequentially("claude-opus")
    expect(page.locator("#tried")).to_contain_text(
        "rule 2 matches: pattern ^claude-(.*)$ becomes ds-{1}"
    )
    expect(page).to_have_url(re.compile(r"model=claude-opus$"))
    asked.fill("gpt-5")
    expect(page.locator(".tried-result")).to_have_text(
        re.compile("gpt-5 goes to deepseek as deepseek-v4-pro")
    )
    asked.fill("gpt-6")
    expect(page.locator("#tried")).to_contain_text("No upstream serves gpt-6")


def test_an_upstream_is_added_tested_edited_moved_and_deleted(
    walk: Walk, busy: Gateway, lab: str
) -> None:
    page = enter(walk, busy).go("/admin/upstreams/new")
    page.get_by_label("Own server").check(force=True)
    page.get_by_role("textbox", name="Name", exact=True).fill("lab")
    page.get_by_label("Base URL").fill(lab)
    page.get_by_role("button", name="Name", exact=True).click()
    page.get_by_label("Requested model").fill("gpt-5")
    page.get_by_label("Becomes").fill("lab-1")
    page.get_by_role("button", name="Test").click()
    expect(page.locator("[data-report]")).to_contain_text("It works and lists 2 models.")
    page.get_by_role("button", name="Add upstream").click()

    card = page.locator("section", has=page.get_by_role("heading", name="lab"))
    card.get_by_role("button", name="Test").click()
    expect(card.get_by_role("status")).to_contain_text("It works and lists 2 models.")
    card.get_by_role("link", name="Edit").click()
    page.get_by_role("textbox", name="Name", exact=True).fill("deepseek")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_role("alert").last).to_contain_text("choose another name")
    page.get_by_role("textbox", name="Name", exact=True).fill("workshop")
    page.get_by_label("Extra headers").fill("X-Team: blue: green")
    page.get_by_role("button", name="Save").click()

    card = page.locator("section", has=page.get_by_role("heading", name="workshop"))
    body = Admin(busy).send("GET", "/api/admin/upstreams")["items"][-1]
    assert (body["headers"], body["model_rewrites"]) == (
        {"X-Team": "blue: green"},
        [{"from": "gpt-5", "to": "lab-1"}],
    )
    card.get_by_role("button", name="Delete").click()
    page.locator("#confirm").get_by_role("button", name="Delete").click()
    expect(card).to_have_count(0)


def test_a_preset_fills_the_form_and_follows_what_it_is_to_speak(walk: Walk, busy: Gateway) -> None:
    page = enter(walk, busy).go("/admin/upstreams/new")
    speaks, url = page.get_by_label("API format"), page.get_by_label("Base URL")
    page.get_by_label("Anthropic").check(force=True)
    expect(speaks).to_have_value("messages")
    expect(url).to_have_value("https://api.anthropic.com")
    expect(page.locator("#upstream-base_url-hint")).to_contain_text(
        "/v1/messages is appended", use_inner_text=True
    )

    page.get_by_label("Kimi").check(force=True)
    expect(speaks).to_have_value("chat")
    expect(page.locator("[data-preset-note]")).to_contain_text("https://api.moonshot.ai/anthropic")
    expect(page.locator("#upstream-base_url-hint")).not_to_contain_text(
        "/v1/messages", use_inner_text=True
    )
    speaks.select_option("messages")
    expect(url).to_have_value("https://api.moonshot.ai/anthropic")
    url.fill("https://kimi.example.com")
    speaks.select_option("chat")
    expect(url).to_have_value("https://kimi.example.com")


def test_a_save_without_changes_changes_nothing(walk: Walk, busy: Gateway, lab: str) -> None:
    admin = Admin(busy)
    made = admin.send("POST", "/api/admin/upstreams", WHOLE | {"base_url": lab})
    try:
        page = enter(walk, busy).go(f"/admin/upstreams/{made['id']}")
        page.get_by_role("button", name="Save").click()
        page.wait_for_url("**/admin/upstreams")
        assert admin.send("GET", f"/api/admin/upstreams/{made['id']}") == made
    finally:
        admin.send("DELETE", f"/api/admin/upstreams/{made['id']}")


def test_upstreams_change_places(walk: Walk, busy: Gateway, lab: str) -> None:
    admin = Admin(busy)
    made = [
        admin.send("POST", "/api/admin/upstreams", {"name": name, "base_url": lab})
        for name in ("one", "two")
    ]
    page = enter(walk, busy).go("/admin/upstreams")
    page.get_by_role("button", name="Move two up").click()
    expect(page.get_by_role("heading", level=2).nth(2)).to_have_text("two")
    for each in made:
        admin.send("DELETE", f"/api/admin/upstreams/{each['id']}")


def test_a_price_is_set_and_changed(walk: Walk, busy: Gateway) -> None:
    page = enter(walk, busy).go("/admin/upstreams/prices")
    page.get_by_role("button", name="Set a price").click()
    page.get_by_label("Model").fill("deepseek-v4-pro")
    page.get_by_label("Input", exact=True).fill("0.435")
    page.get_by_label("Output").fill("$1")
    page.get_by_role("button", name="Save").click()
    row = page.get_by_role("row", name=re.compile("deepseek-v4-pro"))
    expect(row).to_contain_text("$0.435")

    row.get_by_role("button", name="Edit").click()
    page.get_by_label("Output").fill("2")
    page.get_by_role("button", name="Save").click()
    expect(row).to_contain_text("$2.00")
    row.get_by_role("button", name="Delete").click()
    page.locator("#confirm").get_by_role("button", name="Delete").click()
    expect(page.get_by_text("No prices set here")).to_be_visible()


def test_a_setting_is_changed_and_shows_its_source(walk: Walk, busy: Gateway) -> None:
    page = enter(walk, busy).go("/admin/settings")
    row = page.locator("li", has=page.get_by_text("ledger.max_age_days", exact=True))
    days = page.get_by_label("ledger.max_age_days", exact=True)
    days.fill("many")
    row.get_by_role("button", name="Save").click()
    expect(days).to_be_focused()
    expect(row.locator(".invalid-feedback")).to_be_visible()
    days.fill("180")
    row.get_by_role("button", name="Save").click()
    expect(row).to_contain_text("set here")
    expect(page.get_by_role("status").filter(has_text="Saved.")).to_be_visible()
    row.get_by_role("button", name="Use the default").click()
    expect(row).not_to_contain_text("set here")
    expect(days).to_have_value("365")
    fixed = page.locator("li", has=page.get_by_text("audit.mode", exact=True))
    expect(fixed).to_contain_text("set in ./config.toml")


def test_no_table_of_health_is_cut_off(walk: Walk, busy: Gateway) -> None:
    page = enter(walk, busy, width=1280).go("/admin/health")
    expect(page.get_by_role("row", name="gateway")).to_contain_text("running")
    hidden = "each => each.scrollWidth - each.clientWidth"
    tables = page.locator(".table-responsive").all()
    assert [table.evaluate(hidden) for table in tables] == [0] * len(tables)


def test_the_database_is_checked_and_a_backup_downloaded(walk: Walk, busy: Gateway) -> None:
    page = enter(walk, busy).go("/admin/health")
    page.get_by_role("button", name="Check for damage").click()
    expect(page.get_by_text("is not damaged")).to_be_visible()
    with page.expect_download() as download:
        page.get_by_role("link", name="Download a backup").click()
    assert download.value.path().read_bytes().startswith(b"SQLite format 3")


def test_the_doctor_runs_from_the_page(walk: Walk, busy: Gateway) -> None:
    page = enter(walk, busy).go("/admin/health")
    page.get_by_role("button", name="Run the doctor").click()
    agent = page.get_by_role("row", name="Cursor Agent")
    expect(agent).to_contain_text("turn 2: restored", timeout=30_000)


def test_what_others_wrote_is_shown_as_text(walk: Walk, busy: Gateway) -> None:
    walker = enter(walk, busy)
    for path, fields in FOREIGN.items():
        page = walker.go(path)
        for field, text in fields.items():
            assert any(text in shown for shown in page.locator(field).all_text_contents()), path
        assert page.locator("main img:not([src^='/static/']), main script").count() == 0, path


def test_a_hostile_upstream_is_reached_by_its_link_and_its_models_are_text(
    walk: Walk, busy: Gateway, lab: str
) -> None:
    made = Admin(busy).send("POST", "/api/admin/upstreams", {"name": "lab", "base_url": lab})
    page = enter(walk, busy).go("/admin/upstreams")
    card = page.locator("section", has=page.get_by_role("heading", name="lab"))
    card.get_by_role("button", name="Test").click()
    expect(card.get_by_role("status")).to_contain_text('lab-1, <script>alert(1)</script>"><img')
    Admin(busy).send("DELETE", f"/api/admin/upstreams/{made['id']}")
    page.get_by_role("link", name=re.compile(r"View <b>")).click()
    expect(page.get_by_role("heading", level=1)).to_have_text(NAME)


def test_what_an_upstream_taught_is_read_and_forgotten(walk: Walk, busy: Gateway) -> None:
    lesson = Lesson(
        upstream="deepseek",
        model=MODEL,
        kind="empty",
        profile="deepseek-v4",
        scope="foreign",
        words="reasoning_content is missing " + MODEL,
        learned_at=1_790_000_000_000,
    )
    with closing(open_engine(f"sqlite:{busy.directory}/adapter.db")) as store:
        store.transact(lambda work: work.run(*keep_lesson(lesson)), alone=())
    page = enter(walk, busy, width=390).go("/admin/upstreams")
    lessons = page.locator("#lessons")
    expect(lessons).to_contain_text("All turns get empty reasoning if theirs is unknown.")
    assert violations(page) == []
    lessons.get_by_role("button", name=re.compile("Forget what deepseek taught")).click()
    expect(lessons).to_be_empty()
    assert Admin(busy).send("GET", "/api/admin/lessons")["items"] == []


def test_a_line_of_100_kb_is_cut_in_the_list_and_whole_in_the_drawer(
    walk: Walk, busy: Gateway
) -> None:
    page = enter(walk, busy, width=390).go("/admin/audit?q=xxxx")
    opener = page.locator("tbody .row-link")
    assert len(opener.inner_text()) < 1000
    opener.click()
    expect(page.locator("#drawer-body .said-user .text-block")).to_have_text(LONG)
    assert violations(page) == []


@pytest.mark.parametrize("width", WIDTHS)
def test_everybody_can_use_the_pages(walk: Walk, busy: Gateway, width: int) -> None:
    walker = enter(walk, busy, width=width)
    assert [
        (path, found) for path in PATHS if (found := violations_in_both_colours(walker.go(path)))
    ] == []


@pytest.mark.parametrize("width", WIDTHS)
def test_everybody_can_use_the_drawers(walk: Walk, busy: Gateway, width: int) -> None:
    walker = enter(walk, busy, width=width)
    page = walker.go(f"/admin/audit?q={PHRASE}")
    page.locator("tbody .row-link").first.click()
    expect(page.locator("#drawer-body .conversation")).to_be_visible()
    assert violations_in_both_colours(page) == []
    page = walker.go("/admin/upstreams/prices")
    page.get_by_role("button", name="Set a price").click()
    expect(page.get_by_label("Valid from")).to_be_visible()
    assert violations_in_both_colours(page) == []
