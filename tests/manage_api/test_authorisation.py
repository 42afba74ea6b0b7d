"""Who may call what: every route of the application, called by everybody."""

import asyncio
import re

import pytest
from litestar import Litestar
from litestar.types import Message, Scope
from msgspec.structs import replace

from manage_api.access.authentication import PUBLIC
from shared.security.tokens import issue_token
from shared.store.accounts import find_user, set_password, update_user
from shared.store.engine import Engine
from shared.store.virtual_keys import list_keys, revoke_key
from tests.manage_api.rules import OPEN_TO_BEGINNERS, RULES, SECRET
from tests.manage_api.world import ManualClock, People, Person, bearer

UNKNOWN = {
    "nobody",
    "a made-up token",
    "an expired token",
    "a disabled user's token",
    "a disabled user's key",
    "a revoked key",
    "an expired key",
    "a former admin's key",
}
INFERENCE_KEYS = {"a user's key", "an admin's inference key"}
USERS = {"a user's token", "a user's cookie"}
ADMINS = {"an admin's token", "an admin's cookie", "an admin's key"}
BEGINNERS = {"an admin with the well-known password"}
MAY = {
    "anybody": UNKNOWN | INFERENCE_KEYS | USERS | ADMINS | BEGINNERS,
    "every caller": INFERENCE_KEYS | USERS | ADMINS,
    "every caller but inference keys": USERS | ADMINS,
    "admins": ADMINS,
}


@pytest.fixture
def environ(environ: dict[str, str]) -> dict[str, str]:
    return environ | {"JWT_SECRET": SECRET}


@pytest.fixture
def callers(people: People, store: Engine, clock: ManualClock) -> dict[str, dict[str, str]]:
    """The headers of everybody; each is another person, so that none ends the session or
    the keys of the next.
    """
    now = clock.now_ms()
    beginner = people.add("beginner", "admin")
    set_password(store, beginner.user.id, "", must_change_password=True)
    credentials = ended(people, store, now) | {
        "a made-up token": "e30.e30.e30",
        "a user's token": token(people.add("ada"), store, now),
        "a user's key": people.add("grace").key,
        "an admin's inference key": people.add("root", "admin").key,
        "an admin's token": token(people.add("boss", "admin"), store, now),
        "an admin's key": people.key(people.add("chief", "admin"), "admin"),
        "an admin with the well-known password": token(beginner, store, now),
    }
    cookies = {
        "a user's cookie": token(people.add("lin"), store, now),
        "an admin's cookie": token(people.add("head", "admin"), store, now),
    }
    headers = {name: bearer(credential) for name, credential in credentials.items()}
    return (
        headers
        | {name: {"Cookie": f"thinkback={cookie}"} for name, cookie in cookies.items()}
        | {"nobody": {}}
    )


def ended(people: People, store: Engine, now: int) -> dict[str, str]:
    """Credentials that were good once."""
    late, careless, former = (
        people.add("late"),
        people.add("careless"),
        people.add("former", "admin"),
    )
    away = people.add("away")
    credentials = {
        "an expired token": token(late, store, now - 10**9),
        "an expired key": people.key(late, expires_at=now),
        "a revoked key": careless.key,
        "a former admin's key": people.key(former, "admin"),
        "a disabled user's key": away.key,
    }
    update_user(store, away.user.id, lambda user: replace(user, disabled=True))
    update_user(store, former.user.id, lambda user: replace(user, role="user"))
    [key] = list_keys(store, user_id=careless.user.id)
    revoke_key(store, key.id, now)
    return credentials | {"a disabled user's token": token(away, store, now)}


def token(person: Person, store: Engine, now: int) -> str:
    """A session token as if the person signed in at `now`."""
    user = find_user(store, person.user.id)
    assert user
    return issue_token(user, SECRET, now=now // 1000)


async def status(app: Litestar, route: str, headers: dict[str, str]) -> int:
    """What an empty request is answered, known as soon as the answer begins: some never end."""
    begun: asyncio.Future[Message] = asyncio.get_running_loop().create_future()
    sent = asyncio.Event()

    async def receive() -> Message:
        if sent.is_set():
            await asyncio.Future()
        sent.set()
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Message) -> None:
        if message["type"] == "http.response.start":
            begun.set_result(message)

    call = asyncio.ensure_future(app(scope(route, headers), receive, send))
    try:
        answer = await asyncio.wait_for(begun, 10)
    finally:
        call.cancel()
        await asyncio.wait([call])
    return refusal(route, dict(answer["headers"]).get(b"location", b"")) or answer["status"]


def refusal(route: str, location: bytes) -> int:
    """What it amounts to that a page leads its visitor there: to sign in first, or to
    change the password; else 0.
    """
    if RULES[route] == "anybody" or not location:
        return 0
    return 401 if location.startswith(b"/?next=") else 403


def scope(route: str, headers: dict[str, str]) -> Scope:
    """The request for a route, with some value for each of its parameters."""
    method, path = route.split()
    path = re.sub(r"\{\w+:(str|path)\}", "x", re.sub(r"\{\w+:int\}", "999999", path))
    return {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "method": method,
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "root_path": "",
        "query_string": b"",
        "headers": [(name.lower().encode(), value.encode()) for name, value in headers.items()],
        "client": ("127.0.0.1", 50_000),
        "server": ("127.0.0.1", 8788),
    }  # type: ignore[typeddict-item]


def routes(app: Litestar) -> dict[str, bool]:
    """Every route, and whether it is marked as public."""
    return {
        f"{method} {route.path}": PUBLIC.items() <= handler.opt.items()
        for route in app.routes
        for method, (handler, _) in route.route_handler_map.items()
        if method != "OPTIONS"
    }


def test_every_route_has_a_rule(app: Litestar) -> None:
    assert sorted(routes(app)) == sorted(RULES)


def test_only_what_is_for_anybody_is_exempt_from_signing_in(app: Litestar) -> None:
    assert {route for route, public in routes(app).items() if public} == {
        route for route, rule in RULES.items() if rule == "anybody"
    }


@pytest.mark.parametrize("route", RULES)
async def test_a_route_answers_whom_it_is_for_and_nobody_else(
    app: Litestar, callers: dict[str, dict[str, str]], route: str
) -> None:
    may = MAY[RULES[route]] | (BEGINNERS if route in OPEN_TO_BEGINNERS else set())

    async with app.lifespan():
        answers = {name: await status(app, route, headers) for name, headers in callers.items()}

    assert {name for name, status in answers.items() if status not in (401, 403)} == may
    assert {name for name, status in answers.items() if status == 401} == UNKNOWN - may
    assert max(answers.values()) < 500
