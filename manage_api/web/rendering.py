"""How a page is made.

A controller that derives from `Pages` answers `page(request, "file.html", name=value, …)`:
a template of `templates/` that extends `base.html`, or a fragment for htmx. What it shows
is read through the same services as the controllers of the API; what people change goes
from the browser straight to the JSON API (`static/app/forms.js`), so that nothing is posted
to a page.

Templates escape everything, and a name that was not passed is an error. There are the
globals `user` (None for strangers), `here` (the path), `asset`, `version`, `setup_open`,
and the filters below. `macros.html` has what pages share.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from litestar import Controller, MediaType, Response
from litestar.exceptions import HTTPException, NotAuthorizedException, NotFoundException
from litestar.response import Redirect
from litestar.status_codes import HTTP_303_SEE_OTHER
from markupsafe import Markup

from manage_api.access.authentication import PUBLIC
from manage_api.access.callers import AnyRequest
from manage_api.access.same_origin import shown_cookie
from manage_api.domains.limits import limits_words
from manage_api.problems import Problem, http_problem, store_problem, unexpected_problem
from manage_api.sidecar import Sidecar
from manage_api.web.assets import asset
from manage_api.web.words import agent, outcome, rule_words, trouble
from shared.errors import StoreError
from shared.model import User
from shared.store.sessions import session_user

__all__ = (
    "Pages",
    "PublicPages",
    "go",
    "local_path",
    "missing_page",
    "page",
    "plain_dollars",
    "visitor",
)

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "font-src 'self';"
    " connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
_FOLDER = Path(__file__).with_name("templates")


def page(
    request: AnyRequest, template: str, *, http_status: int = 200, **shown: Any
) -> Response[str]:
    """A template as an answer; `shown` are its names beside the globals."""
    sidecar: Sidecar = request.app.state.sidecar
    user: User | None = request.scope.get("user")
    text = (
        _environment()
        .get_template(template)
        .render(
            user=user,
            here=request.url.path,
            setup_open=bool(user and user.role == "admin" and not sidecar.snapshot.upstreams),
            **shown,
        )
    )
    headers = {"Content-Security-Policy": POLICY, "Vary": "HX-Request"}
    return Response(text, media_type=MediaType.HTML, status_code=http_status, headers=headers)


def go(path: str) -> Redirect:
    """An answer that leads to another of our pages."""
    return Redirect(path, status_code=HTTP_303_SEE_OTHER)


def local_path(text: str) -> str:
    """The path when it leads to one of our pages, else the dashboard's: nobody is sent to
    other sites (CWE-601).
    """
    ours = text.startswith("/") and not text.startswith("//")
    return (
        text
        if ours and "\\" not in text and text.isprintable() and text.isascii()
        else "/dashboard"
    )


def visitor(request: AnyRequest) -> User | None:
    """Who looks at a public page."""
    sidecar: Sidecar = request.app.state.sidecar
    token = shown_cookie(request)
    now_ms = sidecar.clock.now_ms()
    return (
        session_user(sidecar.store, token, sidecar.token_secret, now_ms=now_ms) if token else None
    )


def _page_problem(request: AnyRequest, error: HTTPException) -> Response[Any]:
    """Strangers are sent to sign in, who has a well-known password to change it; others are
    told.
    """
    if isinstance(error, NotAuthorizedException):
        here = request.url.path + (f"?{request.url.query}" if request.url.query else "")
        return _leave(request, f"/?next={quote(here)}")
    user: User | None = request.scope.get("user")
    if user and user.must_change_password and error.status_code == 403:
        return _leave(request, "/setup" if user.role == "admin" else "/account")
    return _told(request, http_problem(request, error).content)


def _unexpected(request: AnyRequest, error: Exception) -> Response[Any]:
    """What nobody thought of, logged like the API's."""
    found = (
        store_problem(request, error)
        if isinstance(error, StoreError)
        else unexpected_problem(request, error)
    )
    return _told(request, found.content)


def _told(request: AnyRequest, problem: Problem) -> Response[str]:
    """A problem as a page, or as the part of one that was asked for."""
    template = "problem_part.html" if request.headers.get("HX-Request") else "problem.html"
    return page(
        request, template, http_status=problem.status, detail=problem.detail, code=problem.status
    )


def _leave(request: AnyRequest, path: str) -> Response[Any]:
    """A fragment can't redirect the page it goes into, so htmx is told to
    (https://htmx.org/reference/).
    """
    if request.headers.get("HX-Request"):
        return Response(b"", headers={"HX-Redirect": path})
    return go(path)


def missing_page(request: AnyRequest, error: NotFoundException) -> Response[Any]:
    """What is nowhere: a page for who looks for one, a problem for programs."""
    if "text/html" not in request.headers.get("accept", "") or request.url.path.startswith("/api/"):
        return http_problem(request, error)
    return page(
        request,
        "problem.html",
        http_status=error.status_code,
        detail="There is no such page.",
        code=404,
    )


class Pages(Controller):
    """Pages for people who have signed in; for admins' set `guards = (admin_only,)`."""

    include_in_schema = False
    exception_handlers = {
        HTTPException: _page_problem,
        NotFoundException: _page_problem,
        Exception: _unexpected,
    }


class PublicPages(Pages):
    """Pages for anybody; `visitor` tells who it is."""

    opt = PUBLIC


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(_FOLDER),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals |= {"asset": asset, "version": version("thinkback")}
    environment.filters |= {
        "cut": cut,
        "day": day,
        "lasted": lasted,
        "number": number,
        "plain_dollars": plain_dollars,
        "query": query,
        "share": share,
        "short": short,
        "usd": usd,
        "when": when,
    }
    environment.filters |= {
        word.__name__: word for word in (agent, limits_words, outcome, rule_words, trouble)
    }
    return environment


# -- filters ---------------------------------------------------------------------------------------


def number(value: int) -> str:
    """1,234,567."""
    return f"{value:,}"


def query(parts: Mapping[str, object]) -> str:
    """The query of a URL from what is not empty."""
    return urlencode({name: value for name, value in parts.items() if value not in (None, "")})


def short(value: int) -> str:
    """1.2M, for where there is no room."""
    for size, unit in ((10**12, "T"), (10**9, "B"), (10**6, "M"), (10**3, "k")):
        if value >= size:
            return (
                f"{value / size:.3g}{unit}" if value < 1000 * size else f"{value // size:,}{unit}"
            )
    return str(value)


def usd(micros: int | None) -> str:
    """Millionths of a US dollar as dollars, to the cent, or to a hundredth of one below a
    dollar.
    """
    if micros is None:
        return "unknown"
    if 0 < micros < 100:
        return "<$0.0001"
    return f"${micros / 1e6:,.2f}" if micros >= 1_000_000 or not micros else f"${micros / 1e6:.4f}"


def plain_dollars(micros: int | None) -> str:
    """The same to the last digit, as the fields for money take it; empty for None.

    Three decimals get a fourth where 1.125 could be read as 1125.
    """
    if micros is None:
        return ""
    whole, rest = divmod(micros, 1_000_000)
    decimals = f"{rest:06}".rstrip("0").ljust(2, "0")
    if len(decimals) == 3 and 0 < whole < 1000:
        decimals += "0"
    return f"{whole}.{decimals}"


def when(ms: int) -> Markup:
    """A time (epoch ms) that `static/app/times.js` shows in the zone of the reader."""
    moment = datetime.fromtimestamp(ms / 1000, UTC)
    return Markup('<time datetime="{}" data-local>{} UTC</time>').format(
        moment.isoformat(timespec="milliseconds"), moment.strftime("%Y-%m-%d %H:%M")
    )


def day(number: int) -> str:
    """YYYYMMDD as 2026-11-20."""
    return f"{number // 10_000:04}-{number // 100 % 100:02}-{number % 100:02}"


def lasted(ms: int | None) -> str:
    """850 ms, 12.3 s, 4 min 5 s; a dash when it is not known."""
    if ms is None:
        return "–"
    if ms < 1000:
        return f"{ms} ms"
    if ms < 60_000:
        return f"{ms / 1000:.3g} s"
    return f"{ms // 60_000} min {ms // 1000 % 60} s"


def share(part: int, whole: int) -> str:
    """98.5 %; a dash of nothing. What is not all is never rounded up to it."""
    if not whole:
        return "–"
    percent = min(100 * part / whole, 99.9) if part < whole else 100.0
    return f"{percent:.3g} %"


def cut(text: str, most: int = 200) -> str:
    """The text's beginning where it is longer than that."""
    return text if len(text) <= most else f"{text[:most]}…"
