"""Write who may ask for what into docs/security.md: `python -m tools.routes`.

The table is read from the sidecar's routes themselves: what each is marked with, and its guards.
"""

from collections.abc import Iterable
from pathlib import Path

from litestar import Litestar
from litestar.handlers import HTTPRouteHandler

from manage_api.access.authentication import PUBLIC
from manage_api.access.guards import WITH_ANY_PASSWORD, admin_only, no_inference_key
from manage_api.app import create_app
from shared.config.watch import Watch

__all__ = ("AUDIENCES", "audience", "routes", "table", "written")

PAGE = Path(__file__).parents[1] / "docs" / "security.md"
BEGIN, END = "<!-- routes: written by python -m tools.routes -->", "<!-- end of routes -->"

AUDIENCES = {
    "anybody": "Anybody, without a credential",
    "every caller": "Every caller: a session, or a virtual key",
    "every caller but inference keys": "A session, or an admin's key with the scope `admin`",
    "admins": "An admin's session, or an admin's key with the scope `admin`",
}
"""By their names in the tests."""


def routes(app: Litestar) -> dict[str, HTTPRouteHandler]:
    """Every route by method and path, but `OPTIONS`, which the framework answers."""
    return {
        f"{method} {route.path}": handler
        for route in app.routes
        for method, (handler, _) in route.route_handler_map.items()
        if method != "OPTIONS"
    }


def audience(handler: HTTPRouteHandler) -> str:
    """Who may ask for a route, by its marks and guards."""
    if PUBLIC.items() <= handler.opt.items():
        return "anybody"
    # Litestar wraps those that are not coroutines.
    guards = [getattr(guard, "func", guard) for guard in handler.resolve_guards()]
    if admin_only in guards:
        return "admins"
    if no_inference_key in guards:
        return "every caller but inference keys"
    return "every caller"


def table(app: Litestar) -> str:
    """The table in Markdown: a section for each audience, a line for each route."""
    by_audience: dict[str, list[str]] = {name: [] for name in AUDIENCES}
    for name, handler in routes(app).items():
        line = f"- `{name}`"
        if WITH_ANY_PASSWORD.items() <= handler.opt.items():
            line += " (also while the password must be changed)"
        by_audience[audience(handler)].append(line)
    parts: list[Iterable[str]] = [
        (f"### {AUDIENCES[name]}", "", *sorted(lines, key=_by_path), "")
        for name, lines in by_audience.items()
    ]
    return "\n".join(line for part in parts for line in part).strip()


def written(page: str, text: str) -> str:
    """The page with the text between its two marks."""
    before, _, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not end:
        raise ValueError(f"the page lacks {BEGIN} or {END}")
    return f"{before}{BEGIN}\n\n{text}\n\n{END}{after}"


def _by_path(line: str) -> tuple[str, str]:
    method, _, path = line.removeprefix("- `").partition(" ")
    return path, method


def main() -> None:
    """Write the table."""
    app = create_app(Watch({"CONFIG_PATH": str(PAGE.parents[1] / "config.example.toml")}))
    PAGE.write_text(written(PAGE.read_text("utf-8"), table(app)), "utf-8")


if __name__ == "__main__":
    main()
