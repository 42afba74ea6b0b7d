"""Errors as problem+json (RFC 9457), in sentences a person can act on."""

import http
import logging
from typing import Any

import msgspec
from litestar import Request, Response
from litestar.exceptions import ClientException, HTTPException, ValidationException
from litestar.status_codes import HTTP_409_CONFLICT

from shared.errors import StoreError

__all__ = (
    "PROBLEM_TYPE",
    "Conflict",
    "Problem",
    "conflict_problem",
    "field_messages",
    "http_problem",
    "invalid",
    "store_problem",
    "unexpected_problem",
    "unreadable_problem",
)

log = logging.getLogger("thinkback.sidecar")

PROBLEM_TYPE = "application/problem+json"


class Problem(msgspec.Struct, frozen=True, kw_only=True):
    """Why a request failed: `detail` for people, `fields` by field of the body or query."""

    title: str
    status: int
    detail: str
    fields: dict[str, str] | msgspec.UnsetType = msgspec.UNSET


class Conflict(ClientException):
    """The request contradicts what is stored."""

    status_code = HTTP_409_CONFLICT


def invalid(field: str, message: object) -> ValidationException:
    """Return the error for one invalid field of the body."""
    return ValidationException(extra=[{"key": field, "message": str(message)}])


def http_problem(_: Request[Any, Any, Any], error: HTTPException) -> Response[Problem]:
    """Answer an HTTP error, with a message in `fields` for each invalid field."""
    if not isinstance(error, ValidationException):
        return _problem(error.status_code, error.headers, detail=error.detail)
    fields = {key: text for key, text in field_messages(error).items() if key}
    detail = " ".join(f"{key}: {message}" for key, message in fields.items()) or error.detail
    return _problem(error.status_code, error.headers, detail=detail, fields=fields)


def field_messages(error: ValidationException) -> dict[str, str]:
    """Return the messages by field; the key "" stands for a message about no field."""
    if not isinstance(error.extra, list):
        return {}
    return {entry.get("key", ""): str(entry["message"]) for entry in error.extra}


def conflict_problem(_: Request[Any, Any, Any], error: StoreError) -> Response[Problem]:
    """Answer a refusal of the store as a conflict."""
    return _problem(HTTP_409_CONFLICT, None, detail=str(error))


def store_problem(request: Request[Any, Any, Any], error: StoreError) -> Response[Problem]:
    """Answer that the database is unavailable."""
    log.error("%s %s failed: %s", request.method, request.url.path, error)
    return _problem(503, {"Retry-After": "5"}, detail=str(error))


def unreadable_problem(request: Request[Any, Any, Any], error: Exception) -> Response[Problem]:
    """Answer a malformed body that Litestar itself does not catch."""
    log.info(
        "%s %s has an unreadable body (%s)",
        request.method,
        request.url.path,
        type(error).__name__,
    )
    return _problem(
        400, None, detail="The body can't be read: send UTF-8 JSON without deep nesting."
    )


def unexpected_problem(request: Request[Any, Any, Any], error: Exception) -> Response[Problem]:
    """Answer an unexpected error; only the log has its details."""
    log.error("%s %s failed", request.method, request.url.path, exc_info=error)
    return _problem(500, None, detail="Something went wrong here: see the sidecar's log.")


def _problem(status: int, headers: dict[str, str] | None, **members: Any) -> Response[Problem]:
    return Response(
        Problem(title=http.HTTPStatus(status).phrase, status=status, **members),
        status_code=status,
        headers=headers,
        media_type=PROBLEM_TYPE,
    )
