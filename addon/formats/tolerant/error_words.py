"""The words of an upstream's error body, whatever its shape, and whether a client's format has
that shape.

Shapes: OpenAI, Anthropic, Gemini (a list of one), Ollama and xAI (a string) have `error`; vLLM's
older bodies, DashScope and SiliconFlow `message`; FastAPI `detail`
(https://fastapi.tiangolo.com/tutorial/handling-errors/); Baidu `error_msg`; OAuth
`error_description`; RFC 9457 `title`. Proxies before an upstream answer with plain text or a page.
"""

import html
import re
from typing import Any

from addon.formats.neutral.deltas import CUT, StreamError
from addon.formats.tolerant.error_body import error_of
from addon.formats.wire import sse
from addon.formats.wire.lenient import as_dict, as_str
from addon.formats.wire.splice import MalformedJson, value

__all__ = ("has_shape", "message_of", "no_answer")

_MOST_WORDS = 2_000
"""Characters of an error that are repeated: quoted requests and stack traces are longer."""

_MOST_OF_EVENTS = 1024 * 1024
"""Bytes of events that are searched for an error: it is the first."""

_DEPTH = 4
"""How deep words are looked for: FastAPI wraps another API's error once or twice."""

_MEMBERS = ("message", "detail", "error_description", "error_message", "error_msg", "msg", "title")
"""Members that hold an error's words, the surest first."""

_TITLE = re.compile(r"<(title|h1)\b[^>]{0,200}>([^<]{1,500})", re.IGNORECASE)
_MARKUP = re.compile(r"\s*<(!doctype|html|head|body|\?xml)\b", re.IGNORECASE)

_BLANKS = re.compile(r"\s+")
_PRINTED = re.compile(r"[^\x00-\x08\x0e-\x1f\x7f]*")
"""Text; a body with other control characters is none."""


def message_of(body: bytes) -> str:
    """What an error body says, in at most 2,000 characters; empty if it has no words."""
    text = _data_of(body).decode(errors="replace").removeprefix("\N{ZERO WIDTH NO-BREAK SPACE}")
    try:
        words = _words_of(value(text.encode()), _DEPTH)
    except MalformedJson:
        words = _plain(text)
    return words.strip()[:_MOST_WORDS]


def no_answer(body: bytes) -> StreamError:
    """The error that a body stands for which is no answer, nor an error in the usual shape."""
    if body.lstrip().startswith((b"{", b"[")) and not _is_json(body):
        return CUT
    words = message_of(body) or "The upstream sent something else than an answer."
    return StreamError(words, code="upstream_malformed")


def _is_json(body: bytes) -> bool:
    try:
        value(body)
    except MalformedJson:
        return False
    return True


def has_shape(wire_format: str, body: bytes) -> bool:
    """Whether the format's clients read their error from this body as it is."""
    try:
        answer = as_dict(value(body))
    except MalformedJson:
        return False
    error = as_dict(answer.get("error"))
    if wire_format == "messages" and answer.get("type") != "error":
        return False
    return bool(as_str(error.get("message")))


def _data_of(body: bytes) -> bytes:
    """The body, or the data of the first event in it that has any."""
    if not sse.holds_events(body):
        return body
    events = sse.Events().feed(body[:_MOST_OF_EVENTS] + b"\n\n")
    return next(filter(None, map(sse.said_by, events)), b"")


def _words_of(answer: Any, depth: int) -> str:
    if isinstance(answer, str):
        return answer
    if isinstance(answer, list) and depth:
        return "; ".join(filter(None, (_words_of(item, depth - 1) for item in answer)))
    if isinstance(answer, dict) and depth:
        return _words_of_object(answer, depth)
    return ""


def _words_of_object(answer: dict[str, Any], depth: int) -> str:
    error = _reported(answer)
    if error is not None:
        return error.message
    if words := _words_of(answer.get("error"), depth - 1):
        return words
    for name in _MEMBERS:
        if words := _words_of(answer.get(name), depth - 1):
            return _located(answer, words)
    return ""


def _reported(answer: dict[str, Any]) -> StreamError | None:
    """The error in the shapes that answers with status 200 have, too."""
    error = answer.get("error")
    if isinstance(error, dict) and not isinstance(error.get("message"), str):
        return None
    return error_of(error, answer.get("base_resp"))


def _located(answer: dict[str, Any], words: str) -> str:
    """The words after the place that FastAPI's validation gives: `body.model: required`."""
    place = answer.get("loc")
    if not isinstance(place, list):
        return words
    return f"{'.'.join(map(str, place))}: {words}"


def _plain(text: str) -> str:
    """The words of a text; of a page its title alone."""
    if _MARKUP.match(text):
        title = _TITLE.search(text)
        text = ""
        if title is not None:
            text = html.unescape(title[2])
    if not _PRINTED.fullmatch(text):
        return ""
    return _BLANKS.sub(" ", text)
