"""People who look at pages, and what they find there."""

from typing import Any
from uuid import uuid4

from litestar.testing import AsyncTestClient

from shared.store.engine import Engine, apply_change
from shared.store.ledger import Entry, settle
from tests.manage_api.world import Person, bearer, cookie

__all__ = ("signed_in", "text_of", "turned_away", "write")


async def signed_in(client: AsyncTestClient, person: Person) -> dict[str, str]:
    """The headers of the person's browser."""
    return cookie(await client.post("/api/login", json=person.credentials))


async def text_of(client: AsyncTestClient, session: str, path: str, **query: str) -> str:
    """The page at this path."""
    answer = await client.get(path, params=query, headers=bearer(session))
    assert answer.status_code == 200, answer.text
    return str(answer.text)


async def turned_away(client: AsyncTestClient, session: str, path: str) -> bool:
    """Whether the page sends strangers to sign in, and the user of the session away."""
    stranger = await client.get(path, follow_redirects=False)
    user = await client.get(path, headers=bearer(session))
    return (stranger.status_code, stranger.headers.get("location"), user.status_code) == (
        303,
        f"/?next={path}",
        403,
    )


def write(store: Engine, person: Person, at: int, **fields: Any) -> None:
    """A request of the person that is over."""
    entry = Entry(
        exchange=str(uuid4()),
        at=at,
        user_id=person.user.id,
        username=person.user.username,
        **fields,
    )
    store.transact(lambda work: apply_change(work, settle(entry)), alone=())
