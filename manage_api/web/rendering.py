"""How pages are rendered.

A controller that derives from `Pages` returns `page(request, "file.html", name=value, …)`:
a template in `templates/` that extends `base.html`, or a fragment for htmx. It reads
through the same services as the API's controllers. Changes go from the browser straight to
the JSON API (`static/app/forms.js`), so nothing is posted to a page.

Templates escape everything, and an undefined name is an error. They have the globals `user`
(None without a session), `here` (the path), `asset`, `version`, `setup_open`,
`known_models` (a function without arguments), and the filters below. `macros.html` has what
pages share.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from functools import cache, partial
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlencode

from litestar import Controller, MediaType, Response
from litestar.exceptions import HTTPException, NotAuthorizedException, NotFoundException
from litestar.response import Redirect
from litestar.status_codes import HTTP_303_SEE_OTHER
from markupsafe import Markup

from manage_api.access.authentication import PUBLIC
from manage_api.access.callers import AnyRequest
from manage_api.access.same_origin import read_cookie
from manage_api.domains.limits import limits_words
from manage_api.problems import Problem, http_problem, store_problem, unexpected_problem
from manage_api.sidecar import Sidecar
from manage_api.web.assets import asset
from manage_api.web.connect import allowed_of
from manage_api.web.words import agent, lesson_words, outcome, rule_words, trouble
from shared.errors import StoreError
from shared.model import User
from shared.store.sessions import session_user

if TYPE_CHECKING:
    from jinja2 import Environment

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
_MAX_SUGGESTED = 500
"""Models that a field suggests: a provider may have hundreds, a page need not have thousands."""

_FOLDER = Path(__file__).with_name("templates")


def page(
    request: AnyRequest, template: str, *, http_status: int = 200, reaches: str = "", **shown: Any
) -> Response[str]:
    """Render a template; `shown` are its names besides the globals.

    `reaches` is an origin that its scripts may ask besides the page's own.
    """
    sidecar: Sidecar = request.app.state.sidecar
    user: User | None = request.scope.get("user")
    text = (
        _environment()
        .get_template(template)
        .render(
            user=user,
            here=request.url.path,
            known_models=partial(_known_models, sidecar, user),
            setup_open=bool(user and user.role == "admin" and not sidecar.snapshot.upstreams),
            **shown,
        )
    )
    policy = POLICY
    if reaches:
        policy = policy.replace("connect-src 'self'", f"connect-src 'self' {reaches}")
    headers = {"Content-Security-Policy": policy, "Vary": "HX-Request"}
    return Response(text, media_type=MediaType.HTML, status_code=http_status, headers=headers)


def _known_models(sidecar: Sidecar, user: User | None) -> list[str]:
    """List the models that the user may give to keys, as many as a field suggests."""
    allowed: tuple[str, ...] = ()
    if user and user.role != "admin":
        allowed = user.models
    return allowed_of(sidecar.known_models(), allowed)[:_MAX_SUGGESTED]


def go(path: str) -> Redirect:
    """Redirect to another of our pages."""
    return Redirect(path, status_code=HTTP_303_SEE_OTHER)


def local_path(text: str) -> str:
    """Return the path if it leads to one of our pages, else the dashboard's (CWE-601)."""
    ours = text.startswith("/") and not text.startswith("//")
    if ours and "\\" not in text and text.isprintable() and text.isascii():
        return text
    return "/dashboard"


def visitor(request: AnyRequest) -> User | None:
    """Return the user who visits a public page, if they have signed in."""
    sidecar: Sidecar = request.app.state.sidecar
    token = read_cookie(request)
    now_ms = sidecar.clock.now_ms()
    if not token:
        return None
    return session_user(sidecar.store, token, sidecar.token_secret, now_ms=now_ms)


def _page_problem(request: AnyRequest, error: HTTPException) -> Response[Any]:
    """Redirect to sign in or to change a well-known password, else show the error."""
    if isinstance(error, NotAuthorizedException):
        here = request.url.path
        if request.url.query:
            here += f"?{request.url.query}"
        return _leave(request, f"/?next={quote(here)}")
    user: User | None = request.scope.get("user")
    if user and user.must_change_password and error.status_code == 403:
        return _leave(request, "/setup" if user.role == "admin" else "/account")
    return _problem_page(request, http_problem(request, error).content)


def _unexpected(request: AnyRequest, error: Exception) -> Response[Any]:
    """Show an unexpected error, logged like the API's."""
    if isinstance(error, StoreError):
        return _problem_page(request, store_problem(request, error).content)
    return _problem_page(request, unexpected_problem(request, error).content)


def _problem_page(request: AnyRequest, problem: Problem) -> Response[str]:
    """Show a problem as a page, or as a fragment for htmx."""
    template = "problem.html"
    if request.headers.get("HX-Request"):
        template = "problem_part.html"
    return page(
        request, template, http_status=problem.status, detail=problem.detail, code=problem.status
    )


def _leave(request: AnyRequest, path: str) -> Response[Any]:
    """Redirect the whole page: for a fragment, htmx does it (https://htmx.org/reference/)."""
    if request.headers.get("HX-Request"):
        return Response(b"", headers={"HX-Redirect": path})
    return go(path)


def missing_page(request: AnyRequest, error: NotFoundException) -> Response[Any]:
    """Answer an unknown path: a page for browsers, a problem for clients of the API."""
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
    """Pages for signed-in users; pages for admins set `guards = (admin_only,)`."""

    include_in_schema = False
    exception_handlers = {
        HTTPException: _page_problem,
        NotFoundException: _page_problem,
        Exception: _unexpected,
    }


class PublicPages(Pages):
    """Pages for everyone; `visitor` tells who it is."""

    opt = PUBLIC


@cache
def _environment() -> "Environment":
    # Loaded with the first page: a gateway whose pages nobody opens does without.
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

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
    words = (agent, lesson_words, limits_words, outcome, rule_words, trouble)
    environment.filters |= {word.__name__: word for word in words}
    return environment


# -- filters ---------------------------------------------------------------------------------------


def number(value: int) -> str:
    """Write a number like 1,234,567."""
    return f"{value:,}"


def query(parts: Mapping[str, object]) -> str:
    """Encode what is not empty as the query of a URL."""
    return urlencode({name: value for name, value in parts.items() if value not in (None, "")})


def short(value: int) -> str:
    """Write a number like 1.2M, for tight places."""
    for size, unit in ((10**12, "T"), (10**9, "B"), (10**6, "M"), (10**3, "k")):
        if value >= 1000 * size:
            return f"{value // size:,}{unit}"
        if value >= size:
            return f"{value / size:.3g}{unit}"
    return str(value)


def usd(micros: int | None) -> str:
    """Write millionths of a US dollar as dollars: to the cent, below $1 to a hundredth of it."""
    if micros is None:
        return "unknown"
    if 0 < micros < 100:
        return "<$0.0001"
    if 0 < micros < 1_000_000:
        return f"${micros / 1e6:.4f}"
    return f"${micros / 1e6:,.2f}"


def plain_dollars(micros: int | None) -> str:
    """Write dollars to the last digit, as the fields for money take them; empty for None.

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
    """Write a time (epoch ms), which `static/app/times.js` converts to local time."""
    moment = datetime.fromtimestamp(ms / 1000, UTC)
    return Markup('<time datetime="{}" data-local>{} UTC</time>').format(
        moment.isoformat(timespec="milliseconds"), moment.strftime("%Y-%m-%d %H:%M")
    )


def day(number: int) -> str:
    """Write YYYYMMDD as 2026-11-20."""
    return f"{number // 10_000:04}-{number // 100 % 100:02}-{number % 100:02}"


def lasted(ms: int | None) -> str:
    """Write a duration like 850 ms, 12.3 s or 4 min 5 s; a dash if unknown."""
    if ms is None:
        return "–"
    if ms < 1000:
        return f"{ms} ms"
    if ms < 60_000:
        return f"{ms / 1000:.3g} s"
    return f"{ms // 60_000} min {ms // 1000 % 60} s"


def share(part: int, whole: int) -> str:
    """Write a share like 98.5 %; a dash of nothing. Less than all never becomes 100 %."""
    if not whole:
        return "–"
    if part >= whole:
        return "100 %"
    return f"{min(100 * part / whole, 99.9):.3g} %"


def cut(text: str, most: int = 200) -> str:
    """Shorten a text that is longer than that."""
    if len(text) <= most:
        return text
    return f"{text[:most]}…"
