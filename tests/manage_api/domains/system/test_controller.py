from importlib.metadata import version
from pathlib import Path

from litestar.testing import AsyncTestClient, TestClient

from manage_api.app import create_app
from shared.config.watch import Watch
from tests.support.gateway import eventually


async def test_anybody_may_see_the_public_configuration(client: AsyncTestClient) -> None:
    answer = await client.get("/api/config")

    assert answer.json() == {"allow_registration": True, "public_url": "", "version": version("thinkback")}


async def test_it_says_that_it_works(client: AsyncTestClient) -> None:
    answer = await client.get("/healthz")

    assert (answer.status_code, answer.json()) == (200, {"status": "ok"})


def test_an_edited_configuration_is_taken_over(environ: dict[str, str]) -> None:
    with TestClient(create_app(Watch(environ))) as client:
        Path(environ["CONFIG_PATH"]).write_text("[registration]\nallowed = false\n")

        assert eventually(lambda: not client.get("/api/config").json()["allow_registration"])
