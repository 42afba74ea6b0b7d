"""The API's description (OpenAPI 3.1) and its page, neither of which needs another host."""

from http import HTTPStatus
from importlib.metadata import version
from inspect import cleandoc
from typing import Any

from litestar import Request, Router
from litestar._openapi.schema_generation import SchemaCreator
from litestar._openapi.schema_generation.plugins.struct import StructSchemaPlugin
from litestar.handlers import HTTPRouteHandler
from litestar.openapi import OpenAPIConfig, ResponseSpec
from litestar.openapi.plugins import JsonRenderPlugin, OpenAPIRenderPlugin
from litestar.openapi.spec import Components, Schema, SecurityScheme
from litestar.plugins.base import ReceiveRoutePlugin
from litestar.routes import BaseRoute, HTTPRoute
from litestar.typing import FieldDefinition
from litestar.utils.helpers import unwrap_partial

from manage_api.access.authentication import PUBLIC
from manage_api.problems import PROBLEM_TYPE, Problem
from manage_api.web.assets import SWAGGER_UI, asset

__all__ = ("ClosedStructs", "Description", "describe")

_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:;"
    " connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_ABOUT = (
    "Accounts, virtual keys, quotas, usage and settings. Errors are "
    "`application/problem+json` (RFC 9457). The LLM API under `/v1` follows the providers' "
    "documentation and is not described here."
)
_SCHEMES: dict[str, Any] = {
    "session": SecurityScheme(
        "http", scheme="bearer", bearer_format="JWT", description="From `POST /api/login`."
    ),
    "virtual_key": SecurityScheme(
        "http",
        scheme="bearer",
        description="`sk-…`; administration needs one with the scope `admin`.",
    ),
    "cookie": SecurityScheme(
        "apiKey",
        name="thinkback",
        security_scheme_in="cookie",
        description="For browsers; `__Host-thinkback` over TLS.",
    ),
}
_DESCRIPTIONS = {
    400: "Something in the request is invalid; see `fields`.",
    401: "The caller is not authenticated.",
    403: "The caller may not do this.",
    404: "Not found.",
    409: "This conflicts with what is stored.",
    413: "The request is too large.",
    429: "Too many requests; see `Retry-After`.",
    503: "The database is unavailable.",
}
_PAGE = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>Thinkback API</title>
<link rel="icon" href="{icon}">
<link rel="stylesheet" href="{style}">
<div id="schema"></div>
<script src="{swagger}"></script>
<script src="{start}"></script>
</html>
"""


def describe() -> OpenAPIConfig:
    """Serve `/schema/openapi.json` and Swagger UI at `/schema`.

    They are public, as they tell no more than the source code.
    """
    return OpenAPIConfig(
        title="Thinkback",
        version=version("thinkback"),
        description=_ABOUT,
        components=Components(security_schemes=_SCHEMES),
        render_plugins=[_SwaggerUI(path=["/", "/swagger"]), JsonRenderPlugin()],
        openapi_router=Router(
            "/schema",
            route_handlers=[],
            include_in_schema=False,
            opt=PUBLIC,
            response_headers={"Content-Security-Policy": _POLICY},
        ),
    )


class Description(ReceiveRoutePlugin):
    """Describes what all routes share: tag, authentication, and error responses."""

    def receive_route(self, route: BaseRoute) -> None:
        if isinstance(route, HTTPRoute):
            for handler, takes in route.route_handler_map.values():
                if handler.resolve_include_in_schema():
                    _describe(
                        handler,
                        takes_path=bool(route.path_parameters),
                        takes_query=bool(takes.expected_query_params),
                    )


class ClosedStructs(StructSchemaPlugin):
    """Describes which bodies allow no additional fields."""

    def to_openapi_schema(
        self, field_definition: FieldDefinition, schema_creator: SchemaCreator
    ) -> Schema:
        schema = super().to_openapi_schema(field_definition, schema_creator)
        if field_definition.type_.__struct_config__.forbid_unknown_fields:
            schema.additional_properties = False
        return schema


class _SwaggerUI(OpenAPIRenderPlugin):
    def render(self, request: Request[Any, Any, Any], openapi_schema: dict[str, Any]) -> bytes:
        files = {
            "icon": asset("favicon.svg"),
            "style": asset(f"{SWAGGER_UI}/swagger-ui.css"),
            "swagger": asset(f"{SWAGGER_UI}/swagger-ui-bundle.js"),
            "start": asset("schema.js"),
        }
        return _PAGE.format(**files).encode()


def _describe(handler: HTTPRouteHandler, *, takes_path: bool, takes_query: bool) -> None:
    public = PUBLIC.items() <= handler.opt.items()
    takes_body = "data" in handler.parsed_fn_signature.parameters
    changes = "GET" not in handler.http_methods
    can_happen = {
        400: takes_body or takes_query or takes_path,
        401: not public,
        403: changes or not public,
        404: takes_path,
        413: takes_body,
        503: True,
    }
    raised = {error.status_code for error in handler.raises or ()}
    statuses = raised | {status for status, can in can_happen.items() if can}
    described = {status: _problem(status) for status in sorted(statuses)}
    if handler.status_code == 204:
        described[204] = ResponseSpec(None, description="Done.")
    handler.responses = described | dict(handler.responses or {})
    handler.security = []
    if not public:
        handler.security = [{name: []} for name in _SCHEMES]
    function = unwrap_partial(handler.fn)
    handler.summary, _, handler.description = cleandoc(function.__doc__ or "").partition("\n\n")
    handler.tags = [function.__module__.split(".")[-2]]


def _problem(status: int) -> ResponseSpec:
    text = _DESCRIPTIONS.get(status, HTTPStatus(status).phrase)
    return ResponseSpec(Problem, generate_examples=False, description=text, media_type=PROBLEM_TYPE)
