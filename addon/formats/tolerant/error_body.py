"""Errors inside answers that look like successes, and the text of any error body."""

import re
from collections.abc import Iterator
from typing import Any

from addon.formats.neutral.deltas import StreamError
from addon.formats.wire.splice import MalformedJson, value

__all__ = ("error_of", "full_text", "message_of")

_MINIMAX = {1002: 429, 1004: 401, 1008: 402, 1039: 400, 2013: 400}
"""MiniMax answers HTTP 200 with `base_resp.status_code`
(https://platform.minimax.io/docs/api-reference/errorcode).
"""

_FINE = (None, "", 0, "0", 200, "200")
"""Codes that report no error."""


def error_of(
    error: Any, base_resp: Any = None, code: Any = None, message: Any = None
) -> StreamError | None:
    """The error that an `error` member, MiniMax's `base_resp` or a bare code with a message
    reports, or None.
    """
    if isinstance(base_resp, dict) and (minimax := base_resp.get("status_code")):
        status = _MINIMAX.get(minimax, 502) if isinstance(minimax, int) else 502
        return StreamError(_words(base_resp.get("status_msg")), status, str(minimax))
    if isinstance(error, dict) and error:
        code = error.get("code")
        return StreamError(_message(error), _status(code), str(code or error.get("type") or ""))
    if isinstance(error, str) and error:
        return StreamError(error, _status(code), str(code or ""))
    if isinstance(message, str) and message and code not in _FINE:
        return StreamError(message, _status(code), str(code))
    return None


def _status(code: Any) -> int:
    """The HTTP status that an error's code is, if it is one; some servers send it as a string."""
    number = (
        int(code) if isinstance(code, str) and re.fullmatch(r"[45]\d\d", code, re.ASCII) else code
    )
    return number if isinstance(number, int) and 400 <= number < 600 else 502


def _message(error: dict[str, Any]) -> str:
    """The error's words, with those that OpenRouter (`metadata.raw`) and MiMo (`param`)
    hide beside them.
    """
    metadata = error.get("metadata")
    raw = metadata.get("raw") if isinstance(metadata, dict) else None
    details = [text for text in (error.get("param"), raw) if isinstance(text, str) and " " in text]
    return ": ".join([_words(error.get("message")), *details])


def _words(message: Any) -> str:
    return message if isinstance(message, str) and message else "The upstream reported an error."


def message_of(body: bytes) -> str:
    """What an error body says to a person, or an empty string."""
    try:
        found = value(body)
    except MalformedJson:
        return ""
    error = error_of(found.get("error")) if isinstance(found, dict) else None
    return error.message if error else ""


def full_text(body: bytes) -> str:
    """All the text of an error body for pattern matching: nested JSON strings unescaped,
    backticks removed.

    OpenRouter nests the upstream's JSON as a string (`error.metadata.raw`), MiMo puts the
    message into `param`.
    """
    return "\n".join(_strings(body.decode(errors="replace"), 3)).replace("`", "")


def _strings(text: str, depth: int) -> list[str]:
    try:
        found = value(text.encode()) if depth else None
    except (MalformedJson, UnicodeEncodeError):
        found = None
    if not isinstance(found, dict | list):
        return [text]
    return [inner for leaf in _leaves(found) for inner in _strings(leaf, depth - 1)]


def _leaves(found: Any) -> Iterator[str]:
    """Everything in it that is no container, without recursion: it may be nested deeper
    than Python's stack.
    """
    rest = [found]
    while rest:
        item = rest.pop()
        if isinstance(item, dict):
            rest += [*item.values(), *item]
        elif isinstance(item, list):
            rest += item
        else:
            yield str(item)
