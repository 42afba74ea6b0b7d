"""A person at a browser: pages of one gateway, and everything about them that must not happen."""

from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, Request, expect

from tests.support.gateway import Gateway

__all__ = ("LOOKS", "WIDTHS", "Walker", "violations", "violations_in_both_colours")

AXE = (Path(__file__).parent / "vendor/axe-core-4.14.1/axe.min.js").read_text("utf-8")
WIDTHS = (1280, 390)
LOOKS = [(scheme, width) for scheme in ("light", "dark") for width in WIDTHS]
"""How each page is looked at: the colours the system asks for, and how wide the window is."""

_HEIGHTS = {1280: 900, 390: 844}
_POLICY_WATCH = """
    document.addEventListener("securitypolicyviolation", (event) =>
        console.error(`CSP: ${event.violatedDirective} ${event.blockedURI}`))
"""

_NO_TRANSITIONS = """
    () => {
        const sheet = new CSSStyleSheet();
        sheet.replaceSync("*, *::before, *::after { transition: none !important }");
        document.adoptedStyleSheets = [...document.adoptedStyleSheets, sheet];
    }
"""
"""A colour that is inherited would change in as many frames as elements stand in each other."""


class Walker:
    """One browser context with one page; `faults` are what must stay empty."""

    def __init__(
        self,
        browser: Browser,
        gateway: Gateway,
        scheme: str = "light",
        width: int = 1280,
        *,
        host: str = "127.0.0.1",
    ) -> None:
        """`host` is the name under which the browser finds the gateway."""
        self.gateway = gateway
        self.origin = f"http://{host}:{gateway.port}"
        self.faults: list[str] = []
        self.context: BrowserContext = browser.new_context(
            base_url=self.origin,
            color_scheme=scheme,  # type: ignore[arg-type]
            viewport={"width": width, "height": _HEIGHTS.get(width, 900)},
            reduced_motion="reduce",
            locale="en-US",
            timezone_id="America/New_York",
            permissions=["clipboard-read", "clipboard-write"],
        )
        self.context.set_default_timeout(30_000)
        self.context.add_init_script(_POLICY_WATCH)
        self.page: Page = self.context.new_page()
        self.page.on("console", self._hear)
        self.page.on("pageerror", lambda error: self.faults.append(f"error: {error}"))
        self.page.on(
            "dialog",
            lambda dialog: (self.faults.append(f"dialog: {dialog.message}"), dialog.dismiss()),
        )
        self.page.on("request", self._watch)

    def go(self, path: str) -> Page:
        """The page at this path."""
        answer = self.page.goto(path)
        assert answer
        assert answer.status < 500, f"{answer.text()}\n{self.gateway.log[-3000:]}"
        return self.page

    def sign_in(self, username: str, password: str, path: str = "/") -> Page:
        """Sign in with the form and go to a path."""
        page = self.go("/")
        page.get_by_label("Username").fill(username)
        page.get_by_label("Password", exact=True).fill(password)
        page.get_by_role("button", name="Sign in").click()
        expect(page.get_by_role("button", name="Sign out")).to_be_attached()
        page.wait_for_load_state()  # its scripts have run: until then forms are sent without them
        return self.go(path) if path != "/" else page

    def sign_in_quietly(self, username: str, password: str) -> None:
        """The same without the form."""
        answer = self.context.request.post(
            "/api/login", data={"username": username, "password": password}
        )
        assert answer.ok, answer.text()

    def close(self) -> None:
        """Leave; raises AssertionError with what happened and must not."""
        self.context.close()
        assert self.faults == []

    def _hear(self, message: ConsoleMessage) -> None:
        if message.type == "error" and not self._is_refusal(message):
            self.faults.append(f"console: {message.text} {message.location}")

    def _is_refusal(self, message: ConsoleMessage) -> bool:
        """Browsers log every 4xx; one of the API is how pages learn what is wrong."""
        address = urlsplit(str(message.location.get("url", "")))
        return "status of 4" in message.text and address.path.startswith(("/api/", "/v1/"))

    def _watch(self, request: Request) -> None:
        if not request.url.startswith((f"{self.origin}/", "data:", "about:")):
            self.faults.append(f"request: {request.url}")


def violations(page: Page) -> list[str]:
    """What axe-core finds wrong with the page (WCAG 2.2 AA and its best practices), and
    whether it scrolls sideways.
    """
    if not page.evaluate("'axe' in window"):
        page.evaluate(AXE)
    found = page.evaluate("axe.run(document, {resultTypes: ['violations']})")
    told = [
        f"{each['id']}: {node['html'][:200]} {node['failureSummary'][:300]}"
        for each in found["violations"]
        for node in each["nodes"]
    ]
    wide = page.evaluate(
        "document.documentElement.scrollWidth - document.documentElement.clientWidth"
    )
    return told + ([f"the page is {wide} px too wide"] if wide > 0 else [])


def violations_in_both_colours(page: Page) -> list[str]:
    """The same of a light page in light colours and in dark ones, to which the system changes while
    it is open.
    """
    found = [f"light: {each}" for each in violations(page)]
    page.evaluate(_NO_TRANSITIONS)
    _ask_for(page, "dark")
    found += [f"dark: {each}" for each in violations(page)]
    _ask_for(page, "light")
    return found


def _ask_for(page: Page, scheme: Literal["light", "dark"]) -> None:
    page.emulate_media(color_scheme=scheme)
    expect(page.locator("html")).to_have_attribute("data-bs-theme", scheme)
