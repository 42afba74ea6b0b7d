import re
from typing import Any

import pytest
from litestar.testing import AsyncTestClient

from manage_api.domains.upstreams.schemas import RewriteBody, TimeoutsBody, UpstreamBody
from shared.store.engine import Engine
from shared.store.key_rests import rest
from shared.store.lessons import Lesson, keep_lesson
from tests.manage_api.web.visits import text_of, turned_away, write
from tests.manage_api.world import ManualClock, Person, bearer

PATHS = [
    "/admin/upstreams",
    "/admin/upstreams/new",
    "/admin/upstreams/prices",
    "/admin/upstreams/prices/form",
    "/admin/rewrites",
]
OFFERING = ("rewrites", "settings")
FILE = """
[[upstreams]]
name = "a b <b>"
base_url = "https://api.deepseek.com"
api_keys = ["sk-of-the-file-4444"]
models = ["deepseek-v4-pro", "<script>alert(1)</script>"]
model_rewrites = [{ from = "gpt-5", to = "deepseek-v4-pro" }]
"""
IN_THE_FILE = pytest.mark.parametrize("toml", [FILE], indirect=True)
PRIVATE = "[server]\nallow_private_upstreams = true\n"


@pytest.mark.parametrize("path", PATHS)
async def test_strangers_are_sent_to_sign_in_and_users_turned_away(
    client: AsyncTestClient, session: str, path: str
) -> None:
    assert await turned_away(client, session, path)


async def test_without_upstreams_the_page_says_what_to_do(
    client: AsyncTestClient, admin_session: str
) -> None:
    text = await text_of(client, admin_session, "/admin/upstreams")

    assert "There is no upstream yet" in text
    assert 'href="/admin/upstreams/new"' in text


@IN_THE_FILE
async def test_what_the_file_says_is_shown_as_text_and_can_t_be_changed(
    client: AsyncTestClient, admin_session: str
) -> None:
    text = await text_of(client, admin_session, "/admin/upstreams")

    assert "a b &lt;b&gt;" in text
    assert "&lt;script&gt;alert(1)" in text
    assert "<script>alert" not in text
    assert "sk-of-the-file" not in text
    assert "DELETE /api" not in text


@pytest.mark.parametrize(
    "toml", ['[[upstreams]]\nname = "open"\nbase_url = "https://open.example"\n'], indirect=True
)
async def test_what_an_upstream_lists_is_shown_and_offered(
    client: AsyncTestClient, admin_session: str, store: Engine
) -> None:
    listing = (
        "INSERT INTO upstream_models VALUES ('open', 'https://open.example/v1/chat/completions', "
        "1, 1, '[\"glm-6\", \"<b>\"]', 'Key …1111: <i>.', 401)"
    )
    before = await text_of(client, admin_session, "/admin/upstreams")
    store.transact(lambda work: work.run(listing), alone=())
    after = await text_of(client, admin_session, "/admin/upstreams")
    form = await text_of(client, admin_session, "/admin/upstreams/config%3Aopen")
    price = await text_of(client, admin_session, "/admin/upstreams/prices/form")
    pages = [await text_of(client, admin_session, f"/admin/{each}") for each in OFFERING]

    assert "It lists" not in before
    assert "It lists 2 models" in after
    assert "glm-6, &lt;b&gt;" in after
    assert "Key …1111: &lt;i&gt;." in after
    assert "<option>glm-6</option>" in form
    assert all('<option value="glm-6">' in each for each in (form, price, *pages))


@IN_THE_FILE
async def test_an_upstream_is_found_by_the_link_to_it(
    client: AsyncTestClient, admin_session: str
) -> None:
    text = await text_of(client, admin_session, "/admin/upstreams/config%3Aa%2520b%2520%253Cb%253E")

    assert "This upstream is set in" in text
    assert 'value="https://api.deepseek.com"' in text


@pytest.mark.parametrize(
    "path", ["/admin/upstreams/new", "/admin/upstreams/config%3Aa%2520b%2520%253Cb%253E"]
)
@IN_THE_FILE
async def test_the_form_has_a_field_for_every_member(
    client: AsyncTestClient, admin_session: str, path: str
) -> None:
    text = await text_of(client, admin_session, path)

    shown = set(re.findall(r'name="([a-z_/0]+)"', text))
    rewrite = {f"model_rewrites/0/{name}" for name in RewriteBody.__struct_encode_fields__}
    timeouts = {f"timeouts/{name}" for name in TimeoutsBody.__struct_fields__}
    assert {*UpstreamBody.__struct_fields__, *rewrite, *timeouts} - shown == {
        "model_rewrites",
        "timeouts",
    }


@IN_THE_FILE
async def test_the_profile_and_the_price_are_told(
    client: AsyncTestClient, admin_session: str
) -> None:
    text = await text_of(client, admin_session, "/admin/upstreams")

    assert "<code>deepseek-v4</code>" in text
    assert "by its host" in text
    assert "$0.435" in text


@IN_THE_FILE
async def test_a_resting_key_is_shown_with_the_reason(
    client: AsyncTestClient, admin_session: str, store: Engine, clock: ManualClock
) -> None:
    statement = rest(
        "a b <b>", "sk-of-the-file-4444", clock.now_ms() + 60_000, "it was <i>answered</i> with 429"
    )
    store.transact(lambda work: work.run(*statement), alone=())

    text = await text_of(client, admin_session, "/admin/upstreams")

    assert "Its key rests" in text
    assert "it was &lt;i&gt;answered&lt;/i&gt; with 429" in text


@pytest.mark.parametrize("toml", [PRIVATE], indirect=True)
async def test_stored_upstreams_can_be_moved_but_not_beyond_the_ends(
    client: AsyncTestClient, admin_session: str
) -> None:
    for name in ("first", "second"):
        body: Any = {"name": name, "base_url": "http://127.0.0.1:9/v1"}
        await client.post("/api/admin/upstreams", json=body, headers=bearer(admin_session))

    text = await text_of(client, admin_session, "/admin/upstreams")

    assert text.count("/move") == 4
    assert text.count('title="Up" disabled') == text.count('title="Down" disabled') == 1


@IN_THE_FILE
@pytest.mark.parametrize(
    ("model", "told"),
    [
        ("gpt-5", "rule 1 matches"),
        ("deepseek-v4-pro", "the model is in its list"),
        ('"><img onerror=x>', "No upstream serves"),
    ],
)
async def test_the_try_out_answers(
    client: AsyncTestClient, admin_session: str, model: str, told: str
) -> None:
    text = await text_of(client, admin_session, "/admin/rewrites", model=model)

    assert told in text
    assert "<img" not in text.partition('id="tried"')[2]


@IN_THE_FILE
async def test_a_published_price_can_be_replaced(
    client: AsyncTestClient, admin_session: str
) -> None:
    draft = await text_of(
        client,
        admin_session,
        "/admin/upstreams/prices/form",
        upstream="a b <b>",
        model="deepseek-v4-pro",
    )
    body: Any = {
        "model": "deepseek-v4-pro",
        "from_day": 20200101,
        "input_micros": 1,
        "output_micros": 2,
    }
    await client.post("/api/admin/prices", json=body, headers=bearer(admin_session))
    text = await text_of(client, admin_session, "/admin/upstreams/prices")

    assert 'value="0.435"' in draft
    assert "replaced by yours" in text
    assert "$0.000001" in text


async def test_a_price_that_is_gone_is_not_found(
    client: AsyncTestClient, admin_session: str
) -> None:
    answer = await client.get(
        "/admin/upstreams/prices/form?price_id=7", headers=bearer(admin_session)
    )

    assert answer.status_code == 404


# -- lessons ---------------------------------------------------------------------------------------


async def test_what_upstreams_taught_is_shown_with_a_button_to_forget_it(
    client: AsyncTestClient, admin_session: str, store: Engine
) -> None:
    lesson = Lesson(
        upstream="deep",
        model="<b>m",
        kind="empty",
        profile="glm",
        scope="calls",
        words="<script>alert(1) is missing",
        learned_at=1_700_000_000_000,
    )
    store.transact(lambda work: work.run(*keep_lesson(lesson)), alone=())

    text = await text_of(client, admin_session, "/admin/upstreams")

    assert "Learned from rejections" in text
    assert "Turns with tool calls get empty reasoning if theirs is unknown." in text
    assert "&lt;script&gt;alert(1) is missing" in text
    assert "&lt;b&gt;m" in text
    [button] = re.findall(r'data-api="(DELETE /api/admin/lessons/\w+)"', text)
    path = button.removeprefix("DELETE ")
    assert (await client.delete(path, headers=bearer(admin_session))).status_code == 204
    text = await text_of(client, admin_session, "/admin/upstreams")
    assert "Learned from rejections" not in text


BOTH = """
[[upstreams]]
name = "all"
base_url = "https://a.b"
api_keys = ["sk-of-the-first-1111", "sk-of-the-first-2222"]

[[upstreams]]
name = "some"
base_url = "https://c.d"
models = ["m"]
"""


@pytest.mark.parametrize("toml", [BOTH], indirect=True, ids=["both"])
async def test_a_key_is_in_use_once_it_was_asked(
    client: AsyncTestClient, admin_session: str, store: Engine, ada: Person
) -> None:
    before = await text_of(client, admin_session, "/admin/upstreams")
    write(store, ada, 1, upstream="all", upstream_key="2222")
    after = await text_of(client, admin_session, "/admin/upstreams")
    store.transact(lambda work: work.run("UPDATE ledger SET id = 2"), alone=())
    later = await text_of(client, admin_session, "/admin/upstreams")

    words = ("in use", "never asked", "not asked lately")
    assert [[text.count(f">{word}<") for word in words] for text in (before, after, later)] == [
        [0, 2, 0],
        [1, 1, 0],
        [1, 0, 1],
    ]


@pytest.mark.parametrize(
    ("toml", "warned"), [(BOTH, True), (FILE, False)], indirect=["toml"], ids=["all", "a list"]
)
async def test_an_upstream_that_takes_every_model_from_others_is_warned_of(
    client: AsyncTestClient, admin_session: str, warned: bool
) -> None:
    shown = [
        await text_of(client, admin_session, "/admin/upstreams"),
        await text_of(client, admin_session, "/setup", step="upstream"),
    ]

    assert ["takes every model, so" in text for text in shown] == [warned, warned]
