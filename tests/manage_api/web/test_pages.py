import pytest
from litestar.testing import AsyncTestClient

from tests.manage_api.web.visits import signed_in
from tests.manage_api.world import Person

UPSTREAM = {"UPSTREAM_BASE_URL": "https://api.example.com"}
THROUGH_TLS = {"Host": "think.example.com", "X-Forwarded-Proto": "https"}


async def test_strangers_learn_that_it_runs_and_where(client: AsyncTestClient) -> None:
    page = (await client.get("/", headers=THROUGH_TLS)).text

    assert "Thinkback is running" in page
    assert "https://think.example.com/v1" in page


@pytest.mark.parametrize("environ", [UPSTREAM], indirect=True)
async def test_the_page_does_not_name_the_upstream_to_strangers(client: AsyncTestClient) -> None:
    page = (await client.get("/")).text

    assert "has no upstream" not in page
    assert "api.example.com" not in page


async def test_without_an_upstream_the_page_says_who_can_set_one_up(
    client: AsyncTestClient,
) -> None:
    assert "Sign in as admin to set it up" in (await client.get("/")).text


@pytest.mark.parametrize(
    ("environ", "path", "place"),
    [
        (UPSTREAM, "/", "/dashboard"),
        (UPSTREAM, "/?next=/account", "/account"),
        (UPSTREAM, "/?next=//evil.example.com", "/dashboard"),
        (UPSTREAM, "/register", "/dashboard"),
        ({}, "/", "/setup"),
        ({}, "/?next=/account", "/account"),
    ],
    ids=[
        "home",
        "where one wanted to go",
        "never elsewhere",
        "an account is enough",
        "first the setup",
        "wanted",
    ],
    indirect=["environ"],
)
async def test_an_admin_who_is_signed_in_is_led_on(
    client: AsyncTestClient, root: Person, path: str, place: str
) -> None:
    answer = await client.get(path, headers=await signed_in(client, root), follow_redirects=False)

    assert (answer.status_code, answer.headers["location"]) == (303, place)


@pytest.mark.parametrize(
    ("toml", "offered", "code"),
    [
        ("", True, False),
        ('[registration]\ninvite_codes = ["a-long-invite-code"]\n', True, True),
        ("[registration]\nallowed = false\n", False, False),
        ('[server]\npublic_url = "https://think.example.com"\n', False, False),
        (
            '[server]\npublic_url = "https://think.example.com"\n[registration]\nallowed = true\n',
            True,
            False,
        ),
    ],
    ids=["open", "with a code", "closed", "under a public URL", "open under a public URL"],
    indirect=["toml"],
)
async def test_registration_is_offered_as_the_settings_say(
    client: AsyncTestClient, offered: bool, code: bool
) -> None:
    home, form = (await client.get("/")).text, (await client.get("/register")).text

    assert ('href="/register"' in home) is ('data-api="POST /api/register"' in form) is offered
    assert ('name="invite_code"' in form) is code
