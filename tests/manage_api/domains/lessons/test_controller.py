from litestar.testing import AsyncTestClient
from msgspec.structs import replace

from shared.store.engine import Engine
from shared.store.lessons import Lesson, keep_lesson, read_lessons
from tests.manage_api.world import bearer

LESSONS = "/api/admin/lessons"
EMPTY = Lesson(
    upstream="main",
    model="a/b c",
    kind="empty",
    profile="glm",
    scope="calls",
    words="reasoning_content is missing",
    learned_at=7,
)
PICTURES = replace(EMPTY, kind="pictures", scope="", words="")


def learn(store: Engine) -> None:
    statements = [keep_lesson(EMPTY), keep_lesson(PICTURES)]
    store.transact(lambda work: [work.run(*each) for each in statements], alone=())


async def test_lessons_are_listed_with_what_taught_them(
    client: AsyncTestClient, admin: str, store: Engine
) -> None:
    learn(store)

    [empty, pictures] = (await client.get(LESSONS, headers=bearer(admin))).json()["items"]

    assert empty == {
        "id": empty["id"],
        "upstream": "main",
        "model": "a/b c",
        "kind": "empty",
        "scope": "calls",
        "member": "",
        "words": "reasoning_content is missing",
        "learned_at": 7,
    }
    assert (pictures["kind"], pictures["id"] != empty["id"]) == ("pictures", True)


async def test_one_lesson_is_forgotten(client: AsyncTestClient, admin: str, store: Engine) -> None:
    learn(store)
    [empty, _] = (await client.get(LESSONS, headers=bearer(admin))).json()["items"]

    answers = [
        await client.delete(f"{LESSONS}/{empty['id']}", headers=bearer(admin)) for _ in range(2)
    ]

    assert [answer.status_code for answer in answers] == [204, 404]
    assert read_lessons(store) == [PICTURES]
