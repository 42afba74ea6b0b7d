import re
from pathlib import Path

import pytest
from litestar.testing import AsyncTestClient

from manage_api.web.assets import SWAGGER_UI, asset

ROOT = Path(__file__).parents[3]
STATIC = ROOT / "manage_api/web/static"
VENDORED = [*STATIC.glob("vendor/*"), *ROOT.glob("tests/browser/vendor/*")]


async def test_a_file_is_kept_by_browsers_for_good(client: AsyncTestClient) -> None:
    answer = await client.get(asset("favicon.svg"))

    assert answer.content == (STATIC / "favicon.svg").read_bytes()
    assert answer.headers["content-type"] == "image/svg+xml"
    assert answer.headers["cache-control"] == "max-age=31536000, public, immutable"


def test_the_url_of_a_file_changes_with_its_content() -> None:
    urls = {asset("favicon.svg"), asset("schema.js")}

    assert len({url.partition("?")[2] for url in urls}) == 2


@pytest.mark.parametrize("encoding", ["gzip", "identity"])
async def test_a_large_file_travels_small_where_that_is_understood(
    client: AsyncTestClient, encoding: str
) -> None:
    name = f"{SWAGGER_UI}/swagger-ui.css"

    answer = await client.get(asset(name), headers={"Accept-Encoding": encoding})

    assert answer.headers.get("content-encoding", "identity") == encoding
    assert answer.headers["vary"] == "Accept-Encoding"
    assert answer.content == (STATIC / name).read_bytes()


@pytest.mark.parametrize(
    "path",
    [
        "",
        "/",
        "/vendor",
        "/nothing.js",
        "/../pages.py",
        "/%2e%2e/pages.py",
        "/%2fetc/passwd",
        "/%00",
        "/" + "x" * 5000,
    ],
    ids=[
        "none",
        "root",
        "folder",
        "missing",
        "above",
        "above, escaped",
        "absolute",
        "null",
        "long",
    ],
)
async def test_nothing_else_is_found(client: AsyncTestClient, path: str) -> None:
    answer = await client.get(f"/static{path}")

    assert answer.status_code == 404
    assert answer.headers["cache-control"] == "no-store"


@pytest.mark.parametrize("folder", VENDORED, ids=[folder.name for folder in VENDORED])
def test_what_others_wrote_comes_with_version_and_licence_and_without_source_maps(
    folder: Path,
) -> None:
    files = [file.name for file in folder.iterdir()]

    assert re.search(r"-\d+\.\d+\.\d+$", folder.name)
    assert any(name.startswith("LICENSE") for name in files)
    assert [name for name in files if name.endswith(".map")] == []
