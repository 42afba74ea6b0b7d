import csv
import io
import json
from typing import Any

import pytest
from litestar.testing import AsyncTestClient

from tests.manage_api.books import Books
from tests.manage_api.world import ManualClock, People, Person, bearer, fields

AUDIT, EXPORT = "/api/admin/audit", "/api/admin/audit/export"
DAY = 86_400
CONVERSATION = {
    "messages": [
        {"role": "user", "text": "修复这个错误"},
        {
            "role": "assistant",
            "text": "",
            "calls": [{"name": "read", "arguments": "{}"}],
            "reasoning": "I read it.",
            "restored": "id",
        },
    ],
    "answer": {"text": "Done.", "calls": [], "reasoning": "It works."},
}
CALL = {"name": "read", "arguments": "{}"}


async def found(client: AsyncTestClient, session: str, **query: Any) -> list[str]:
    """The texts of the records that are found, the first ones."""
    answer = await client.get(AUDIT, params=query, headers=bearer(session))
    assert answer.status_code == 200
    return [record["text"] for record in answer.json()["items"]]


async def exported(client: AsyncTestClient, session: str, **query: Any) -> list[dict[str, Any]]:
    answer = await client.get(EXPORT, params=query, headers=bearer(session))
    assert answer.status_code == 200
    if query.get("format") == "jsonl":
        return [json.loads(line) for line in answer.text.splitlines()]
    return list(csv.DictReader(io.StringIO(answer.text, newline="")))


async def test_who_asked_what_is_listed_newest_first(
    client: AsyncTestClient, admin: str, books: Books, ada: Person, clock: ManualClock
) -> None:
    books.record(ada, "first")
    books.record(ada, "second", exchange="x2", status=0)

    answer = await client.get(AUDIT, headers=bearer(admin))

    newest, oldest = answer.json()["items"]
    who = {"user_id": ada.user.id, "username": "ada", "model": "m", "upstream": "main"}
    assert newest == who | {
        "id": 2,
        "exchange": "x2",
        "at": clock.now_ms(),
        "status": 0,
        "text": "second",
    }
    assert (oldest["text"], answer.json()["next"]) == ("first", None)


@pytest.mark.parametrize(
    ("query", "texts"),
    [
        ({"q": "错误"}, ["修复这个错误"]),
        ({"q": "这个错"}, ["修复这个错误"]),
        ({"q": "ELL"}, ["hello"]),
        ({"q": " hello "}, ["hello"]),
        ({"q": 'he"llo'}, []),
        ({"q": "%"}, []),
        ({"q": "\x00\x00\x00"}, []),
        ({"q": ""}, ["other", "hello", "修复这个错误"]),
        ({"model": "n"}, ["other"]),
        ({"upstream": "spare"}, ["other"]),
        ({"model": "", "upstream": ""}, ["other", "hello", "修复这个错误"]),
        ({"from": "2027-01-16"}, ["other"]),
        ({"to": "20270115"}, ["hello", "修复这个错误"]),
        ({"from": "2027-01-15", "to": "2027-01-16", "q": "other"}, ["other"]),
    ],
    ids=[
        *(
            "two of chinese",
            "three of chinese",
            "any case",
            "blanks around",
            "quote",
            "wildcard",
            "nul",
            "no text",
        ),
        *("model", "upstream", "empty filters", "from", "to", "together"),
    ],
)
async def test_records_are_found(
    client: AsyncTestClient,
    admin: str,
    books: Books,
    ada: Person,
    clock: ManualClock,
    query: dict[str, Any],
    texts: list[str],
) -> None:
    books.record(ada, "修复这个错误")
    books.record(ada, "hello")
    clock.seconds += DAY
    books.record(ada, "other", model="n", upstream="spare")
    clock.seconds -= DAY

    assert await found(client, admin, **query) == texts


async def test_records_are_those_of_one_user(
    client: AsyncTestClient, admin: str, books: Books, ada: Person, people: People
) -> None:
    bob = people.add("bob")
    books.record(ada, "of ada")
    books.record(bob, "of bob")

    assert await found(client, admin, user_id=bob.user.id) == ["of bob"]
    assert await found(client, admin, user_id=99) == []


async def test_records_are_paged(
    client: AsyncTestClient, admin: str, books: Books, ada: Person
) -> None:
    for number in range(5):
        books.record(ada, f"text {number}")

    texts: list[str] = []
    query: dict[str, Any] = {"limit": 2, "q": "text"}
    while len(texts) < 6:
        page = (await client.get(AUDIT, params=query, headers=bearer(admin))).json()
        texts += [record["text"] for record in page["items"]]
        if page["next"] is None:
            break
        query["cursor"] = page["next"]

    assert texts == [f"text {number}" for number in (4, 3, 2, 1, 0)]


async def test_a_list_shows_the_beginning_of_a_long_text(
    client: AsyncTestClient, admin: str, books: Books, ada: Person
) -> None:
    books.record(ada, "字" * 3000)

    assert await found(client, admin) == ["字" * 2000]
    whole = await client.get(f"{AUDIT}/1", headers=bearer(admin))
    assert whole.json()["text"] == "字" * 3000


async def test_a_record_shows_its_conversation(
    client: AsyncTestClient, admin: str, books: Books, ada: Person
) -> None:
    books.record(ada, "修复这个错误", CONVERSATION)

    answer = await client.get(f"{AUDIT}/1", headers=bearer(admin))

    plain = {"calls": [], "reasoning": None, "restored": None, "missed": None}
    assert answer.json()["conversation"] == {
        "messages": [plain | message for message in CONVERSATION["messages"]],
        "answer": plain | {"role": "assistant"} | CONVERSATION["answer"],
    }


@pytest.mark.parametrize(
    "conversation", [None, [], {"messages": 7}, "junk"], ids=["none", "list", "other shape", "text"]
)
async def test_a_record_without_a_readable_conversation_is_shown(
    client: AsyncTestClient, admin: str, books: Books, ada: Person, conversation: Any
) -> None:
    books.record(ada, "hello", conversation)

    answer = await client.get(f"{AUDIT}/1", headers=bearer(admin))

    assert (answer.json()["text"], answer.json()["conversation"]) == ("hello", None)


async def test_an_answer_may_be_missing(
    client: AsyncTestClient, admin: str, books: Books, ada: Person
) -> None:
    books.record(ada, "hello", {"messages": [], "answer": None})

    answer = await client.get(f"{AUDIT}/1", headers=bearer(admin))

    assert answer.json()["conversation"] == {"messages": [], "answer": None}


@pytest.mark.parametrize(
    ("number", "status"), [(7, 404), (0, 400), (2**53, 400), (2**63, 400), (10**30, 400)]
)
async def test_a_record_that_is_not_there_is_said_to_be_missing(
    client: AsyncTestClient, admin: str, number: int, status: int
) -> None:
    answer = await client.get(f"{AUDIT}/{number}", headers=bearer(admin))

    assert answer.status_code == status
    if status == 400:
        assert fields(answer).keys() == {"record_id"}


async def test_records_are_exported_as_a_table(
    client: AsyncTestClient, admin: str, books: Books, ada: Person
) -> None:
    books.record(ada, '多行\n"text", with a comma', CONVERSATION)
    books.record(ada, "=HYPERLINK(1)", exchange="x2")

    newest, oldest = await exported(client, admin)

    who = {
        "user_id": str(ada.user.id),
        "username": "ada",
        "model": "m",
        "upstream": "main",
        "status": "200",
    }
    text = {"time": "2027-01-15 08:00:00+00:00", "exchange": "x2", "text": "'=HYPERLINK(1)"}
    assert newest == {"id": "2"} | who | text
    assert oldest["text"] == '多行\n"text", with a comma'


async def test_records_are_exported_as_lines_of_json_with_conversations(
    client: AsyncTestClient, admin: str, books: Books, ada: Person
) -> None:
    books.record(ada, "字" * 3000, CONVERSATION)

    [record] = await exported(client, admin, format="jsonl")

    assert record["text"] == "字" * 3000
    assert record["conversation"]["messages"][1]["calls"] == [CALL]


@pytest.mark.parametrize("form", ["csv", "jsonl"])
async def test_an_export_has_all_that_is_found_and_nothing_else(
    client: AsyncTestClient, admin: str, books: Books, ada: Person, form: str
) -> None:
    for number in range(45):
        books.record(ada, f"wanted {number}" if number % 2 else "another")

    lines = await exported(client, admin, format=form, q="wanted")

    assert [line["text"] for line in lines] == [f"wanted {number}" for number in range(43, 0, -2)]


@pytest.mark.parametrize(
    ("form", "media_type"), [("csv", "text/csv; charset=utf-8"), ("jsonl", "application/jsonl")]
)
async def test_an_export_is_a_file_also_when_it_is_empty(
    client: AsyncTestClient, admin: str, form: str, media_type: str
) -> None:
    answer = await client.get(EXPORT, params={"format": form}, headers=bearer(admin))

    assert answer.status_code == 200
    assert answer.headers["content-type"] == media_type
    assert answer.headers["content-disposition"] == f'attachment; filename="audit.{form}"'
    assert len(answer.text.splitlines()) == (1 if form == "csv" else 0)


@pytest.mark.parametrize("path", [AUDIT, EXPORT])
@pytest.mark.parametrize(
    ("query", "field"),
    [
        ({"user_id": 2**63}, "user_id"),
        ({"user_id": -1}, "user_id"),
        ({"user_id": "ada"}, "user_id"),
        ({"from": "yesterday"}, "from"),
        ({"to": "2026-02-30"}, "to"),
        ({"from": "2026-11-21", "to": "2026-11-20"}, "from"),
        ({"q": "x" * 1025}, "q"),
        ({"model": "x" * 1025}, "model"),
    ],
    ids=["huge user", "negative user", "user by name", "from", "to", "order", "text", "model"],
)
async def test_a_query_that_cannot_be_answered_is_named(
    client: AsyncTestClient, admin: str, path: str, query: dict[str, Any], field: str
) -> None:
    answer = await client.get(path, params=query, headers=bearer(admin))

    assert answer.status_code == 400
    assert fields(answer).keys() == {field}


@pytest.mark.parametrize(
    ("path", "query", "field"),
    [
        (AUDIT, {"cursor": "x"}, "cursor"),
        (AUDIT, {"limit": 1000}, "limit"),
        (EXPORT, {"format": "xml"}, "format"),
    ],
    ids=["cursor", "limit", "format"],
)
async def test_pages_and_formats_that_do_not_exist_are_named(
    client: AsyncTestClient, admin: str, path: str, query: dict[str, Any], field: str
) -> None:
    answer = await client.get(path, params=query, headers=bearer(admin))

    assert answer.status_code == 400
    assert fields(answer).keys() == {field}


async def test_the_audit_is_for_admins(
    client: AsyncTestClient, ada: Person, root: Person, books: Books
) -> None:
    books.record(ada, "hello")

    for credential in (ada.key, root.key):
        for path in (AUDIT, EXPORT, f"{AUDIT}/1"):
            answer = await client.get(path, headers=bearer(credential))
            assert (path, answer.status_code) == (path, 403)
