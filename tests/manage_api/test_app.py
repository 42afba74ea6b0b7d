import pytest
from litestar.testing import AsyncTestClient

from manage_api.app import create_app
from manage_api.authentication import PUBLIC
from shared.config.watch import Watch

ANYBODY = {"/", "/api/config", "/api/login", "/healthz"}


def test_only_these_routes_are_for_anybody(environ: dict[str, str]) -> None:
    routes = create_app(Watch(environ)).routes

    found = {route.path for route in routes if any(PUBLIC.items() <= each.opt.items() for each in route.route_handlers)}

    assert found == ANYBODY


async def test_every_other_route_asks_who_calls(environ: dict[str, str], client: AsyncTestClient) -> None:
    closed = [route for route in create_app(Watch(environ)).routes if route.path not in ANYBODY]

    for route in closed:
        for method in route.methods - {"OPTIONS"}:
            answer = await client.request(method, route.path)
            assert (route.path, answer.status_code) == (route.path, 401)
    assert len(closed) >= 3


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [("GET", "/healthz", 200), ("GET", "/api/me", 401), ("GET", "/nothing", 404), ("DELETE", "/api/me", 405)],
    ids=["answer", "refusal", "no route", "no method"],
)
async def test_every_answer_tells_browsers_to_be_careful(
    client: AsyncTestClient, method: str, path: str, status: int
) -> None:
    answer = await client.request(method, path)

    assert answer.status_code == status
    assert answer.headers["content-security-policy"] == "default-src 'none'; frame-ancestors 'none'"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["cache-control"] == "no-store"


async def test_a_large_body_is_refused(client: AsyncTestClient) -> None:
    answer = await client.post("/api/login", content=b'{"username":"' + b"x" * 1_100_000)

    assert answer.status_code == 413
