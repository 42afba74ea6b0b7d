from typing import Any

import pytest
from litestar.testing import AsyncTestClient

from tests.manage_api.books import Books
from tests.manage_api.world import People, Person, bearer

MINE, EVERYBODYS = "/api/my-conversations", "/api/admin/conversations"


async def answered(client: AsyncTestClient, path: str, credential: str, **query: Any) -> Any:
    answer = await client.get(path, params=query, headers=bearer(credential))
    assert answer.status_code == 200
    return answer.json()


async def names(client: AsyncTestClient, path: str, credential: str, **query: Any) -> list[str]:
    return [
        each["conversation"]
        for each in (await answered(client, path, credential, **query))["items"]
    ]


async def test_a_conversation_tells_what_it_used_and_what_came_from_the_cache(
    client: AsyncTestClient, ada: Person, books: Books
) -> None:
    first = books.settle(ada, conversation="c", restored=1)
    books.settle(
        ada, conversation="c", at=first.at + 9, cached_tokens=60, missing=1, user_agent="Cursor/1.0"
    )

    [mine] = (await answered(client, MINE, ada.key))["items"]

    assert (mine["requests"], mine["tokens"], mine["cached_share"], mine["cost_micros"]) == (
        2,
        240,
        0.3,
        100,
    )
    assert (mine["first_at"], mine["last_at"], mine["user_agent"]) == (
        first.at,
        first.at + 9,
        "Cursor/1.0",
    )
    assert (mine["restored"], mine["missing"], mine["user_id"], mine["username"]) == (
        1,
        1,
        ada.user.id,
        "ada",
    )


async def test_my_conversations_are_mine_alone(
    client: AsyncTestClient, ada: Person, people: People, books: Books
) -> None:
    bob = people.add("bob")
    books.settle(ada, conversation="ada's")
    books.settle(bob, conversation="bob's")
    books.settle(conversation="nobody's")

    assert await names(client, MINE, ada.key) == ["ada's"]
    assert await names(client, MINE, ada.key, user_id=bob.user.id) == ["ada's"]


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ({}, ["nobody's", "second", "first"]),
        ({"user_id": 0}, ["nobody's"]),
        ({"model": "n"}, ["second"]),
        ({"upstream": "spare"}, ["nobody's"]),
    ],
    ids=["all", "nobody's", "model", "upstream"],
)
async def test_an_admin_sees_everybodys(
    client: AsyncTestClient,
    ada: Person,
    admin: str,
    books: Books,
    query: dict[str, Any],
    found: list[str],
) -> None:
    books.settle(ada, conversation="first")
    books.settle(ada, conversation="second", model="n")
    books.settle(conversation="nobody's", upstream="spare")

    assert await names(client, EVERYBODYS, admin, **query) == found


async def test_a_long_list_is_read_page_by_page(
    client: AsyncTestClient, ada: Person, books: Books
) -> None:
    for number in range(3):
        books.settle(ada, conversation=f"c{number}")

    first = await answered(client, MINE, ada.key, limit=2)
    second = await answered(client, MINE, ada.key, limit=2, cursor=first["next"])

    assert [each["conversation"] for page in (first, second) for each in page["items"]] == [
        "c2",
        "c1",
        "c0",
    ]
    assert second["next"] is None


async def test_the_requests_of_a_conversation_are_told_to_its_user_and_admins(
    client: AsyncTestClient, ada: Person, people: People, admin: str, books: Books
) -> None:
    books.settle(ada, exchange="one", conversation="c")
    books.settle(ada, exchange="other", conversation="d")
    callers = (
        ("/api/my-requests", ada.key),
        ("/api/my-requests", people.add("bob").key),
        ("/api/admin/requests", admin),
    )

    told = [(await answered(client, *caller, conversation="c"))["items"] for caller in callers]

    assert [[each["exchange"] for each in items] for items in told] == [["one"], [], ["one"]]
