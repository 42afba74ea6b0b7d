import logging

import pytest
from litestar import Litestar, get
from litestar.testing import AsyncTestClient, TestClient

from manage_api.problems import store_problem
from shared.errors import StoreError
from shared.store.engine import Engine
from tests.manage_api.world import Person


async def test_an_unexpected_error_is_logged_and_not_shown(
    client: AsyncTestClient, ada: Person, store: Engine, caplog: pytest.LogCaptureFixture
) -> None:
    store.transact(lambda transaction: transaction.run("DROP TABLE users"), alone=())

    answer = await client.post("/api/login", json=ada.credentials)

    assert answer.status_code == 500
    assert "users" not in answer.text
    [record] = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert "POST /api/login failed" in record.message
    assert record.exc_info


def test_a_database_that_cannot_be_used_is_said_and_worth_another_try() -> None:
    @get("/")
    async def route() -> None:
        raise StoreError("The database is busy.")

    with TestClient(Litestar([route], exception_handlers={StoreError: store_problem})) as client:
        answer = client.get("/")

    assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")
    assert answer.json()["detail"] == "The database is busy."


async def test_broken_json_is_the_callers_fault(client: AsyncTestClient) -> None:
    answer = await client.post("/api/login", content=b'{"username":')

    assert answer.status_code == 400
    assert answer.headers["content-type"] == "application/problem+json"
