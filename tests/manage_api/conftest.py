"""The real application over a real database file."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from litestar.testing import AsyncTestClient

from manage_api.app import create_app
from shared.config.watch import Watch
from shared.security.passwords import hash_password
from shared.store import open_engine
from shared.store.engine import Engine
from tests.manage_api.world import PASSWORD, FromPeer, ManualClock, People, Person


@pytest.fixture(scope="session")
def password_hash() -> str:
    return hash_password(PASSWORD)


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def environ(tmp_path: Path, request: pytest.FixtureRequest) -> dict[str, str]:
    """What configures the application, and more as an indirect parameter; `config.toml` is empty."""
    (tmp_path / "config.toml").touch()
    paths = {"DATABASE_URL": f"sqlite:{tmp_path}/data/adapter.db", "CONFIG_PATH": str(tmp_path / "config.toml")}
    return paths | getattr(request, "param", {})


@pytest.fixture
def store(environ: dict[str, str]) -> Iterator[Engine]:
    """The application's database, as another program has it."""
    engine = open_engine(environ["DATABASE_URL"])
    yield engine
    engine.close()


@pytest.fixture
async def client(environ: dict[str, str], clock: ManualClock) -> AsyncIterator[AsyncTestClient[FromPeer]]:
    """The application as the data plane reaches it."""
    app = FromPeer(create_app(Watch(environ), clock=clock), "127.0.0.1")
    async with AsyncTestClient(app, raise_server_exceptions=False) as client:
        yield client


@pytest.fixture
def people(store: Engine, password_hash: str, clock: ManualClock) -> People:
    return People(store, password_hash, clock)


@pytest.fixture
def ada(people: People) -> Person:
    """A user."""
    return people.add("ada")


@pytest.fixture
def root(people: People) -> Person:
    """An admin."""
    return people.add("root", "admin")


@pytest.fixture
async def session(client: AsyncTestClient[FromPeer], ada: Person) -> str:
    """A session token of ada's."""
    return await sign_in(client, ada)


@pytest.fixture
async def admin_session(client: AsyncTestClient[FromPeer], root: Person) -> str:
    """A session token of root's."""
    return await sign_in(client, root)


async def sign_in(client: AsyncTestClient[FromPeer], person: Person) -> str:
    answer = await client.post("/api/login", json=person.credentials)
    return str(answer.json()["token"])
