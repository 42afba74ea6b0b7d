"""How long the sidecar works for each page, over a database with a long past."""

import asyncio
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any

from litestar.testing import AsyncTestClient

from manage_api.app import create_app
from shared.config.watch import Watch
from tests.bench.past import ENDLESS, PASSWORD, make_past

__all__ = ("measure_pages",)

PAGES = (
    "/dashboard",
    "/admin",
    "/admin/users",
    "/admin/keys",
    "/admin/upstreams",
    "/admin/rewrites?model=deepseek-v4-pro",
    "/admin/audit",
    "/admin/audit?q=错误",
    "/admin/audit?q=parser",
    "/admin/usage?by=day",
    "/admin/usage?by=user",
    "/admin/usage?by=model",
    "/admin/settings",
    "/admin/health",
    "/conversations",
    f"/conversations/{ENDLESS}",
    "/admin/conversations",
    "/admin/conversations?model=glm-5.2",
    "/admin/conversations?model=nobody",
    "/admin/usage?by=upstream",
    "/api/my-conversations",
    f"/api/admin/requests?conversation={ENDLESS}",
    "/api/my-requests",
    "/api/admin/requests",
    "/api/admin/usage?by=user",
)
REPEATS = 5
CONFIG = """
[[upstreams]]
name = "one"
base_url = "https://one.example"
api_keys = ["sk-one"]
"""


def measure_pages(
    directory: Path, *, exchanges: int = 1_000_000, asked: int = 100_000
) -> dict[str, float]:
    """Milliseconds, the median of a few, from request to the last byte of each page."""
    make_past(directory / "adapter.db", exchanges=exchanges, asked=asked)
    (directory / "config.toml").write_text(CONFIG)
    environ = {
        "DATABASE_URL": f"sqlite:{directory}/adapter.db",
        "CONFIG_PATH": str(directory / "config.toml"),
    }
    return asyncio.run(_visit(environ))


async def _visit(environ: dict[str, str]) -> dict[str, float]:
    async with AsyncTestClient(create_app(Watch(environ))) as client:
        signed_in = await client.post(
            "/api/login", json={"username": "admin", "password": PASSWORD}
        )
        client.headers["authorization"] = f"Bearer {signed_in.json()['token']}"
        return {page: await _time(client, page) for page in PAGES}


async def _time(client: AsyncTestClient[Any], page: str) -> float:
    taken = []
    for _ in range(REPEATS):
        began = perf_counter()
        answer = await client.get(page)
        taken.append((perf_counter() - began) * 1000)
        assert answer.status_code == 200, (page, answer.status_code)
    return median(taken)
