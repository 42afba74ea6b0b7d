"""A real gateway and Debian's chromium; without the browser these tests are skipped."""

import shutil
from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Browser, expect, sync_playwright

from tests.browser.walker import Walker
from tests.support.admin import Admin
from tests.support.gateway import Gateway
from tests.support.provider import StrictProvider

CONFIG = """
[server]
allow_private_upstreams = true

[[upstreams]]
name = "deepseek"
base_url = "{base_url}"
api_keys = ["sk-good"]
models = ["deepseek-v4-pro"]
"""

expect.set_options(
    timeout=30_000
)  # two cores are shared, and parts of pages are asked for anew every 5 s

CLEAR_HOST = "clear.example.com"
"""A name of the gateway under which it is not this machine's for the browser: without TLS it has
no clipboard there.
"""

type Walk = Callable[..., Walker]


@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    """The package's, not the session's: while playwright runs, no asyncio test can (its
    loop is the thread's).
    """
    chromium = shutil.which("chromium")
    if not chromium:
        pytest.skip("chromium is not installed")
    with sync_playwright() as playwright:
        running = playwright.chromium.launch(
            executable_path=chromium,
            args=["--no-sandbox", f"--host-resolver-rules=MAP {CLEAR_HOST} 127.0.0.1"],
        )
        yield running
        running.close()


@pytest.fixture(scope="package")
def provider() -> Iterator[StrictProvider]:
    with StrictProvider() as running:
        yield running


@pytest.fixture(scope="package")
def gateway(
    provider: StrictProvider, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Gateway]:
    """A gateway with the one upstream `deepseek`, shared by all walks: each makes its own users."""
    config = CONFIG.format(base_url=provider.base_url)
    with Gateway(
        tmp_path_factory.mktemp("browsed"), {"LOG_LEVEL": "warning"}, config=config
    ) as running:
        yield running


@pytest.fixture(scope="package")
def admin(gateway: Gateway) -> Admin:
    return Admin(gateway)


@pytest.fixture
def walk(browser: Browser, gateway: Gateway) -> Iterator[Walk]:
    """Opens browsers of people: `walk(gateway, scheme="dark", width=390)`; afterwards
    nothing may have gone wrong.
    """
    walkers: list[Walker] = []

    def open_walker(at: Gateway = gateway, **look: object) -> Walker:
        walkers.append(Walker(browser, at, **look))  # type: ignore[arg-type]
        return walkers[-1]

    yield open_walker
    for walker in walkers:
        walker.close()
