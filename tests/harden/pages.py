"""Text of strangers and users runs nothing in the pages of those who look at it (F15)."""

import json
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path

from playwright.sync_api import sync_playwright

from tests.browser.walker import Walker
from tests.harden.figure import Figure, at_scale
from tests.support.client import fetch, post
from tests.support.gateway import ADMIN_PASSWORD, Gateway, upstream_environment
from tests.support.provider import StrictProvider

__all__ = ("figures",)

PAYLOADS = [
    template.replace("RUN", "alert(1)")
    for template in (
        *("<script>RUN</script>", "</script><script>RUN</script>", "<ScRiPt>RUN</sCrIpT>"),
        *("<img src=x onerror=RUN>", '"><img src=x onerror=RUN>', "'><img src=x onerror='RUN'>"),
        *("<svg onload=RUN>", "<svg/onload=RUN>", "<svg><animate onbegin=RUN attributeName=x>"),
        *("<body onload=RUN>", "<iframe src=javascript:RUN>", "<iframe srcdoc='<script>RUN'>"),
        *("javascript:RUN", "JaVaScRiPt:RUN", "data:text/html,<script>RUN</script>"),
        *("<a href=javascript:RUN>x</a>", '" onmouseover="RUN', "' onfocus='RUN' autofocus='"),
        *(
            '" autofocus onfocus=RUN x="',
            "<input autofocus onfocus=RUN>",
            "<details open ontoggle=RUN>",
        ),
        *("<video><source onerror=RUN>", "<marquee onstart=RUN>", "<object data=javascript:RUN>"),
        *(
            "<embed src=javascript:RUN>",
            "<form action=javascript:RUN><button>",
            "<math href=javascript:RUN>",
        ),
        *(
            "{{RUN}}",
            "${RUN}",
            "{% RUN %}",
            "#{RUN}",
            "<%= RUN %>",
            "`-RUN-`",
            "';RUN//",
            '";RUN//',
        ),
        *("<!--><script>RUN</script>-->", "<style>@import 'http://evil.invalid'</style>"),
        *("<link rel=stylesheet href=http://evil.invalid>", "<base href=http://evil.invalid>"),
        "<meta http-equiv=refresh content='0;url=http://evil.invalid'>",
        *("<div hx-get=http://evil.invalid hx-trigger=load>", "<b data-api='DELETE /api/keys/1'>"),
    )
]
PAGES = (
    *("/dashboard", "/conversations", "/try", "/account", "/admin", "/admin/audit", "/admin/keys"),
    *("/admin/users", "/admin/usage?by=model", "/admin/upstreams", "/admin/rewrites"),
    *("/admin/conversations", "/admin/health", "/admin/settings", "/admin/upstreams/prices"),
)


def figures() -> Iterable[Figure]:
    chromium, payloads = shutil.which("chromium"), PAYLOADS[: at_scale(4, len(PAYLOADS))]
    scale = f"{len(payloads)} payloads in 6 kinds of fields, {len(PAGES)} pages in Chromium"
    if not chromium:
        yield Figure("F15", scale, "chromium is not installed", "0 faults", ok=False)
        return
    with (
        tempfile.TemporaryDirectory() as directory,
        StrictProvider() as provider,
        Gateway(Path(directory), upstream_environment(provider.base_url)) as gateway,
        sync_playwright() as playwright,
    ):
        _plant(gateway, payloads)
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        walker = Walker(browser, gateway)
        walker.sign_in_quietly("admin", ADMIN_PASSWORD)
        shown = sum(_shows(walker, path) for path in PAGES)
        faults = list(walker.faults)
        walker.context.close()
        browser.close()
    measured = f"{len(faults)} faults, {shown} pages showed some of them {'; '.join(faults[:3])}"
    yield Figure("F15", scale, measured.strip(), "0 faults", not faults and shown > 3)


def _shows(walker: Walker, path: str) -> bool:
    """Whether a page shows what was planted; what it runs, the walker hears."""
    page = walker.go(path)
    page.wait_for_timeout(at_scale(100, 500))
    return "alert(1)" in page.content()


def _plant(gateway: Gateway, payloads: list[str]) -> None:
    """Put the payloads where people and programs can write."""
    token = _session(gateway)
    key = gateway.new_user("ada")
    for number, payload in enumerate(payloads):
        _ask(gateway, key, payload)
        for path, body in _bodies(number, payload):
            headers = {"authorization": f"Bearer {token}", "content-type": "application/json"}
            fetch("POST", f"{gateway.origin}{path}", json.dumps(body).encode(), headers)


def _ask(gateway: Gateway, key: str, payload: str) -> None:
    """A model, a prompt, a conversation and a program of these names."""
    for model in ("deepseek-v4-pro", payload):
        body = {"model": model, "messages": [{"role": "user", "content": payload}]}
        plain = payload.encode("ascii").decode()
        headers = {"user-agent": plain, "session-id": plain, "x-title": plain}
        post(
            gateway.origin,
            "/v1/chat/completions",
            json.dumps(body).encode(),
            key=key,
            **headers,
        )


def _bodies(number: int, payload: str) -> Iterator[tuple[str, dict[str, object]]]:
    """What an account may create under such a name; some is refused, which is as well."""
    yield "/api/keys", {"name": payload}
    yield "/api/admin/users", {"username": f"{number} {payload}"[:60]}
    yield "/api/admin/upstreams", {"name": payload, "base_url": "https://a.b", "models": [payload]}
    yield "/api/admin/prices", {"model": payload, "input_micros": 1, "output_micros": 1}


def _session(gateway: Gateway) -> str:
    body = json.dumps({"username": "admin", "password": ADMIN_PASSWORD}).encode()
    token: str = post(gateway.origin, "/api/login", body).json["token"]
    return token
