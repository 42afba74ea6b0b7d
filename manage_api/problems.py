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
    "http_problem",
    "invalid",
    "store_problem",
    "unexpected_problem",
    "unreadable_problem",
)

log = logging.getLogger("thinkback.sidecar")

PROBLEM_TYPE = "application/problem+json"


class Problem(msgspec.Struct, frozen=True, kw_only=True):
    """Why a request was not done: `detail` is for people, `fields` names what is wrong in
    the body or the query.
    """

    title: str
    status: int
    detail: str
    fields: dict[str, str] | msgspec.UnsetType = msgspec.UNSET


class Conflict(ClientException):
    """What is asked for does not go with what is stored."""

    status_code = HTTP_409_CONFLICT


def invalid(field: str, message: object) -> ValidationException:
    """The error for one field of the body that can't be accepted."""
    return ValidationException(extra=[{"key": field, "message": str(message)}])


def http_problem(_: Request[Any, Any, Any], error: HTTPException) -> Response[Problem]:
    """`title`, `status`, `detail`, and `fields` with a message for each field of the body
    that is wrong.
    """
    if not isinstance(error, ValidationException):
        return _problem(error.status_code, error.headers, detail=error.detail)
    found: list[Any] = error.extra if isinstance(error.extra, list) else []
    fields = {entry["key"]: entry["message"] for entry in found if "key" in entry}
    detail = " ".join(f"{key}: {message}" for key, message in fields.items()) or error.detail
    return _problem(error.status_code, error.headers, detail=detail, fields=fields)


def conflict_problem(_: Request[Any, Any, Any], error: StoreError) -> Response[Problem]:
    """`Conflict`, for a refusal of the store."""
    return _problem(HTTP_409_CONFLICT, None, detail=str(error))


def store_problem(request: Request[Any, Any, Any], error: StoreError) -> Response[Problem]:
    """The database can't be used now."""
    log.error("%s %s failed: %s", request.method, request.url.path, error)
    return _problem(503, {"Retry-After": "5"}, detail=str(error))


def unreadable_problem(request: Request[Any, Any, Any], error: Exception) -> Response[Problem]:
    """A body that Litestar does not refuse by itself, though the decoder stumbles over it."""
    log.info(
        "%s %s had a body that can't be read (%s)",
        request.method,
        request.url.path,
        type(error).__name__,
    )
    return _problem(
        400, None, detail="The body can't be read: send JSON in UTF-8 that is not nested deeply."
    )


def unexpected_problem(request: Request[Any, Any, Any], error: Exception) -> Response[Problem]:
    """What nobody thought of: the log has the error, the caller learns only that there was one."""
    log.error("%s %s failed", request.method, request.url.path, exc_info=error)
    return _problem(
        500, None, detail="Something went wrong here; the log of the sidecar says what."
    )


def _problem(status: int, headers: dict[str, str] | None, **members: Any) -> Response[Problem]:
    return Response(
        Problem(title=http.HTTPStatus(status).phrase, status=status, **members),
        status_code=status,
        headers=headers,
        media_type=PROBLEM_TYPE,
    )
