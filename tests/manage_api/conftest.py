"""The real application over a real database file."""

from collections.abc import AsyncIterator, Iterator
from http.cookiejar import DefaultCookiePolicy
from pathlib import Path
from typing import Any

import pytest
from litestar import Litestar
from litestar.serialization import decode_json, encode_json
from litestar.testing import AsyncTestClient

from manage_api.app import create_app
from manage_api.domains.session.service import new_session
from shared.config.watch import Watch
from shared.security.passwords import hash_password
from shared.store import open_engine
from shared.store.engine import Engine
from tests.manage_api.world import PASSWORD, FromPeer, ManualClock, People, Person
from tests.support.database import place_database


@pytest.fixture(scope="session")
def password_hash() -> str:
    return hash_password(PASSWORD)


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def toml(request: pytest.FixtureRequest) -> str:
    """What is in `config.toml`: nothing, or an indirect parameter."""
    return str(getattr(request, "param", ""))


@pytest.fixture
def environ(tmp_path: Path, toml: str, request: pytest.FixtureRequest) -> dict[str, str]:
    """What configures the application over an empty database, and more as an indirect parameter."""
    (tmp_path / "config.toml").write_text(toml)
    place_database(tmp_path / "data" / "adapter.db")
    paths = {
        "DATABASE_URL": f"sqlite:{tmp_path}/data/adapter.db",
        "CONFIG_PATH": str(tmp_path / "config.toml"),
        "MODELS_REFRESH_SECONDS": "0",
    }
    return paths | getattr(request, "param", {})


@pytest.fixture
def store(environ: dict[str, str]) -> Iterator[Engine]:
    """The application's database, as another program has it."""
    engine = open_engine(environ["DATABASE_URL"])
    yield engine
    engine.close()


@pytest.fixture(scope="session")
def shared_app(tmp_path_factory: pytest.TempPathFactory) -> Litestar:
    """The application, made once as that takes a while; it runs over the database of one
    test after another.
    """
    file = tmp_path_factory.mktemp("app") / "config.toml"
    file.touch()
    return create_app(Watch({"CONFIG_PATH": str(file)}))


@pytest.fixture
def app(shared_app: Litestar, environ: dict[str, str], clock: ManualClock) -> Litestar:
    """The application as this test configures it."""
    shared_app.state.watch, shared_app.state.clock = Watch(environ), clock
    return shared_app


@pytest.fixture
async def client(app: Litestar) -> AsyncIterator[AsyncTestClient[FromPeer]]:
    """The application as the data plane reaches it, for a program: no cookie is kept."""
    async with AsyncTestClient(
        FromPeer(app, "127.0.0.1"),
        raise_server_exceptions=False,
        base_url="http://127.0.0.1:8787",
    ) as client:
        client.cookies.jar.set_policy(DefaultCookiePolicy(allowed_domains=()))
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
def session(client: AsyncTestClient[FromPeer], app: Litestar, ada: Person) -> str:
    """A session token of ada's."""
    return new_session(app.state.sidecar, ada.user)


@pytest.fixture
def admin_session(client: AsyncTestClient[FromPeer], app: Litestar, root: Person) -> str:
    """A session token of root's."""
    return new_session(app.state.sidecar, root.user)


@pytest.fixture(scope="session")
def description(shared_app: Litestar) -> dict[str, Any]:
    """What the application says of itself in `/schema/openapi.json`."""
    return decode_json(encode_json(shared_app.openapi_schema.to_schema()))
