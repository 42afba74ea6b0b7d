import pytest
from litestar.testing import AsyncTestClient

from tests.manage_api.world import Person

ORIGIN = "https://think.example.com"


@pytest.mark.parametrize(
    "headers",
    [
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Sec-Fetch-Site": "cross-site", "Origin": ORIGIN},
        {"Origin": "https://evil.example.com"},
        {"Origin": "null"},
        {"Origin": "https://evil.example.com", "X-Forwarded-Host": "evil.example.com"},
    ],
    ids=[
        "cross site",
        "same site",
        "cross site with our origin",
        "another origin",
        "no origin",
        "a host made up",
    ],
)
async def test_a_page_of_another_site_may_not_sign_in(
    client: AsyncTestClient, ada: Person, headers: dict[str, str]
) -> None:
    answer = await client.post(
        "/api/login", json=ada.credentials, headers={"Host": "think.example.com"} | headers
    )

    assert answer.status_code == 403
    assert "another site" in answer.json()["detail"]


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Sec-Fetch-Site": "same-origin", "Origin": ORIGIN},
        {"Sec-Fetch-Site": "none"},
        {"Origin": ORIGIN},
    ],
    ids=["a program", "our page", "typed in", "an old browser"],
)
async def test_programs_and_our_own_pages_may(
    client: AsyncTestClient, ada: Person, headers: dict[str, str]
) -> None:
    answer = await client.post(
        "/api/login", json=ada.credentials, headers={"Host": "think.example.com"} | headers
    )

    assert answer.status_code == 200


async def test_reading_is_open_to_links_from_other_sites(client: AsyncTestClient) -> None:
    answer = await client.get("/", headers={"Sec-Fetch-Site": "cross-site"})

    assert answer.status_code == 200


@pytest.mark.parametrize("origin", ["http://[", "null", "http://", "://"])
async def test_an_origin_that_is_no_url_is_not_our_own(
    client: AsyncTestClient, origin: str
) -> None:
    answer = await client.post("/api/login", json={}, headers={"Origin": origin})
    assert answer.status_code == 403


@pytest.mark.parametrize(
    ("media_type", "status"),
    [
        ("application/x-www-form-urlencoded", 403),
        ("text/plain;charset=UTF-8", 403),
        ("Multipart/Form-Data; boundary=x", 403),
        ("application/json", 200),
    ],
)
@pytest.mark.parametrize("path", ["/api/regenerate-key"])
async def test_a_form_that_hides_where_it_comes_from_may_not_use_the_cookie(
    client: AsyncTestClient, session: str, path: str, media_type: str, status: int
) -> None:
    headers = {"Content-Type": media_type}

    with_cookie = await client.post(
        path, headers=headers | {"Cookie": f"thinkback={session}"}, content="{}"
    )
    program = await client.post(
        path, headers=headers | {"Authorization": f"Bearer {session}"}, content="{}"
    )

    assert (with_cookie.status_code, program.status_code) == (status, 200)
