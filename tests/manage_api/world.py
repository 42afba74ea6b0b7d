"""Who and what the tests of the sidecar meet."""

from typing import Any

import msgspec
from httpx import Response
from litestar.types import ASGIApp, Receive, Scope, Send

from manage_api.domains.users.service import open_account
from shared.model import User
from shared.security.keys import digest, mint_key, suffix
from shared.store.engine import Engine
from shared.store.virtual_keys import create_key

__all__ = ("PASSWORD", "FromPeer", "ManualClock", "People", "Person", "bearer", "fields")

PASSWORD = "correct horse battery staple"


class ManualClock:
    """Stands until it is moved."""

    def __init__(self) -> None:
        self.seconds = 1_800_000_000.0

    def now_ms(self) -> int:
        return int(self.seconds * 1000)

    def monotonic(self) -> float:
        return self.seconds


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

    def add(self, username: str, role: Any = "user") -> Person:
        now = self._clock.now_ms()
        return Person(
            *open_account(self._store, username=username, password_hash=self._password_hash, role=role, now=now)
        )

    def key(self, person: Person, scope: Any, *, expires_at: int | None = None) -> str:
        """Another key of the person."""
        key = mint_key()
        create_key(
            self._store,
            user_id=person.user.id,
            name="more",
            scope=scope,
            digest=digest(key),
            suffix=suffix(key),
            now=self._clock.now_ms(),
            expires_at=expires_at,
        )
        return key


def bearer(credential: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {credential}"}


def fields(answer: Response) -> dict[str, str]:
    """The fields that a problem names."""
    assert answer.headers["content-type"] == "application/problem+json"
    found: dict[str, str] = answer.json()["fields"]
    return found
