"""The page at `/`: one file without script, so that its policy can forbid everything."""

import base64
import hashlib
from html import escape
from importlib.metadata import version

from litestar import Controller, MediaType, Response, get
from litestar.di import NamedDependency

from manage_api.authentication import PUBLIC
from manage_api.callers import AnyRequest, forwarded
from manage_api.report import base_url
from manage_api.sidecar import Sidecar

__all__ = ("PagesController",)

_STYLE = (
    ":root{color-scheme:light dark}body{font:1.05rem/1.6 system-ui,sans-serif;max-width:42rem;margin:4rem auto;"
    "padding:0 1rem}code{font-size:.95em}dt{font-weight:600}dd{margin:0 0 1rem}"
)
_STYLE_HASH = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()
_POLICY = (
    f"default-src 'none'; style-src 'sha256-{_STYLE_HASH}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)

_PAGE = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>Thinkback</title>
<style>{style}</style>
<h1>Thinkback is running</h1>
<dl>
<dt>Base URL for Cursor and SDKs</dt><dd><code>{base_url}</code></dd>
<dt>Upstream</dt><dd>{upstream}</dd>
<dt>Version</dt><dd>{version}</dd>
</dl>
</html>
"""

_CONFIGURED = "Configured. Requests need a virtual key; an admin makes one with <code>thinkback key new USER</code>."
_MISSING = (
    "None is configured yet, so requests can't be answered. Set <code>UPSTREAM_BASE_URL</code> and"
    " <code>UPSTREAM_API_KEY</code> and start Thinkback again, or write <code>[[upstreams]]</code> into its"
    " <code>config.toml</code>: <code>config.example.toml</code> shows how, and <code>thinkback check</code> tells what"
    " is understood."
)


class PagesController(Controller):
    """Pages for people."""

    opt = PUBLIC

    @get("/", media_type=MediaType.HTML)
    async def home(self, request: AnyRequest, sidecar: NamedDependency[Sidecar]) -> Response[str]:
        """Whether it runs, and what to do next."""
        page = _PAGE.format(
            style=_STYLE,
            base_url=escape(_base_url(request, sidecar)),
            upstream=_CONFIGURED if sidecar.snapshot.upstreams else _MISSING,
            version=escape(version("thinkback")),
        )
        return Response(page, headers={"Content-Security-Policy": _POLICY})


def _base_url(request: AnyRequest, sidecar: Sidecar) -> str:
    """`PUBLIC_URL`, else what the browser used to come here, else where the data plane listens."""
    scheme = forwarded(request, "proto")
    if sidecar.snapshot.server.public_url or not scheme:
        return base_url(sidecar.snapshot)
    return f"{scheme}://{request.headers.get('host', '')}/v1"
