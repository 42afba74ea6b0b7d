import pytest
from litestar.testing import AsyncTestClient


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/healthz", 200),
        ("GET", "/api/me", 401),
        ("GET", "/nothing", 404),
        ("DELETE", "/api/me", 405),
    ],
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
