"""Errors inside answers that look like successes, and the text of any error body."""

import re
from collections.abc import Iterator
from typing import Any

from addon.formats.neutral.deltas import StreamError
from addon.formats.wire.lenient import as_dict, as_str
from addon.formats.wire.splice import MalformedJson, value

__all__ = ("error_of", "full_text")

_MINIMAX = {1002: 429, 1004: 401, 1008: 402, 1039: 400, 2013: 400}
"""MiniMax answers HTTP 200 with `base_resp.status_code`
(https://platform.minimax.io/docs/api-reference/errorcode).
"""

_FINE = (None, "", 0, "0", 200, "200")
"""Codes that report no error."""

_UNKNOWN_STATUS = 502
"""The status of an error that names none: the upstream failed, and another one may not."""

_NESTING = 3
"""How deep JSON strings within JSON strings are read; two levels are known."""


def error_of(
    error: Any, base_resp: Any = None, code: Any = None, message: Any = None
) -> StreamError | None:
    """The error that an `error` member, MiniMax's `base_resp` or a bare code with a message
    reports, or None.
    """
    if isinstance(base_resp, dict) and base_resp.get("status_code"):
        return _minimax_error(base_resp)
    if isinstance(error, dict) and error:
        code = error.get("code")
        return StreamError(_message(error), _status(code), str(code or error.get("type") or ""))
    if isinstance(error, str) and error:
        return StreamError(error, _status(code), str(code or ""))
    if isinstance(message, str) and message and code not in _FINE:
        return StreamError(message, _status(code), str(code))
    return None


def _minimax_error(base_resp: dict[str, Any]) -> StreamError:
    code = base_resp["status_code"]
    status = _UNKNOWN_STATUS
    if isinstance(code, int):
        status = _MINIMAX.get(code, _UNKNOWN_STATUS)
    return StreamError(_words(base_resp.get("status_msg")), status, str(code))


def _status(code: Any) -> int:
    """The HTTP status that an error's code is, if it is one; some servers send it as a string."""
    if isinstance(code, str) and re.fullmatch(r"[45]\d\d", code, re.ASCII):
        return int(code)
    if isinstance(code, int) and 400 <= code < 600:
        return code
    return _UNKNOWN_STATUS


def _message(error: dict[str, Any]) -> str:
    """The error's words, with those that OpenRouter (`metadata.raw`) and MiMo (`param`)
    hide beside them.
    """
    hidden = (error.get("param"), as_dict(error.get("metadata")).get("raw"))
    # A text with a blank is a sentence; others are names of members and the like.
    details = [text for text in hidden if isinstance(text, str) and " " in text]
    return ": ".join([_words(error.get("message")), *details])


def _words(message: Any) -> str:
    return as_str(message) or "The upstream reported an error."


def full_text(body: bytes) -> str:
    """All the text of an error body for pattern matching: nested JSON strings unescaped,
    backticks removed.

    OpenRouter nests the upstream's JSON as a string (`error.metadata.raw`), MiMo puts the
    message into `param`.
    """
    return "\n".join(_strings(body.decode(errors="replace"), _NESTING)).replace("`", "")


def _strings(text: str, depth: int) -> list[str]:
    if not depth:
        return [text]
    try:
        container = value(text.encode())
    except (MalformedJson, UnicodeEncodeError):
        return [text]
    if not isinstance(container, dict | list):
        return [text]
    return [inner for leaf in _leaves(container) for inner in _strings(leaf, depth - 1)]


def _leaves(container: Any) -> Iterator[str]:
    """Keys and scalars at any depth, without recursion: it may be nested deeper than Python's
    stack.
    """
    rest = [container]
    while rest:
        item = rest.pop()
        if isinstance(item, dict):
            rest += [*item.values(), *item]
        elif isinstance(item, list):
            rest += item
        else:
            yield str(item)
