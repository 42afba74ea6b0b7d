"""Who and what the tests of the sidecar meet."""

from typing import Any
from uuid import uuid4

import msgspec
from httpx import Response
from litestar.types import ASGIApp, Receive, Scope, Send

from manage_api.domains.users.service import give_key, open_account
from shared.model import User
from shared.store.engine import Engine, apply_change
from shared.store.ledger import Entry, settle
from shared.store.recall import keep_turn

__all__ = (
    "PASSWORD",
    "FromPeer",
    "ManualClock",
    "People",
    "Person",
    "bearer",
    "cookie",
    "fields",
    "remember",
)

PASSWORD = "correct horse battery staple"


class ManualClock:
    """Stands until it is moved."""

    def __init__(self) -> None:
        self.seconds = 1_800_000_000.0

    def now_ms(self) -> int:
        return int(self.seconds * 1000)

    def monotonic(self) -> float:
        return self.seconds

    async def sleep(self, seconds: float) -> None:
        self.seconds += seconds


class FromPeer:
    """The application as a peer with this address reaches it."""

    def __init__(self, app: ASGIApp, address: str) -> None:
        self.app = app
        self.address = address

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            scope["client"] = (self.address, 50_000)
        await self.app(scope, receive, send)


class Person(msgspec.Struct, frozen=True):
    """Somebody with an account and an inference key."""

    user: User
    key: str

    @property
    def credentials(self) -> dict[str, str]:
        return {"username": self.user.username, "password": PASSWORD}


class People:
    """Makes accounts whose password is `PASSWORD`."""

    def __init__(self, store: Engine, password_hash: str, clock: ManualClock) -> None:
        self._store = store
        self._password_hash = password_hash
        self._clock = clock

    def add(self, username: str, role: Any = "user", **fields: Any) -> Person:
        now = self._clock.now_ms()
        return Person(
            *open_account(
                self._store,
                username=username,
                password_hash=self._password_hash,
                role=role,
                now=now,
                **fields,
            )
        )

    def key(self, person: Person, scope: Any = "inference", **fields: Any) -> str:
        """Another key of the person."""
        now = self._clock.now_ms()
        return give_key(
            self._store, user_id=person.user.id, name="more", scope=scope, now=now, **fields
        )[1]

    def spend(
        self, person: Person, tokens: int, cost_micros: int = 0, *, key_id: int | None = None
    ) -> None:
        """What an exchange of the person used, now."""
        now = self._clock.now_ms()
        entry = Entry(
            exchange=str(uuid4()),
            at=now,
            user_id=person.user.id,
            key_id=key_id,
            prompt_tokens=tokens,
            cost_micros=cost_micros,
        )
        self._store.transact(lambda work: apply_change(work, settle(entry)), alone=())


def bearer(credential: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {credential}"}


def cookie(answer: Response) -> dict[str, str]:
    """The cookie that an answer sets, as a browser sends it back."""
    return {"Cookie": answer.headers["set-cookie"].partition(";")[0]}


def fields(answer: Response) -> dict[str, str]:
    """The fields that a problem names."""
    assert answer.headers["content-type"] == "application/problem+json"
    found: dict[str, str] = answer.json()["fields"]
    return found


def remember(store: Engine, times: list[int]) -> None:
    """Turns of 100 kB that were last used at these times."""
    for at, time in enumerate(times):
        sql, params = keep_turn(
            token=f"{at}", namespace=b"n", complete=True, length=1, body=b"x" * 100_000, now=time
        )
        store.transact(lambda work, sql=sql, params=params: work.run(sql, params), alone=())
