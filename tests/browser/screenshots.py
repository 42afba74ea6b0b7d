"""Pictures of every page with plausible content: `make screenshots [TO=folder]`."""

import shutil
import sys
from contextlib import ExitStack, closing
from pathlib import Path
from tempfile import TemporaryDirectory

from playwright.sync_api import sync_playwright

from shared.store import open_engine
from tests.browser.seed import PASSWORD, TALK, seed
from tests.browser.walker import LOOKS, Walker
from tests.support.admin import Admin
from tests.support.gateway import ADMIN_PASSWORD, Gateway
from tests.support.provider import StrictProvider

FOLDER = Path("docs/screenshots")
CONFIG = """
[server]
public_url = "https://think.example.com"
allow_private_upstreams = true

[registration]
allowed = true

[[upstreams]]
name = "deepseek"
base_url = "{base_url}"
api_keys = ["sk-good", "sk-spare"]
models = ["deepseek-v4-pro", "deepseek-v4-flash"]

[[upstreams.model_rewrites]]
from = "gpt-5.3-codex"
to = "deepseek-v4-pro"

[[upstreams]]
name = "kimi"
base_url = "{base_url}"
api_keys = ["sk-good"]
models = ["kimi-k2.6"]
"""

PAGES = {
    "login": ("", "/"),
    "register": ("", "/register"),
    "setup": ("admin", "/setup?step=upstream"),
    "address": ("admin", "/setup?step=address"),
    "connect": ("admin", "/setup?step=connect"),
    "dashboard": ("lin", "/dashboard"),
    "conversations": ("lin", "/conversations"),
    "conversation": ("lin", f"/conversations/{TALK}"),
    "try": ("lin", "/try"),
    "account": ("lin", "/account"),
    "overview": ("admin", "/admin"),
    "users": ("admin", "/admin/users"),
    "keys": ("admin", "/admin/keys"),
    "all-conversations": ("admin", "/admin/conversations"),
    "usage": ("admin", "/admin/usage?by=model"),
    "upstreams": ("admin", "/admin/upstreams"),
    "upstream": ("admin", "/admin/upstreams/config%3Adeepseek"),
    "prices": ("admin", "/admin/upstreams/prices"),
    "rewrites": ("admin", "/admin/rewrites?model=gpt-5.3-codex"),
    "audit": ("admin", "/admin/audit"),
    "settings": ("admin", "/admin/settings"),
    "health": ("admin", "/admin/health"),
}
"""Who looks at which path, by the name of the picture; nobody: a stranger."""

DRAWERS = {
    "request": ("lin", "/dashboard", "#requests [data-drawer]"),
    "record": ("admin", "/admin/audit?q=test_a_cut", "[data-drawer]"),
}
"""The same, and what is clicked there first."""


def main(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    with ExitStack() as stack:
        directory = Path(stack.enter_context(TemporaryDirectory()))
        provider = stack.enter_context(StrictProvider())
        config = CONFIG.format(base_url=provider.base_url)
        gateway = stack.enter_context(Gateway(directory, {"LOG_LEVEL": "warning"}, config=config))
        with closing(open_engine(f"sqlite:{directory}/adapter.db")) as store:
            seed(store, Admin(gateway))
        playwright = stack.enter_context(sync_playwright())
        browser = playwright.chromium.launch(
            executable_path=shutil.which("chromium"), args=["--no-sandbox"]
        )
        for scheme, width in LOOKS:
            for name, (who, path, *clicked) in (PAGES | DRAWERS).items():
                walker = Walker(browser, gateway, scheme, width)
                if who:
                    walker.sign_in_quietly(who, ADMIN_PASSWORD if who == "admin" else PASSWORD)
                page = walker.go(path)
                for selector in clicked:
                    page.locator(selector).first.click()
                page.wait_for_load_state("networkidle")
                page.screenshot(path=folder / f"{name}-{scheme}-{width}.png", full_page=not clicked)
                walker.close()
        browser.close()


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else FOLDER)
