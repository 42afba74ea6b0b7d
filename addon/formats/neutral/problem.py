"""Errors for clients, each in the client's own format."""

import msgspec

__all__ = ("Problem", "RequestError", "error_body")


class Problem(msgspec.Struct, frozen=True, kw_only=True):
    """Why a request can't be served."""

    status: int
    message: str
    """One clear sentence: what is wrong and what to do about it."""

    code: str
    type: str = "invalid_request_error"
    param: str | None = None
    retry_after: str = ""
    """Value of a `Retry-After` header, or empty."""


class RequestError(ValueError):
    """The request can't be served; holds the problem to answer with."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem.message)
        self.problem = problem


def error_body(wire_format: str, problem: Problem) -> bytes:
    """The error as JSON text: Anthropic's shape for `messages`, OpenAI's for everything else."""
    # Words of clients and upstreams in it may hold lone surrogates.
    message = problem.message.encode(errors="replace").decode()
    if wire_format == "messages":
        error = {"type": _anthropic_type(problem.status), "message": message}
        return msgspec.json.encode({"type": "error", "error": error})
    code = problem.code.encode(errors="replace").decode()
    details = {"message": message, "type": problem.type, "param": problem.param, "code": code}
    return msgspec.json.encode({"error": details})


_ANTHROPIC_TYPES = {
    401: "authentication_error",
    402: "billing_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    504: "timeout_error",
    529: "overloaded_error",
}
"""Anthropic's name for errors of each status (https://platform.claude.com/docs/en/api/errors)."""


def _anthropic_type(status: int) -> str:
    if status in _ANTHROPIC_TYPES:
        return _ANTHROPIC_TYPES[status]
    if status < 500:
        return "invalid_request_error"
    return "api_error"
