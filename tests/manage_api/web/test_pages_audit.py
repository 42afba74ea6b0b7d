import pytest
from litestar.testing import AsyncTestClient

from manage_api.web.pages_audit import excerpt
from shared.store.engine import Engine
from tests.manage_api.books import Books
from tests.manage_api.web.visits import text_of, turned_away
from tests.manage_api.world import ManualClock, Person, bearer

HOSTILE = '<script>alert(1)</script>"><img src=x onerror=alert(2)>\u202e'


@pytest.fixture
def books(store: Engine, clock: ManualClock) -> Books:
    return Books(store, clock)


@pytest.mark.parametrize("path", ["/admin/audit", "/admin/audit/1"])
async def test_strangers_are_sent_to_sign_in_and_users_turned_away(
    client: AsyncTestClient, session: str, path: str
) -> None:
    assert await turned_away(client, session, path)


async def test_a_part_of_a_text_finds_it_and_is_marked(
    client: AsyncTestClient, admin_session: str, books: Books, ada: Person
) -> None:
    books.record(ada, "请帮我查一下上海的天气")
    books.record(ada, "something else")

    text = await text_of(client, admin_session, "/admin/audit", q="上海的")

    assert "请帮我查一下<mark>上海的</mark>天气" in text
    assert "something else" not in text


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ({"user": "ADA"}, True),
        ({"user": "root"}, False),
        ({"model": "m"}, True),
        ({"model": "n"}, False),
        ({"upstream": "main"}, True),
        ({"from": "2027-01-15", "to": "2027-01-15"}, True),
        ({"to": "2027-01-14"}, False),
    ],
    ids=str,
)
async def test_filters_are_those_of_the_url(
    client: AsyncTestClient,
    admin_session: str,
    books: Books,
    ada: Person,
    query: dict[str, str],
    found: bool,
) -> None:
    books.record(ada, "the only question")

    text = await text_of(client, admin_session, "/admin/audit", **query)

    assert ("the only question" in text) == found
    assert ("No matches" in text) != found


async def test_records_of_deleted_users_are_found_by_number(
    client: AsyncTestClient, admin_session: str, books: Books, ada: Person
) -> None:
    books.record(ada, "the only question")
    await client.delete(f"/api/admin/users/{ada.user.id}", headers=bearer(admin_session))

    assert "the only question" in await text_of(
        client, admin_session, "/admin/audit", user=str(ada.user.id)
    )


@pytest.mark.parametrize(
    ("query", "told"),
    [
        ({"user": "nobody<b>"}, "There is no user “nobody&lt;b&gt;”"),
        ({"user": "9" * 30}, "There is no user"),
        ({"from": "2027-02-01", "to": "2027-01-01"}, "This day is after"),
        ({"from": "yesterday"}, "Write the day like"),
        ({"cursor": "no"}, "not a cursor of this list"),
    ],
    ids=str,
)
async def test_what_can_t_be_looked_for_is_told(
    client: AsyncTestClient, admin_session: str, query: dict[str, str], told: str
) -> None:
    assert told in await text_of(client, admin_session, "/admin/audit", **query)


async def test_pages_follow_each_other_and_keep_the_filters(
    client: AsyncTestClient, admin_session: str, books: Books, ada: Person
) -> None:
    for number in range(51):
        books.record(ada, f"question {number:03}")

    first = await text_of(client, admin_session, "/admin/audit", q="question")
    cursor = first.partition("?q=question&amp;cursor=")[2].partition('"')[0]
    second = await text_of(client, admin_session, "/admin/audit", q="question", cursor=cursor)

    assert ("<mark>question</mark> 050" in first, "<mark>question</mark> 000" in first) == (
        True,
        False,
    )
    assert "<mark>question</mark> 000" in second


async def test_the_export_has_the_same_filters(
    client: AsyncTestClient, admin_session: str, ada: Person
) -> None:
    text = await text_of(client, admin_session, "/admin/audit", q="a b", user="ada")

    assert f"/api/admin/audit/export?q=a+b&amp;user_id={ada.user.id}&amp;format=csv" in text


@pytest.mark.parametrize("toml", ['[audit]\nmode = "off"\n'], indirect=True)
async def test_that_it_is_off_is_told_with_what_to_do(
    client: AsyncTestClient, admin_session: str
) -> None:
    text = await text_of(client, admin_session, "/admin/audit")

    assert "The audit is off" in text
    assert 'href="/admin/settings#audit"' in text


async def test_a_conversation_is_shown_with_what_was_restored(
    client: AsyncTestClient, admin_session: str, books: Books, ada: Person
) -> None:
    turn = {
        "role": "assistant",
        "text": HOSTILE,
        "reasoning": "thought " + HOSTILE,
        "restored": "id",
    }
    call = {"name": HOSTILE, "arguments": HOSTILE}
    answer = {"text": "", "calls": [call]}
    books.record(
        ada, "q", {"messages": [{"role": HOSTILE, "text": HOSTILE}, turn], "answer": answer}
    )

    text = await text_of(client, admin_session, "/admin/audit/1")

    assert "found by its tool-call id" in text
    assert "thought &lt;script&gt;" in text
    assert "<script" not in text
    assert "<img" not in text


async def test_a_conversation_shows_why_reasoning_was_not_found(
    client: AsyncTestClient, admin_session: str, books: Books, ada: Person
) -> None:
    turn = {"role": "assistant", "text": "Said.", "missed": "a longer <b>text</b> was needed"}
    books.record(ada, "q", {"messages": [turn], "answer": {"text": "OK"}})

    text = await text_of(client, admin_session, "/admin/audit/1")

    assert "not found" in text
    assert "a longer &lt;b&gt;text&lt;/b&gt; was needed" in text


async def test_a_long_line_is_cut_in_the_list_and_whole_in_the_drawer(
    client: AsyncTestClient, admin_session: str, books: Books, ada: Person
) -> None:
    books.record(ada, "x" * 100_000)

    assert len(await text_of(client, admin_session, "/admin/audit")) < 30_000
    assert "x" * 100_000 in await text_of(client, admin_session, "/admin/audit/1")


async def test_a_record_that_is_gone_is_not_found(
    client: AsyncTestClient, admin_session: str
) -> None:
    assert (await client.get("/admin/audit/9", headers=bearer(admin_session))).status_code == 404


@pytest.mark.parametrize(
    ("text", "wanted", "shown"),
    [
        ("abc", "", ("", "", "abc", False)),
        ("abc", "B", ("a", "b", "c", False)),
        ("abc a.c", "a.c", ("abc ", "a.c", "", False)),
        ("y" * 100 + "b" + "z" * 300, "b", ("…" + "y" * 80, "b", "z" * 240, True)),
        ("abc", "not in it", ("", "", "abc", False)),
    ],
    ids=["nothing wanted", "any case", "no pattern", "around it", "farther on"],
)
def test_an_excerpt_is_around_what_was_looked_for(
    text: str, wanted: str, shown: tuple[str, str, str, bool]
) -> None:
    found = excerpt(text, wanted)

    assert (found.before, found.match, found.after, found.more) == shown
