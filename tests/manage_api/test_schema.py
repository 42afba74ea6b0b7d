"""The application keeps to its own description, whatever it is sent."""

import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, Phase, assume, given, settings
from hypothesis import strategies as st
from litestar import Litestar
from litestar.testing import TestClient
from schemathesis import Case
from schemathesis.checks import CHECKS, load_all_checks
from schemathesis.generation import GenerationMode
from schemathesis.schemas import APIOperation

from shared.security.tokens import issue_token
from shared.store.engine import Engine
from tests.manage_api.books import Books
from tests.manage_api.rules import RULES, SECRET
from tests.manage_api.world import FromPeer, ManualClock, Person, bearer

type Client = TestClient[FromPeer]

load_all_checks()
CHECKED = CHECKS.get_by_names(
    [
        "negative_data_rejection",
        "not_a_server_error",
        "status_code_conformance",
        "content_type_conformance",
        "response_headers_conformance",
        "response_schema_conformance",
    ]
)
ENDLESS = "GET /api/admin/requests/live"
LONGEST_URL = 60_000  # httpx sends no longer one
FURNISHED = """
[server]
allow_private_upstreams = true

[[upstreams]]
name = "of the file"
base_url = "http://127.0.0.1:9"
api_key = "sk-of-the-file-4444"
"""
UPSTREAM = {
    "name": "own",
    "base_url": "http://127.0.0.1:9",
    "api_keys": ["sk-first-key-1111"],
    "models": ["m"],
}
PRICE = {
    "upstream": "own",
    "model": "m",
    "from_day": 2026_11_20,
    "input_micros": 10,
    "output_micros": 20,
}
FEW = settings(
    max_examples=15,
    derandomize=True,
    database=None,
    deadline=None,
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
)


@pytest.fixture(scope="module")
def operations(description: dict[str, Any]) -> dict[str, APIOperation]:
    """What is described, by method and path."""
    found = schemathesis.openapi.from_dict(description).get_all_operations()
    return {operation.label: operation for operation in (each.ok() for each in found)}


@pytest.fixture
def toml() -> str:
    return FURNISHED


@pytest.fixture
def environ(environ: dict[str, str]) -> dict[str, str]:
    return environ | {"JWT_SECRET": SECRET}


@pytest.fixture
def tokens(ada: Person, root: Person, clock: ManualClock) -> list[str]:
    """Sessions of a user and of an admin."""
    return [issue_token(person.user, SECRET, now=clock.now_ms() // 1000) for person in (ada, root)]


@pytest.fixture
def client(app: Litestar, tokens: list[str], furnish: None) -> Iterator[Client]:
    """The application with one of everything."""
    with TestClient(FromPeer(app, "127.0.0.1"), raise_server_exceptions=False) as client:
        for path, body in (("upstreams", UPSTREAM), ("prices", PRICE)):
            assert (
                client.post(f"/api/admin/{path}", json=body, headers=bearer(tokens[1])).status_code
                == 201
            )
        yield client


@pytest.fixture
def furnish(store: Engine, clock: ManualClock, ada: Person) -> None:
    books = Books(store, clock)
    books.settle(ada)
    books.open(ada)
    books.settle(None, error_class="upstream_error", status=502, cost_micros=None)
    books.record(ada, "What is this?", [{"role": "user", "content": "What is this?"}])


def cases(operation: APIOperation) -> st.SearchStrategy[Case]:
    """Requests as they should be and as they should not."""
    modes = [GenerationMode.POSITIVE]
    if operation.body or operation.query:
        modes.append(GenerationMode.NEGATIVE)
    return st.one_of(operation.as_strategy(mode) for mode in modes)


def ask(client: Client, case: Case, credential: str) -> None:
    """Send a request and compare the answer with what is described."""
    wanted = case.as_transport_kwargs(base_url=str(client.base_url), headers=bearer(credential))
    ready = requests.Request(**wanted).prepare()
    assume(len(ready.url) < LONGEST_URL)
    names = [name for name, _ in parse_qsl(urlsplit(ready.url).query, keep_blank_values=True)]
    # OpenAPI has no word for a parameter that is sent twice: which one counts is not described.
    assume(len(names) == len(set(names)))
    answer = client.request(
        ready.method, ready.url, content=ready.body, headers=dict(ready.headers)
    )
    case.validate_response(answer, checks=CHECKED)


@pytest.mark.parametrize(
    "route", [route for route in RULES if " /api/" in route and route != ENDLESS]
)
def test_every_answer_is_as_described(
    operations: dict[str, APIOperation], client: Client, tokens: list[str], route: str
) -> None:
    operation = operations[re.sub(r":\w+}", "}", route)]

    @FEW
    @given(
        case=cases(operation), credential=st.sampled_from(tokens), id=st.none() | st.integers(0, 3)
    )
    def check(case: Case, credential: str, id: int | None) -> None:
        if id is not None and case.meta.generation.mode is GenerationMode.POSITIVE:
            case.path_parameters = {
                name: type(generated)(id) for name, generated in case.path_parameters.items()
            }
        ask(client, case, credential)

    check()
