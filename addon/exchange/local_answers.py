"""What is answered from a request's headers alone, without an upstream."""

from collections.abc import Mapping, Sequence

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
from shared.routes import model_owners, routes

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

type Listed = Mapping[str, Sequence[str]]
"""What the upstreams list as their models, by upstream."""

_NOTHING: Listed = {}

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


def readiness(
    *, store_answers: bool, upstreams: int, store_lost: bool = False, leaving: bool = False
) -> Reply:
    """Whether requests can be served; an upstream may still have to be configured, through
    this very port.

    Nodes whose common database is lost stay ready, as a balancer would take all of them away.
    """
    trouble = "" if store_answers else "the database does not answer"
    if leaving:
        trouble = "the gateway is leaving"
    fine = "degraded: the database can't be reached" if store_lost else "ready"
    body = msgspec.json.encode({"status": trouble or fine, "upstreams": upstreams})
    return Reply(503 if trouble else 200, _JSON, body)


def models(
    snapshot: Snapshot,
    caller: Principal,
    headers: Mapping[str, str],
    target: str = "",
    listed: Listed = _NOTHING,
) -> Reply:
    """The models the caller may use, in the shape that its library reads; `target` is path
    and query, which may ask for a page.

    https://platform.openai.com/docs/api-reference/models/list,
    https://platform.claude.com/docs/en/api/models-list.
    """
    owners = _usable(snapshot, caller, listed)
    if _is_anthropics(headers):
        try:
            page = listing.page_of(target.partition("?")[2])
            return Reply(200, CORS | _JSON, listing.encode_models(owners, 0, page))
        except RequestError as error:
            return problem_reply(error.problem, "messages", headers.get("user-agent", ""))
    entries = [_model(name, owner) for name, owner in owners.items()]
    return Reply(200, CORS | _JSON, msgspec.json.encode({"object": "list", "data": entries}))


def model(
    snapshot: Snapshot,
    caller: Principal,
    headers: Mapping[str, str],
    name: str,
    listed: Listed = _NOTHING,
) -> Reply:
    """One of these models.

    https://platform.openai.com/docs/api-reference/models/retrieve,
    https://platform.claude.com/docs/en/api/models.
    """
    owners, wire_format = _usable(snapshot, caller, listed), "chat"
    if _is_anthropics(headers):
        wire_format = "messages"
    if name not in owners:
        problem = problems.no_such_model(name)
        return problem_reply(problem, wire_format, headers.get("user-agent", ""))
    if wire_format == "messages":
        return Reply(200, CORS | _JSON, listing.encode_model(name, 0))
    return Reply(200, CORS | _JSON, msgspec.json.encode(_model(name, owners[name])))


def _usable(snapshot: Snapshot, caller: Principal, listed: Listed) -> dict[str, str]:
    """The models that the caller may use, with the upstream of each: those configured, those
    that upstreams list, and those that the caller's own limits name.
    """
    upstreams = snapshot.upstreams
    if caller.upstream is not None:
        upstreams = tuple(each for each in upstreams if each.name == caller.upstream)
    owners = model_owners(upstreams, listed)
    for name in _named(caller):
        if name not in owners and (found := routes(upstreams, name, snapshot.tiers)):
            owners[name] = found[0].upstream.name
    return {name: owner for name, owner in owners.items() if may_use(caller, name)}


def _named(caller: Principal) -> list[str]:
    """The models that the caller's own limits name in full."""
    limits = [owner.models for owner in (caller.user, caller.key) if owner is not None]
    return [name for names in limits for name in names if "*" not in name]


def _is_anthropics(headers: Mapping[str, str]) -> bool:
    """Whether the client is one of Anthropic's API, as its version tells."""
    return "anthropic-version" in headers


def _model(name: str, owner: str) -> dict[str, object]:
    return {"id": name, "object": "model", "created": 0, "owned_by": owner}


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
