"""What is answered from a request's headers alone, without an upstream."""

from collections.abc import Mapping

import msgspec

from addon.admission import problems
from addon.admission.problems import status_for
from addon.admission.quota import may_use
from addon.exchange.stored_answers import StoredAnswers
from addon.exchange.verdict import Reply
from addon.formats.messages import listing
from addon.formats.neutral.problem import Problem, RequestError, error_body
from addon.formats.paths import Endpoint
from addon.ledger.meter import Meter
from shared.config.schema import Snapshot
from shared.model import Principal
from shared.routes import known_models

__all__ = (
    "counted",
    "health",
    "model",
    "models",
    "preflight",
    "problem_reply",
    "readiness",
    "stored",
)

CORS = {"access-control-allow-origin": "*"}
_JSON = {"content-type": "application/json"}
_PREFLIGHT = CORS | {
    "access-control-allow-methods": "DELETE, GET, POST, OPTIONS",
    "access-control-allow-headers": "*, authorization",
    "access-control-max-age": "86400",
}


def preflight() -> Reply:
    """Answer to anybody's CORS preflight
    (https://fetch.spec.whatwg.org/#cors-preflight-fetch); it tells nothing.
    """
    return Reply(204, _PREFLIGHT, b"")


def health() -> Reply:
    """The process is alive."""
    return Reply(200, _JSON, b'{"status":"ok"}')


def readiness(*, store_answers: bool, upstreams: int, leaving: bool = False) -> Reply:
    """Whether requests can be served; an upstream may still have to be configured, through
    this very port.
    """
    trouble = "" if store_answers else "the database does not answer"
    if leaving:
        trouble = "the gateway is leaving"
    body = msgspec.json.encode({"status": trouble or "ready", "upstreams": upstreams})
    return Reply(503 if trouble else 200, _JSON, body)


def models(
    snapshot: Snapshot, caller: Principal, headers: Mapping[str, str], target: str = ""
) -> Reply:
    """The models the caller may use as configured, in the shape that its library reads;
    `target` is path and query, which may ask for a page.

    https://platform.openai.com/docs/api-reference/models/list,
    https://platform.claude.com/docs/en/api/models-list.
    """
    names = _usable(snapshot, caller)
    if _is_anthropics(headers):
        try:
            page = listing.page_of(target.partition("?")[2])
            return Reply(200, CORS | _JSON, listing.encode_models(names, 0, page))
        except RequestError as error:
            return problem_reply(error.problem, "messages", headers.get("user-agent", ""))
    listed = [_model(name) for name in names]
    return Reply(200, CORS | _JSON, msgspec.json.encode({"object": "list", "data": listed}))


def model(snapshot: Snapshot, caller: Principal, headers: Mapping[str, str], name: str) -> Reply:
    """One of these models.

    https://platform.openai.com/docs/api-reference/models/retrieve,
    https://platform.claude.com/docs/en/api/models.
    """
    names, wire_format = _usable(snapshot, caller), "chat"
    if _is_anthropics(headers):
        wire_format = "messages"
    if name not in names:
        problem = problems.no_such_model(name)
        return problem_reply(problem, wire_format, headers.get("user-agent", ""))
    if wire_format == "messages":
        return Reply(200, CORS | _JSON, listing.encode_model(name, 0))
    return Reply(200, CORS | _JSON, msgspec.json.encode(_model(name)))


def _usable(snapshot: Snapshot, caller: Principal) -> list[str]:
    return [name for name in known_models(snapshot.upstreams) if may_use(caller, name)]


def _is_anthropics(headers: Mapping[str, str]) -> bool:
    """Whether the client is one of Anthropic's API, as its version tells."""
    return "anthropic-version" in headers


def _model(name: str) -> dict[str, object]:
    return {"id": name, "object": "model", "created": 0, "owned_by": "thinkback"}


def counted(meter: Meter, caller: Principal, endpoint: Endpoint, user_agent: str) -> Reply | None:
    """The reply to a request that would be answered at once, when its caller has asked too
    often.
    """
    try:
        meter.count(caller)
    except RequestError as error:
        return problem_reply(error.problem, endpoint.wire_format, user_agent)
    return None


def stored(
    answers: StoredAnswers,
    caller: Principal,
    endpoint: Endpoint,
    method: str,
    target: str,
    user_agent: str,
) -> Reply:
    """What becomes of one of the caller's stored answers; `target` is path and query."""
    try:
        return Reply(200, CORS | _JSON, answers.reply(caller.id, endpoint, method, target))
    except RequestError as error:
        return problem_reply(error.problem, endpoint.wire_format, user_agent)


def problem_reply(problem: Problem, wire_format: str, user_agent: str) -> Reply:
    """A problem as the client's format tells it."""
    headers = CORS | _JSON
    if problem.retry_after:
        headers |= {"retry-after": problem.retry_after}
    status = status_for(problem.status, problem.code, user_agent)
    return Reply(status, headers, error_body(wire_format, problem))
