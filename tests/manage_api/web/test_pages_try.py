import pytest
from litestar.testing import AsyncTestClient

from tests.manage_api.world import People, Person, bearer

LOCAL = '[server]\nui = "local"\n'
PUBLIC = {"PUBLIC_URL": "https://think.example.com"}


async def test_ones_own_keys_for_models_are_offered(
    client: AsyncTestClient, ada: Person, people: People, root: Person
) -> None:
    people.key(root, "admin")
    expired = people.key(ada, expires_at=1)

    text = (await client.get("/try", headers=bearer(ada.key))).text

    assert f"(…{ada.key[-4:]})" in text
    for key in (root.key, expired):
        assert f"…{key[-4:]}" not in text


@pytest.mark.parametrize(
    ("environ", "toml", "host", "asked", "reached"),
    [
        ({}, "", "127.0.0.1:8787", "/v1", "connect-src 'self';"),
        (PUBLIC, "", "think.example.com", "/v1", "connect-src 'self';"),
        (
            {},
            "",
            "localhost:8788",
            "http://127.0.0.1:8787/v1",
            "connect-src 'self' http://127.0.0.1:8787;",
        ),
        (
            PUBLIC,
            LOCAL,
            "admin.example.com",
            "https://think.example.com/v1",
            "connect-src 'self' https://think.example.com;",
        ),
    ],
    ids=["public port", "behind a proxy", "the sidecar's own port", "pages apart"],
    indirect=["environ", "toml"],
)
async def test_models_are_asked_where_they_are(
    client: AsyncTestClient, ada: Person, host: str, asked: str, reached: str
) -> None:
    answer = await client.get("/try", headers=bearer(ada.key) | {"Host": host})

    assert f'data-v1="{asked}"' in answer.text
    assert reached in answer.headers["content-security-policy"]


async def test_an_admin_is_led_to_the_doctors_conversations(
    client: AsyncTestClient, ada: Person, root: Person
) -> None:
    pages = [(await client.get("/try", headers=bearer(one.key))).text for one in (root, ada)]

    assert ['href="/admin/health?doctor=true' in page for page in pages] == [True, False]
