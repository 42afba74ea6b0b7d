"""Two nodes on one PostgreSQL database are one gateway."""

from collections.abc import Iterator
from contextlib import closing

import httpx
import pytest

from shared.store import open_engine
from tests.support.client import Conversation, sdk
from tests.support.gateway import ADMIN_PASSWORD, Gateway, upstream_environment
from tests.support.postgres import make_database
from tests.support.provider import StrictProvider

MODEL = "deepseek-v4-pro"
SECRET_KEY = "5e" * 32


@pytest.fixture(scope="module")
def upstream() -> Iterator[StrictProvider]:
    with StrictProvider() as running:
        yield running


@pytest.fixture(scope="module")
def nodes(
    upstream: StrictProvider, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[list[Gateway]]:
    """Two, of which the second finds what the first has made."""
    url = make_database("e2e")
    nodes = []
    for name in ("one", "two"):
        directory = tmp_path_factory.mktemp(name)
        environment = {
            **upstream_environment(upstream.base_url),
            "DATABASE_URL": url,
            "SECRET_KEY": SECRET_KEY,
            "DATA_DIR": str(directory / "state"),
        }
        nodes.append(Gateway(directory, environment))
        nodes[-1].start()
    yield nodes
    for node in nodes:
        node.kill()


@pytest.fixture(scope="module")
def key(nodes: list[Gateway]) -> str:
    return nodes[0].new_user("ada")


def test_what_one_node_was_told_the_other_remembers(
    nodes: list[Gateway], upstream: StrictProvider, key: str
) -> None:
    one, two = nodes
    with sdk(one.base_url, key) as first, sdk(two.base_url, key) as second:
        conversation = Conversation(first, MODEL, marker="on both")
        for client in (first, second, first, second):
            conversation.client = client
            conversation.step()
    assert not upstream.rejections
    with closing(open_engine(one.environment["DATABASE_URL"])) as engine:
        engine.flush()
        [(requests, missing)] = engine.read(
            "SELECT sum(requests), sum(missing) FROM usage_daily WHERE user_id > 1"
        )
    assert (requests, missing) == (4, 0)


def test_who_signs_in_at_one_node_is_known_to_the_other(nodes: list[Gateway]) -> None:
    one, two = nodes
    with httpx.Client(headers={"Sec-Fetch-Site": "same-origin"}) as browser:
        answer = browser.post(
            f"{one.origin}/api/login", json={"username": "admin", "password": ADMIN_PASSWORD}
        )
        token = {"Authorization": f"Bearer {answer.json()['token']}"}
        health = browser.get(f"{two.origin}/api/admin/health", headers=token).json()
    assert [node["alive"] for node in health["nodes"]] == [True, True]
    assert health["database"]["bytes"] > 0
    assert "postgresql" in health["versions"]
