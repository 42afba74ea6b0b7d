import pytest
from litestar.testing import AsyncTestClient


@pytest.mark.parametrize(
    ("toml", "headers", "allowed"),
    [
        ("", {}, True),
        ("", {"X-Forwarded-For": "203.0.113.1"}, False),
        ("[registration]\nallowed = true", {"X-Forwarded-For": "203.0.113.1"}, True),
        ("[registration]\nallowed = false", {}, False),
    ],
    indirect=["toml"],
)
async def test_pages_and_api_agree_on_who_may_register(
    client: AsyncTestClient, headers: dict[str, str], allowed: bool
) -> None:
    told = (await client.get("/api/config", headers=headers)).json()["allow_registration"]
    form = (await client.get("/register", headers=headers)).text
    front = (await client.get("/", headers=headers)).text

    assert told is allowed
    assert ('name="password"' in form, 'href="/register"' in front) == (allowed, allowed)
