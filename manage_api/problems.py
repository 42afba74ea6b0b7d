"""Errors as problem+json (RFC 9457), in sentences a person can act on."""

import http
import logging
from typing import Any

from litestar import Request, Response
from litestar.exceptions import HTTPException, ValidationException

from shared.errors import StoreError

__all__ = ("http_problem", "invalid", "store_problem", "unexpected_problem")

log = logging.getLogger("thinkback.sidecar")

type Problem = Response[dict[str, Any]]


def invalid(field: str, message: object) -> ValidationException:
    """The error for one field of the body that can't be accepted."""
    return ValidationException(extra=[{"key": field, "message": str(message)}])


def http_problem(_: Request[Any, Any, Any], error: HTTPException) -> Problem:
    """`title`, `status`, `detail`, and `fields` with a message for each field of the body that is wrong."""
    if not isinstance(error, ValidationException):
        return _problem(error.status_code, error.headers, detail=error.detail)
    found: list[Any] = error.extra if isinstance(error.extra, list) else []
    fields = {entry["key"]: entry["message"] for entry in found if "key" in entry}
    detail = " ".join(f"{key}: {message}" for key, message in fields.items()) or error.detail
    return _problem(error.status_code, error.headers, detail=detail, fields=fields)


def store_problem(request: Request[Any, Any, Any], error: StoreError) -> Problem:
    """The database can't be used now."""
    log.error("%s %s failed: %s", request.method, request.url.path, error)
    return _problem(503, {"Retry-After": "5"}, detail=str(error))


def unexpected_problem(request: Request[Any, Any, Any], error: Exception) -> Problem:
    """What nobody thought of: the log has the error, the caller learns only that there was one."""
    log.error("%s %s failed", request.method, request.url.path, exc_info=error)
    return _problem(500, None, detail="Something went wrong here; the log of the sidecar says what.")


def _problem(status: int, headers: dict[str, str] | None, **members: Any) -> Problem:
    return Response(
        {"title": http.HTTPStatus(status).phrase, "status": status, **members},
        status_code=status,
        headers=headers,
        media_type="application/problem+json",
    )
