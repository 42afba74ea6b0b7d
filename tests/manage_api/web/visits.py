"""People who look at pages, and what they find there."""

from typing import Any
from uuid import uuid4

from litestar.testing import AsyncTestClient

from shared.store.engine import Engine
from shared.store.ledger import Entry, settle
from tests.manage_api.world import Person, cookie

__all__ = ("signed_in", "write")


async def signed_in(client: AsyncTestClient, person: Person) -> dict[str, str]:
    """The headers of the person's browser."""
    return cookie(await client.post("/api/login", json=person.credentials))


def write(store: Engine, person: Person, at: int, **fields: Any) -> None:
    """A request of the person that is over."""
    entry = Entry(exchange=str(uuid4()), at=at, user_id=person.user.id, username=person.user.username, **fields)
    store.transact(lambda work: [work.run(*statement) for statement in settle(entry)])
