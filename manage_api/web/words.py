"""What the codes in the ledger mean, in sentences for people."""

import re

from manage_api.domains.requests.schemas import RequestView

__all__ = ("agent", "outcome", "rule_words", "trouble")

_TROUBLE = {
    "bad_request": "The request was not valid HTTP.",
    "bad_status": (
        "The upstream answered with a status that means nothing here, like a redirect: "
        "check its base URL."
    ),
    "client_left": (
        "The program hung up before the answer was complete, for example because "
        "somebody stopped it."
    ),
    "conversation_too_long": (
        "The stored conversation that the request goes on from is too long: begin a new one."
    ),
    "gateway_error": "The gateway itself failed on this request; its log says how.",
    "insufficient_quota": "The quota or budget of the account or key did not allow it.",
    "invalid_json": "The request was not valid JSON.",
    "item_not_found": "The request refers to an earlier answer that is not known here.",
    "lost": "The gateway was killed or crashed while this request ran; what was used is a guess.",
    "method_not_allowed": "The program used a method that this address does not have.",
    "model_not_allowed": "The account or key may not use this model.",
    "model_not_found": (
        "No upstream serves a model of this name: check the spelling, or ask for a rewrite."
    ),
    "no_upstream": "No upstream was configured yet.",
    "previous_response_not_found": (
        "The request goes on from an answer that is not stored here, or not any more."
    ),
    "quota_unavailable": (
        "The quota could not be checked, as the database was busy; trying again helps."
    ),
    "rate_limit_exceeded": (
        "The account or key asked more often, or for more at once, than its limits allow."
    ),
    "reasoning_not_known": (
        "A turn's reasoning was not known, and the upstream's profile says to refuse then."
    ),
    "request_too_large": (
        "The request was larger than the gateway takes: start a new chat, or raise its limits."
    ),
    "upstream_auth_error": (
        "The upstream refused all of the gateway's keys: an administrator has to renew them."
    ),
    "upstream_cut": "The upstream broke off in the middle of its answer.",
    "upstream_error": "The upstream reported an error in its answer.",
    "upstream_malformed": "The upstream sent something that is no valid answer.",
    "upstream_timeout": "The upstream took too long.",
    "upstream_too_large": "The upstream's answer was larger than the gateway takes.",
    "upstream_unreachable": "The upstream could not be reached.",
    "usage_not_recorded": (
        "The database could not be written, so a quota could not be charged: is the disk full?"
    ),
}
_FAMILIES = {
    "invalid": "The request had something in it that is not valid: its {}.",
    "missing": "The request lacked something: its {}.",
    "unsupported": "The request wanted something that is not supported here: its {}.",
}
"""For codes that begin so; what follows is what it was about."""

_STATUS = {
    "400": "the request was not to its liking",
    "401": "it refused the key",
    "402": "the key's account has no credit left",
    "403": "it refused the key or the region",
    "404": "it does not know the model or the path",
    "408": "the request took too long",
    "413": "the request was too large",
    "422": "the request was not to its liking",
    "429": "it wants fewer requests for now",
    "500": "it has a fault",
    "502": "it has a fault",
    "503": "it is overloaded or down",
    "504": "it took too long",
    "529": "it is overloaded",
}
_RULES = {
    "id": "recognised by a tool-call id",
    "chain": "recognised by the turn after it",
    "anchor": "recognised by its text and place",
    "stop": "recognised as a stopped answer",
    "result": "recognised by its calls and their results",
    "text": "recognised by its long text",
    "neighbour": "recognised by the turn before it",
    "known-empty": "known: the model gave no reasoning",
    "client": "sent by the program itself",
    "missing": "not found",
}
_AGENTS = (
    ("cursor", "Cursor"),
    ("claude-cli", "Claude Code"),
    ("codex", "Codex"),
    ("openai/python", "OpenAI SDK for Python"),
    ("openai/js", "OpenAI SDK for JavaScript"),
    ("curl/", "curl"),
)


def trouble(error_class: str, status: int = 0) -> str:
    """What went wrong, as a sentence; empty when nothing did."""
    if not error_class:
        return ""
    if error_class in _TROUBLE:
        return _TROUBLE[error_class]
    if match := re.fullmatch(r"(?:upstream|http)_(\d{3})", error_class):
        why = _STATUS.get(match[1], "it could not do that")
        return f"The upstream answered with status {match[1]}: {why}."
    family, _, about = error_class.partition("_")
    said = error_class.replace("_", " ")
    if family in _FAMILIES:
        return _FAMILIES[family].format(about.replace("_", " ")[:120])
    return f"It ended with “{said[:120]}”{f' (status {status})' if status else ''}."


def outcome(view: RequestView) -> tuple[str, str]:
    """A colour (`ok`, `warn`, `bad`, `info`) and few words for how a request ended."""
    if view.id is None:
        return "info", "running"
    if not view.error_class:
        return "ok", "done"
    if view.error_class == "client_left":
        return "warn", "stopped"
    if view.error_class in ("insufficient_quota", "rate_limit_exceeded"):
        return "warn", "over limit"
    return "bad", str(view.status) if view.status >= 400 else "broken off"


def rule_words(rule: str) -> str:
    """How a turn was found."""
    return _RULES.get(rule, rule[:120])


def agent(user_agent: str) -> str:
    """The program behind a `User-Agent`, by the name people know it by."""
    known = (name for mark, name in _AGENTS if mark in user_agent.lower())
    return next(known, user_agent.partition(" ")[0][:60] or "unknown program")
