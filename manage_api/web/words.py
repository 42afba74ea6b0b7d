"""The codes in the ledger, in sentences for people."""

import re

from manage_api.domains.lessons.schemas import LessonView
from manage_api.domains.requests.schemas import RequestView

__all__ = ("agent", "lesson_words", "outcome", "rule_words", "trouble")

_TROUBLE = {
    "bad_request": "The request was not valid HTTP.",
    "bad_status": (
        "The upstream answered with an unexpected status, such as a redirect: check its base URL."
    ),
    "client_left": (
        "The client hung up before the answer was complete, for example because someone stopped it."
    ),
    "conversation_too_long": (
        "The stored conversation that the request continues is too long: start a new one."
    ),
    "database_lost": "The database could not be reached.",
    "gateway_error": "The gateway itself failed on this request: see its log.",
    "gateway_stopped": "The gateway was stopped before the answer was complete.",
    "insufficient_quota": "The quota or budget of the account or key was used up.",
    "invalid_json": "The request was not valid JSON.",
    "item_not_found": "The request refers to an earlier answer that is not stored here.",
    "lost": "The gateway was killed or crashed during this request; its usage is an estimate.",
    "malformed_message": (
        "A message of the request, or a part or call in it, had a shape that no API takes."
    ),
    "method_not_allowed": "The client used an HTTP method that this path does not support.",
    "model_not_allowed": "The account or key may not use this model.",
    "model_not_found": (
        "No upstream serves a model with this name: check the spelling, or add a rewrite."
    ),
    "no_upstream": "No upstream was configured yet.",
    "overloaded": "So many requests were coming in that there was no room for one of this size.",
    "previous_response_not_found": (
        "The request continues an answer that is not stored here, or no longer."
    ),
    "quota_unavailable": (
        "The quota could not be checked because the database was busy: try again."
    ),
    "rate_limit_exceeded": (
        "The account or key exceeded its limit of requests, tokens or concurrent requests."
    ),
    "reasoning_not_known": (
        "A turn's reasoning was not found, and the upstream's profile refuses such requests."
    ),
    "request_too_large": (
        "The request was larger than the gateway accepts: start a new chat, or raise its limits."
    ),
    "upgrade_required": "The client tried a WebSocket, and was told to use HTTP.",
    "upstream_auth_error": (
        "The upstream rejected all of the gateway's keys: an administrator must replace them."
    ),
    "upstream_cut": "The upstream broke off in the middle of its answer.",
    "upstream_error": "The upstream reported an error in its answer.",
    "upstream_malformed": "The upstream sent an invalid answer.",
    "upstream_timeout": "The upstream took too long.",
    "upstream_too_large": "The upstream's answer was larger than the gateway accepts.",
    "upstream_unreachable": "The upstream could not be reached.",
    "usage_not_recorded": ("The usage could not be written to the database: is the disk full?"),
}
_FAMILIES = {
    "invalid": "Something in the request was invalid: its {}.",
    "missing": "Something in the request was missing: its {}.",
    "unsupported": "The request asked for something unsupported: its {}.",
}
"""By the first word of a code; the rest of the code names the subject."""

_STATUS = {
    "400": "it found the request invalid",
    "401": "it rejected the key",
    "402": "the key's account has no credit left",
    "403": "it rejected the key or the region",
    "404": "it does not know the model or the path",
    "408": "the request took too long",
    "413": "the request was too large",
    "422": "it found the request invalid",
    "429": "its rate limit was reached",
    "500": "it failed internally",
    "502": "it failed internally",
    "503": "it is overloaded or down",
    "504": "it took too long",
    "529": "it is overloaded",
}
_RULES = {
    "id": "found by its tool-call id",
    "chain": "found by the turn after it",
    "anchor": "found by its text or calls and what came before",
    "stop": "found as the beginning of a stopped answer",
    "result": "found by its tool calls and their results",
    "words": "found by question and answer",
    "text": "found by its text alone",
    "neighbour": "found by the turn before it",
    "again": "found as in an earlier request",
    "known-empty": "found, and the model gave it no reasoning",
    "client": "not found, but the client sent reasoning itself",
    "missing": "not found",
}
_LESSONS = {
    "bare": "No reasoning is sent: the upstream does not know the field.",
    "pictures": "Pictures are left out.",
    "alternate": "Consecutive messages of the user are joined.",
    "keep": "The members that the profile adds are left out.",
    "without": "The member {} is left out, or goes under its other name.",
    "limit": "Answers are limited to {} tokens at most.",
    "efforts": "Other efforts become the nearest of these: {}.",
    "ending": "After an answer that the client has begun, the user asks to go on.",
    "forced": "Where a tool is forced, the model does not think.",
    "results": "A call without result gets a remark for one; a result without call becomes text.",
}
_EMPTY = {
    "": "Turns that the profile names get empty reasoning if theirs is unknown.",
    "calls": "Turns with tool calls get empty reasoning if theirs is unknown.",
    "foreign": "All turns get empty reasoning if theirs is unknown.",
    "all": "All turns get empty reasoning if theirs is unknown or they had none.",
}
"""By the turns that such a lesson is about."""

_AGENTS = (
    ("cursor", "Cursor"),
    ("claude-cli", "Claude Code"),
    ("codex", "Codex"),
    ("openai/python", "OpenAI SDK for Python"),
    ("openai/js", "OpenAI SDK for JavaScript"),
    ("curl/", "curl"),
)


def trouble(error_class: str, status: int = 0) -> str:
    """Say what went wrong in a sentence; empty when nothing did."""
    if not error_class:
        return ""
    if error_class in _TROUBLE:
        return _TROUBLE[error_class]
    if match := re.fullmatch(r"(?:upstream|http)_(\d{3})", error_class):
        why = _STATUS.get(match[1], "it could not do that")
        return f"The upstream answered with status {match[1]}: {why}."
    family, _, about = error_class.partition("_")
    if family in _FAMILIES:
        return _FAMILIES[family].format(about.replace("_", " ")[:120])
    words = f"“{error_class.replace('_', ' ')[:120]}”"
    if status:
        words += f" (status {status})"
    return f"It ended with {words}."


def outcome(view: RequestView) -> tuple[str, str]:
    """Return a colour (`ok`, `warn`, `bad`, `info`) and a few words for how a request ended."""
    if view.id is None:
        return "info", "running"
    if not view.error_class:
        return "ok", "done"
    if view.error_class == "client_left":
        return "warn", "stopped"
    if view.error_class in ("insufficient_quota", "rate_limit_exceeded"):
        return "warn", "over limit"
    if view.status < 400:
        return "bad", "cut off"
    return "bad", str(view.status)


def rule_words(rule: str) -> str:
    """Say how a turn was recognised."""
    return _RULES.get(rule, rule[:120])


def lesson_words(lesson: LessonView) -> str:
    """Say what is changed in requests because of a lesson."""
    if lesson.kind == "empty":
        return _EMPTY[lesson.scope]
    return _LESSONS[lesson.kind].format(lesson.member)


def agent(user_agent: str) -> str:
    """Name the client behind a `User-Agent`."""
    names = (name for mark, name in _AGENTS if mark in user_agent.lower())
    return next(names, user_agent.partition(" ")[0][:60] or "unknown client")
