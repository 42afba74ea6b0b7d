"""The live feed tells what begins and ends, to those who may know, for as long as they may."""

from contextlib import AsyncExitStack
from typing import Any

import pytest
from litestar import Litestar
from litestar.testing import AsyncTestClient

from manage_api.app import create_app
from manage_api.domains.requests.feed import MAX_LISTENERS
from manage_api.domains.session.service import new_session
from shared.config.watch import Watch
from shared.security.keys import digest
from shared.store.accounts import set_disabled
from shared.store.engine import Engine, apply_change
from shared.store.ledger import settle
from shared.store.virtual_keys import find_key, revoke_key
from tests.manage_api.books import Books
from tests.manage_api.live import Listener
from tests.manage_api.world import ManualClock, People, Person, bearer

LIVE = "/api/admin/requests/live"


class Ending:
    """Whether the program is about to end."""

    soon = False

    def __call__(self) -> bool:
        return self.soon


@pytest.fixture
def ending() -> Ending:
    return Ending()


@pytest.fixture
def app(environ: dict[str, str], clock: ManualClock, ending: Ending) -> Litestar:
    return create_app(Watch(environ), clock=clock, leaving=ending)


async def told(listener: Listener, count: int) -> list[tuple[str, str]]:
    """The next events: what happened to which exchange."""
    events = [await listener.event() for _ in range(count)]
    return [(event.name, event.data["exchange"]) for event in events if event]


async def test_an_exchange_is_told_when_it_begins_and_when_it_ends(
    app: Litestar, admin: str, ada: Person, books: Books, store: Engine
) -> None:
    async with app.lifespan(), Listener(app, admin) as listener:
        entry = books.open(ada, exchange="x1")
        opened = await listener.event()
        store.transact(lambda work: apply_change(work, settle(entry)), alone=())
        settled = await listener.event()

    assert (opened.name, opened.id, opened.data["id"], opened.data["model"]) == (
        "opened",
        "",
        None,
        "m",
    )
    assert (settled.name, settled.id, settled.data["id"]) == ("settled", "1", 1)
    assert (settled.data["upstream_key"], settled.data["tries"]) == ("…wxyz", [])


async def test_the_answer_is_one_that_browsers_and_proxies_pass_on_at_once(
    app: Litestar, admin: str
) -> None:
    async with app.lifespan(), Listener(app, admin) as listener:
        assert listener.status == 200
        assert listener.headers["content-type"] == "text/event-stream; charset=utf-8"
        assert (listener.headers["cache-control"], listener.headers["x-accel-buffering"]) == (
            "no-store",
            "no",
        )


async def test_what_runs_already_is_told_first_and_what_ended_is_not(
    app: Litestar, admin: str, ada: Person, books: Books
) -> None:
    books.settle(ada, exchange="over")
    books.open(ada, exchange="runs")

    async with app.lifespan(), Listener(app, admin) as listener:
        assert await told(listener, 1) == [("opened", "runs")]
        books.settle(ada, exchange="new")
        assert await told(listener, 1) == [("settled", "new")]


async def test_a_listener_that_comes_back_misses_nothing(
    app: Litestar, admin: str, ada: Person, books: Books
) -> None:
    for number in range(1, 251):
        books.settle(ada, exchange=f"x{number}")

    async with app.lifespan(), Listener(app, admin, {"Last-Event-ID": "7"}) as listener:
        assert await told(listener, 243) == [("settled", f"x{number}") for number in range(8, 251)]


async def test_fault_3_an_entry_that_is_committed_after_a_later_one_is_told_once(
    app: Litestar, admin: str, ada: Person, books: Books, store: Engine
) -> None:
    for number in range(1, 4):
        books.settle(ada, exchange=f"x{number}")
    # On other engines the numbers are given before the commits, which come in any order.
    move = "UPDATE ledger SET id = :to WHERE id = :id"
    hide = {"id": 2, "to": -2}
    store.transact(lambda work: work.run(move, hide), alone=())
    async with app.lifespan(), Listener(app, admin, {"Last-Event-ID": "1"}) as listener:
        assert await told(listener, 1) == [("settled", "x3")]
        store.transact(lambda work: work.run(move, {"id": -2, "to": 2}), alone=())
        late = await listener.event()
        assert (late.id, late.data["exchange"]) == ("3", "x2")
        books.settle(ada, exchange="x4")
        assert await told(listener, 1) == [("settled", "x4")]


async def test_fault_3_listeners_of_two_sidecars_are_told_the_same(
    app: Litestar,
    environ: dict[str, str],
    clock: ManualClock,
    admin: str,
    ada: Person,
    books: Books,
) -> None:
    other = create_app(Watch(environ), clock=clock)
    async with (
        app.lifespan(),
        other.lifespan(),
        Listener(app, admin) as here,
        Listener(other, admin) as there,
    ):
        books.settle(ada, exchange="x1")
        assert await told(here, 1) == await told(there, 1) == [("settled", "x1")]
    async with other.lifespan(), Listener(other, admin, {"Last-Event-ID": "0"}) as moved:
        assert await told(moved, 1) == [("settled", "x1")]


async def test_a_listener_that_was_away_for_long_is_told_the_last_thousand(
    app: Litestar, admin: str, ada: Person, books: Books
) -> None:
    for number in range(1, 1005):
        books.settle(ada, exchange=f"x{number}")

    async with app.lifespan(), Listener(app, admin, {"Last-Event-ID": "1"}) as listener:
        assert await told(listener, 1) == [("settled", "x5")]


async def test_a_listener_with_an_id_of_the_future_is_told_what_is_new(
    app: Litestar, admin: str, ada: Person, books: Books
) -> None:
    async with app.lifespan(), Listener(app, admin, {"Last-Event-ID": "999"}) as listener:
        books.settle(ada, exchange="new")
        assert await told(listener, 1) == [("settled", "new")]


@pytest.mark.parametrize(
    "query",
    [
        {"user_id": 1},
        {"model": "n"},
        {"upstream": "spare"},
        {"user_id": 1, "model": "n", "upstream": "spare"},
    ],
    ids=["user", "model", "upstream", "together"],
)
async def test_a_listener_is_told_what_it_asked_for(
    app: Litestar, admin: str, ada: Person, people: People, books: Books, query: dict[str, Any]
) -> None:
    others = people.add("others")
    async with (
        app.lifespan(),
        Listener(
            app, admin, **query | ({"user_id": ada.user.id} if "user_id" in query else {})
        ) as listener,
    ):
        books.open(others, exchange="other")
        books.settle(others, exchange="another")
        books.open(ada, exchange="runs", model="n", upstream="spare")
        books.settle(ada, exchange="over", model="n", upstream="spare")
        assert sorted(await told(listener, 2)) == [("opened", "runs"), ("settled", "over")]


async def test_callers_with_an_upstreams_key_can_be_followed(
    app: Litestar, admin: str, ada: Person, books: Books
) -> None:
    async with app.lifespan(), Listener(app, admin, user_id=0) as listener:
        books.open(ada, exchange="hers")
        books.open(exchange="runs")
        books.settle(ada, exchange="hers too")
        books.settle(exchange="over")
        assert sorted(await told(listener, 2)) == [("opened", "runs"), ("settled", "over")]


async def test_silence_is_broken_by_events_that_pages_hear(
    app: Litestar, admin: str, clock: ManualClock
) -> None:
    async with app.lifespan(), Listener(app, admin) as listener:
        for _ in range(2):
            clock.seconds += 15
            assert (await listener.event()).name == "alive"


def disable(store: Engine, root: Person, admin: str) -> None:
    set_disabled(store, root.user.id, True)


def revoke(store: Engine, root: Person, admin: str) -> None:
    key, _ = find_key(store, digest(admin))
    revoke_key(store, key.id, 1)


def demote(store: Engine, root: Person, admin: str) -> None:
    store.transact(
        lambda work: work.run(
            "UPDATE users SET role = 'user' WHERE id = :id", {"id": root.user.id}
        ),
        alone=(),
    )


@pytest.mark.parametrize("end", [disable, revoke, demote])
async def test_who_may_no_longer_know_is_told_nothing_more(
    app: Litestar,
    admin: str,
    root: Person,
    people: People,
    store: Engine,
    clock: ManualClock,
    books: Books,
    end: Any,
) -> None:
    people.add("another", "admin")
    async with app.lifespan(), Listener(app, admin) as listener:
        end(store, root, admin)
        clock.seconds += 5
        books.settle(root)
        assert await listener.event() is None


async def test_a_session_that_runs_out_ends_the_feed(
    app: Litestar, root: Person, clock: ManualClock
) -> None:
    async with app.lifespan(), Listener(app, new_session(app.state.sidecar, root.user)) as listener:
        clock.seconds += 86_400
        assert await listener.event() is None


async def test_nobody_listens_to_a_program_that_ends(
    app: Litestar, admin: str, ending: Ending
) -> None:
    async with app.lifespan(), Listener(app, admin) as listener:
        ending.soon = True
        assert await listener.event() is None


async def test_so_many_listen_and_no_more_until_one_leaves(
    app: Litestar, admin: str, root: Person, books: Books
) -> None:
    async with app.lifespan(), AsyncExitStack() as stack:
        books.open(root, exchange="runs")
        listeners = [
            await stack.enter_async_context(Listener(app, admin)) for _ in range(MAX_LISTENERS)
        ]
        assert [await told(listener, 1) for listener in listeners] == [
            [("opened", "runs")]
        ] * MAX_LISTENERS
        refused = await stack.enter_async_context(Listener(app, admin))
        assert (refused.status, refused.headers["retry-after"]) == (429, "30")

        await listeners[0].leave()
        next_one = await stack.enter_async_context(Listener(app, admin))
        assert (next_one.status, await told(next_one, 1)) == (200, [("opened", "runs")])


@pytest.mark.parametrize(
    ("query", "headers", "field"),
    [
        ({"user_id": 2**63}, {}, "user_id"),
        ({"model": "x" * 1025}, {}, "model"),
        ({}, {"Last-Event-ID": "x"}, "last_event_id"),
        ({}, {"Last-Event-ID": "-1"}, "last_event_id"),
        ({}, {"Last-Event-ID": str(2**63)}, "last_event_id"),
    ],
    ids=["user", "model", "id", "negative id", "huge id"],
)
async def test_a_request_that_cannot_be_answered_is_named(
    client: AsyncTestClient, admin: str, query: dict[str, Any], headers: dict[str, str], field: str
) -> None:
    answer = await client.get(LIVE, params=query, headers=bearer(admin) | headers)

    assert answer.status_code == 400
    assert field in answer.json()["fields"]
