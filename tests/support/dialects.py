"""The bodies with which providers refuse a request whose reasoning is missing."""

import json
from collections.abc import Callable
from typing import Literal

from tests.support.turns import Json

__all__ = ("Dialect", "missing_reasoning", "refusal")

type Dialect = Literal["deepseek", "deepseek-legacy", "mimo", "kimi", "siliconflow"]

PASSED_BACK = "The `reasoning_content` in the thinking mode must be passed back to the API."
IN_CALL = (
    "thinking is enabled but reasoning_content is missing in assistant tool call "
    "message at index {}"
)
IN_FIELD = "Missing `reasoning_content` field in the assistant message at message index {}"


def missing_reasoning(dialect: Dialect, index: int) -> bytes:
    """The 400 body of one provider family for the message at `index`."""
    return json.dumps(_BODIES[dialect](index)).encode()


def refusal(message: str, kind: str = "invalid_request_error", code: str | None = None) -> bytes:
    """An OpenAI-shaped error body."""
    return json.dumps(
        {"error": {"message": message, "type": kind, "param": None, "code": code}}
    ).encode()


def _openai(message: str, code: str | None = "invalid_request_error") -> Json:
    return {
        "error": {"message": message, "type": "invalid_request_error", "param": None, "code": code}
    }


# The wording is what users of these providers quote in public issue threads about missing
# reasoning_content.
_BODIES: dict[Dialect, Callable[[int], Json]] = {
    "deepseek": lambda index: _openai(PASSED_BACK),
    "deepseek-legacy": lambda index: _openai(IN_FIELD.format(index)),
    "mimo": lambda index: {
        "error": {
            "code": "400",
            "message": "Param Incorrect",
            "param": PASSED_BACK.replace("`", ""),
            "type": "",
        }
    },
    "kimi": lambda index: {
        "error": {"message": IN_CALL.format(index), "type": "invalid_request_error"}
    },
    "siliconflow": lambda index: {"code": 20015, "message": IN_CALL.format(index), "data": None},
}
